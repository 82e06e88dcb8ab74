"""One kernel's part of a campaign: scenarios are made ahead of it, and what it did is compared while it does the next.

The kernel may be in another process.  Then both are always at work: while it runs one scenario, the model makes those
that follow, and those before are compared.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from pinhold.conform.coverage import verb
from pinhold.conform.differ import RUNS, Compared, Key, Run, again, compared, judged, not_momentary
from pinhold.conform.generate import Made, make
from pinhold.conform.shrink import shrink
from pinhold.conform.tally import Difference, Tally, told
from pinhold.conform.wanted import Wanted
from pinhold.scenario import steps as s
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result

AHEAD = 8
"""So many scenarios wait at the kernel: one that takes it long leaves the model at work meanwhile, and the other way
round."""

LOST = 3
"""After so many scenarios in a row of which the kernel did no step, it is taken for lost."""


class Kernel(Protocol):
    """Runs scenarios in the order in which they are sent."""

    def send(self, scenario: s.Scenario) -> None:
        """The next one."""

    def receive(self) -> Result:
        """What came of the first one that was sent and not yet received."""

    def finish(self) -> str | None:
        """There is no more: what all of them have left behind in the kernel, in words, or None."""


class Here:
    """A kernel in the same process: what is sent is run when its result is asked for."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sent: deque[s.Scenario] = deque()

    def send(self, scenario: s.Scenario) -> None:
        self._sent.append(scenario)

    def receive(self) -> Result:
        return self._run(self._sent.popleft())

    def finish(self) -> None:
        """Each run has looked for that."""


@dataclass(frozen=True, slots=True)
class Share:
    """What of a campaign one lane does: scenarios first, first + every, ... of the seed, the profiles taking turns.

    steps: at least so many; None: any number.  until: of time.monotonic(), after which none is begun; None: no end.
    """

    profiles: Sequence[Wanted]
    seed: int
    steps: int | None
    until: float | None = None
    first: int = 0
    every: int = 1

    def turns(self) -> Iterator[tuple[int, Wanted]]:
        """(number, profile) of each scenario."""
        return ((n, self.profiles[n % len(self.profiles)]) for n in count(self.first, self.every))


class Lost(Exception):
    """The kernel does nothing any more; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class _Sent:
    made: Made
    profile: str


class Lane:
    """report: is told what each scenario came to; False: nobody wants more."""

    def __init__(self, kernel: Kernel, model: ModelTarget, share: Share, report: Callable[[Tally], bool]) -> None:
        self._kernel, self._model, self._share, self._report = kernel, model, share, report
        self._sent: deque[_Sent] = deque()
        self._came: deque[Result] = deque()
        self._known: set[object] = set()
        self._steps = 0
        self._silent = 0

    def work(self) -> None:
        """Do the share.  Raises Lost, after everything that was done is told."""
        self._work()
        while len(self._came) < len(self._sent):  # what nobody wants any more
            self._came.append(self._kernel.receive())
        if left := self._kernel.finish():
            raise Lost(left)

    def _work(self) -> None:
        wanted = True
        for number, profile in self._share.turns():
            while wanted and self._sent and (len(self._sent) > AHEAD or self._enough(also_sent=True)):
                wanted = self._next()
            if not wanted or self._enough():
                return
            made = make(self._model, profile, self._share.seed, number)
            self._kernel.send(made.scenario)
            self._sent.append(_Sent(made, profile.profile))

    def _enough(self, also_sent: bool = False) -> bool:
        """Whether no scenario need be begun.  also_sent: if all steps of those that wait are done."""
        if self._share.until is not None and time.monotonic() >= self._share.until:
            return True
        if self._share.steps is None:
            return False
        ahead = sum(len(each.made.scenario.steps) for each in self._sent) if also_sent else 0
        return self._steps + ahead >= self._share.steps

    def _next(self) -> bool:
        """Compare the first of those that wait.  Whether more is wanted."""
        sent = self._sent.popleft()
        ours = self._came.popleft() if self._came else self._kernel.receive()
        found = judged(ours, self._model, sent.made.scenario, film=sent.made.film)
        found = not_momentary(self._run, self._model, ours, found)
        tally = told(sent.profile, found)
        if found.difference is not None:
            tally.differences.append(self._looked_into(found))
        self._steps += found.steps
        more = self._report(tally)
        self._silent = 0 if found.steps else self._silent + 1
        if self._silent == LOST:
            raise Lost(found.trouble or "; ".join(reason for _, reason in found.left_out))
        return more

    def _looked_into(self, found: Compared) -> Difference:
        """The difference, run again; of a kind that is new in this lane, as small as it gets."""
        came = again(self._run, self._model, found)
        scenario = found.scenario
        if 2 * came > RUNS and found.key not in self._known:
            self._known.add(found.key)
            scenario = shrink(scenario, lambda smaller: self._key(smaller) == found.key)
        assert found.difference is not None
        what = verb(found.scenario.steps[-1]), found.difference.field
        return Difference(found.scenario.title, found.words(), came, scenario, *what)

    def _key(self, scenario: s.Scenario) -> Key | None:
        return compared(self._run, self._model, scenario, momentary=False).key

    def _run(self, scenario: s.Scenario) -> Result:
        """One scenario out of turn, behind those that wait."""
        while len(self._came) < len(self._sent):
            self._came.append(self._kernel.receive())
        self._kernel.send(scenario)
        return self._kernel.receive()
