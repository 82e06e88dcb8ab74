"""A campaign: random scenarios of some profiles, one after another, on real kernels and on their models.

Each lane is two processes: one drives a kernel, the other makes scenarios and runs the model.  Lanes of several
kernels, and of one, work side by side.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait

from pinhold.conform.coverage import Coverage, reachable
from pinhold.conform.differ import Run
from pinhold.conform.lane import Here, Lane, Lost, Share
from pinhold.conform.tally import Tally
from pinhold.conform.wanted import Wanted
from pinhold.conform.workers import Workers
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Broken, Crashed, LeftBehind, Target, Unavailable
from pinhold.targets.batch import BatchTarget
from pinhold.targets.fixes import with_fixes
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, run_scenario

_POLL_SECONDS = 1.0

NOTHING_NEW = 300
"""Where nothing was reached for the first time in as many scenarios as it took to get there, and so many more, nothing
is taken to come."""

WORTH_A_LANE = 500
"""So many steps take a guest about as long as its boot."""


def campaign(
    real: Run,
    model: ModelTarget,
    profiles: Sequence[Wanted],
    seed: int,
    steps: int,
    watch: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Run at least so many steps in this process, the profiles taking turns; scenario N of a seed is always the same.

    Raises Lost.
    """
    tally = Tally()

    def report(more: Tally) -> bool:
        tally.add(more)
        watch(tally)
        return True

    if profiles:
        Lane(Here(real), model, Share(profiles, seed, steps), report).work()
    return tally


class NotRun(Exception):
    """Nothing can be run on a target; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done on one target.

    make: makes it, in a process of its own.  begin: what to compare it with, and the profiles, once it has said what it
    is; raises NotRun.  lanes: how many of it work at once.
    """

    name: str
    make: Callable[[], Target | BatchTarget]
    begin: Callable[[TargetInfo], tuple[ModelTarget, Sequence[Wanted]]]
    lanes: int = 1


@dataclass(slots=True)
class Ran:
    """What came of a plan.  lanes: that worked; ended: of each lane that ended early, why; seconds: of wall time, from
    the first scenario to the last."""

    name: str
    info: TargetInfo | None = None
    model: ModelTarget | None = None
    profiles: Sequence[Wanted] = ()
    reachable: Coverage = field(default_factory=Coverage)
    lanes: int = 0
    ended: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    began: float | None = None
    seconds: float = 0.0

    def add(self, tally: Tally) -> None:
        """One more scenario is done."""
        self.tally.add(tally)
        assert self.began is not None
        self.seconds = time.monotonic() - self.began


@dataclass(frozen=True, slots=True)
class Limits:
    """When a target has enough: of steps, or of seconds from its first scenario on; None: no end.  covered: when all
    that is reachable was reached, or nothing new comes any more."""

    seed: int
    steps: int | None = None
    seconds: float | None = None
    covered: bool = False

    def enough(self, tally: Tally, reachable: Coverage) -> bool:
        """Whether coverage ends it."""
        if not self.covered:
            return False
        return not any(tally.coverage.missed(reachable).values()) or tally.scenarios >= 2 * tally.latest + NOTHING_NEW


@dataclass(slots=True)
class _Lane:
    """One that works: the program's end of the pipe to its kernel first, then of that to its other process."""

    place: int
    number: int
    pipe: Connection


class Campaign:
    """All plans, at most `jobs` lanes at a time.

    watch: is told of each target that has gone on.  What was done is in `ran` even where run() is cut off.
    """

    def __init__(
        self, plans: Sequence[Plan], limits: Limits, jobs: int, watch: Callable[[Ran], None] = lambda ran: None
    ) -> None:
        self.ran = [Ran(plan.name) for plan in plans]
        self._plans, self._limits, self._jobs, self._watch = plans, limits, jobs, watch
        self._waiting = deque(
            (place, lane) for lane in range(max(p.lanes for p in plans)) for place in range(len(plans))
            if lane < plans[place].lanes
        )  # fmt: skip
        self._booting: dict[Connection, _Lane] = {}
        self._working: dict[Connection, _Lane] = {}

    def run(self) -> None:
        """To the end of each."""
        with Workers() as workers:
            while self._waiting or self._booting or self._working:
                while self._waiting and len(self._booting) + len(self._working) < self._jobs:
                    self._boot(workers, *self._waiting.popleft())
                for pipe in wait([*self._booting, *self._working], _POLL_SECONDS):
                    assert isinstance(pipe, Connection)
                    if pipe in self._booting:
                        self._begin(workers, self._booting.pop(pipe))
                    else:
                        self._hear(workers, self._working[pipe])

    def _boot(self, workers: Workers, place: int, number: int) -> None:
        ours, theirs = workers.pipe()
        self._booting[ours] = _Lane(place, number, ours)
        workers.start(drive, self._plans[place].make, theirs)
        self._watch(self.ran[place])

    def _begin(self, workers: Workers, lane: _Lane) -> None:
        """The lane's kernel has said what it is, or why it is not."""
        plan, ran = self._plans[lane.place], self.ran[lane.place]
        try:
            said = lane.pipe.recv()
            if isinstance(said, str):
                raise NotRun(said)
            if ran.model is None:
                ran.model, ran.profiles = plan.begin(said)
                ran.info = said
                ran.reachable = reachable(said, ran.model, ran.profiles)
        except (NotRun, EOFError, OSError) as reason:
            ran.ended.append(str(reason) or "the process that drives it has died")
            workers.close(lane.pipe)
            self._watch(ran)
            return
        ran.began = ran.began or time.monotonic()
        ran.lanes += 1
        ours, theirs = workers.pipe()
        self._working[ours] = replace(lane, pipe=ours)
        workers.start(think, lane.pipe, ran.model, self._share(lane), theirs)

    def _share(self, lane: _Lane) -> Share:
        limits, ran, lanes = self._limits, self.ran[lane.place], self._plans[lane.place].lanes
        steps = None if limits.steps is None else -(-limits.steps // lanes)
        until = None if limits.seconds is None or ran.began is None else ran.began + limits.seconds
        return Share(ran.profiles, limits.seed, steps, until, lane.number, lanes)

    def _hear(self, workers: Workers, lane: _Lane) -> None:
        """One scenario more, the reason why there are no more, or the end."""
        ran = self.ran[lane.place]
        try:
            said = lane.pipe.recv()
        except (EOFError, OSError):
            said = "the process that runs the model has died"
        if isinstance(said, Tally):
            ran.add(said)
        elif said is not None:
            ran.ended.append(said)
        if not isinstance(said, Tally) or self._limits.enough(ran.tally, ran.reachable):
            del self._working[lane.pipe]
            workers.close(lane.pipe)
        self._watch(ran)


# What the two processes of a lane do


class _Far:
    """A kernel that another process drives.  receive() raises Lost where that has died."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def send(self, scenario: Scenario) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # which is told when its result is awaited
            self._pipe.send(scenario)

    def receive(self) -> Result:
        try:
            result: Result = self._pipe.recv()
        except (EOFError, OSError):
            raise Lost("the process that drives the kernel has died") from None
        return result

    def finish(self) -> str | None:
        try:
            self._pipe.send(None)
            left: str | None = self._pipe.recv()
        except (EOFError, OSError):
            raise Lost("the process that drives the kernel has died") from None
        return left


def drive(make: Callable[[], Target | BatchTarget], pipe: Connection) -> None:
    """Make a target, say what it is, and run the scenarios that come."""
    target = make()
    try:
        try:
            info = target.info()
            pipe.send(with_fixes(target, info) if not isinstance(target, BatchTarget) else info)
        except Unavailable as reason:
            pipe.send(str(reason))
            return
        left = _all_that_come(target, pipe)
        try:
            pipe.send(left)
        except OSError:
            if left:
                print(f"pinhold: {left}", file=sys.stderr)
    finally:
        if isinstance(target, BatchTarget):
            target.close()


def _all_that_come(target: Target | BatchTarget, pipe: Connection) -> str | None:
    """Run scenarios until there is no more; what the last of them have left behind, in words, or None."""
    try:
        batches = target.batches() if isinstance(target, LiveTarget) else nullcontext()
        with batches, suppress(EOFError, BrokenPipeError, ConnectionResetError):  # nobody wants more
            while (scenario := pipe.recv()) is not None:
                pipe.send(run_on(target, scenario))
    except (LeftBehind, Broken, Crashed) as left:
        return str(left)
    return None


def run_on(target: Target | BatchTarget, scenario: Scenario) -> Result:
    """One scenario there; a guest stays."""
    if isinstance(target, BatchTarget):
        return next(iter(target.run_all([scenario])))
    return run_scenario(target, scenario)


def think(kernel: Connection, model: ModelTarget, share: Share, pipe: Connection) -> None:
    """Make the scenarios of a share, and compare what came of each."""
    said = None

    def report(tally: Tally) -> bool:
        pipe.send(tally)
        return True

    try:
        Lane(_Far(kernel), model, share, report).work()
    except Lost as lost:
        said = str(lost)
    with suppress(OSError):
        pipe.send(said)
