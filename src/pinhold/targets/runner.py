"""Runs one scenario on one target, evaluates its expectations and gives the verdict.

The first thing that decides ends the run: a requirement that is not met, a step that this target cannot do, an
expectation that is violated, an action that failed and was not expected to.  What could not be read is unknown, never
held.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pinhold.scenario.errnos import ERRNO, OK, errno_name
from pinhold.scenario.forms import Role, Thing
from pinhold.scenario.observation import Observation
from pinhold.scenario.printer import format_small, format_step
from pinhold.scenario.ran import Expected
from pinhold.scenario.runfile import RecordedStep
from pinhold.scenario.steps import Action, Expectation, ExpectErrno, Require, Scenario, Step, done_by
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Broken, CannotDo, Crashed, LeftBehind, Livelock, Outcome, Session, Target, Unavailable
from pinhold.targets.expect import Check, check, expected, requirement


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step that was done.

    outcome: of an action, None for requirements and expectations; observation: None for requirements, and for an action
    that never ended or was left out (the outcome's note says why);
    check: "held", "violated" or "unknown" for an expectation, which `expected` is as data.
    """

    index: int
    step: Step
    outcome: Outcome | None = None
    observation: Observation | None = None
    check: str | None = None
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """mechanisms: pin name -> mechanism that the target says it used; seconds: wall time, opening included; pools: what
    of those the target had before the first step (Session.pools)."""

    target: str
    scenario: Scenario
    verdict: Verdict
    steps: tuple[StepRecord, ...] = ()
    mechanisms: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    pools: Mapping[str, str] = field(default_factory=dict)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The observations in order, for compare.first_difference()."""
        return tuple(r.observation for r in self.steps if r.observation is not None)

    @property
    def observed(self) -> tuple[StepRecord, ...]:
        """The records that have an observation: observed[Difference.index] tells which step differed."""
        return tuple(r for r in self.steps if r.observation is not None)


def run_scenario(
    target: Target,
    scenario: Scenario,
    on_step: Callable[[StepRecord], None] | None = None,
    on_open: Callable[[Any], None] | None = None,
) -> Result:
    """Run it to its verdict; on_step sees each record as it is made, on_open the target's session before the first.

    Never raises for what a target reports, nor for a defect of the target itself: that is the verdict `error`.
    """
    started = time.perf_counter()
    run = _Run(scenario, on_step)
    verdict = _guarded(run, target, on_open or (lambda session: None))
    seconds = time.perf_counter() - started
    return Result(target.name, scenario, verdict, tuple(run.records), run.mechanisms, seconds, run.pools)


class _Decided(Exception):
    """The run is over."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


_MEANS: dict[type[Exception], str] = {
    CannotDo: "skipped",
    Unavailable: "skipped",
    Livelock: "livelock",
    Broken: "error",
    Crashed: "crashed",
}
"""What a target raises, and the verdict that this is."""


def _guarded(run: _Run, target: Target, on_open: Callable[[Any], None]) -> Verdict:
    """The verdict, with what the target raises turned into one.

    A scenario for virtual machines only may do harm to the kernel: what it leaves behind is said beside its verdict.
    """
    verdict = None
    try:
        with target.open(run.scenario) as session:
            try:
                run.pools = session.pools()
                on_open(session)
                run.to_the_end(session)
                verdict = run.verdict()
            except _Decided as decided:
                verdict = decided.verdict
        return verdict
    except LeftBehind as left:
        if verdict is None or run.scenario.vm_only is None:
            return run.decided("error", str(left))
        return replace(verdict, reason=f"{verdict.reason}; {left}" if verdict.reason else str(left))
    except (CannotDo, Unavailable, Livelock, Broken, Crashed) as raised:
        kind = next(kind for cls, kind in _MEANS.items() if isinstance(raised, cls))
        return run.decided(kind, str(raised))
    except Exception as defect:  # a defect of the tool must not end the other scenarios of a suite
        at = traceback.extract_tb(defect.__traceback__)[-1]
        return run.decided("error", f"{type(defect).__name__} in {at.name}, line {at.lineno}: {defect}")


class _Run:
    """How far a scenario is run."""

    def __init__(self, scenario: Scenario, on_step: Callable[[StepRecord], None] | None) -> None:
        self.scenario = scenario
        self.records: list[StepRecord] = []
        self.mechanisms: dict[str, str] = {}
        self.pools: Mapping[str, str] = {}
        self._on_step = on_step
        self._index = -1
        self._errno = 0
        self._failed: dict[str, str] = {}
        self._checks: list[tuple[int, Check, str | None]] = []

    def to_the_end(self, session: Session) -> None:
        """Do every step.  Raises _Decided where one decides the verdict."""
        for index, step in enumerate(self.scenario.steps):
            self._index = index
            self._refuse_what_failed(step)
            if isinstance(step, Action):
                self._act(session, step)
            elif isinstance(step, Require):
                self._require(session, step)
            elif isinstance(step, Expectation):
                self._expect(session, step)
            else:
                raise TypeError(f"neither an action nor a statement: {step!r}")

    def verdict(self) -> Verdict:
        """The verdict of a run that nothing ended early."""
        if not self._checks:
            return self._by_properties()
        for index, found, text in self._checks:
            if found.kind == "unknown":
                return Verdict("unknown", text, found.reason, index)
        index, _, text = self._checks[-1]
        return Verdict("held", text, None, index)

    def _by_properties(self) -> Verdict:
        """The verdict of a scenario that expects nothing: by the safety properties, where the target looks at them."""
        for record in self.records:
            if record.outcome is not None and record.outcome.violated:
                return Verdict("violated", None, "; ".join(record.outcome.violated), record.index)
        return Verdict(
            "unknown", None, "the scenario expects nothing" + ", it is to be compared" * self.scenario.observe
        )

    def decided(self, kind: str, reason: str, text: str | None = None) -> Verdict:
        """A verdict that the step at hand decided."""
        return Verdict(kind, text, reason, self._index if self._index >= 0 else None)

    def _act(self, session: Session, step: Action) -> None:
        try:
            outcome = session.do(step)
        except Livelock as livelock:
            self._record(StepRecord(self._index, step, Outcome(note="never ends", decisions=livelock.decisions)))
            raise
        except CannotDo as reason:
            if not self.scenario.observe:
                raise
            self._record(StepRecord(self._index, step, Outcome(note=str(reason))))
            return
        self._errno = outcome.errno
        if mechanism := _mechanism(step, outcome):
            self.mechanisms[str(step.named(Role.MAKES, Thing.PIN))] = mechanism
        observation = replace(session.observe(), errno=outcome.errno)
        self._record(StepRecord(self._index, step, outcome, observation))
        if self.scenario.observe:
            return
        if outcome.errno and not self._is_asked_for(step, outcome.errno):
            raise _Decided(self._failure(step, outcome))
        if outcome.errno and (made := _made_by(step)) is not None:
            self._failed[made] = errno_name(outcome.errno)

    def _refuse_what_failed(self, step: Step) -> None:
        """Raise _Decided for a step on something that an action should have made, but failed as expected."""
        for name in _named_by(step) if self._failed else ():
            if name in self._failed:
                raise _Decided(self.decided("unknown", f"there is no {name}: it failed with {self._failed[name]}"))

    def _is_asked_for(self, step: Action, errno: int) -> bool:
        """Whether the scenario decides about the errno: it asks for it, or for another that the step could answer."""
        after = self.scenario.steps[self._index + 1 : self._index + 2]
        if not after or not isinstance(after[0], ExpectErrno):
            return False
        return errno_name(errno) == after[0].errno or not step.meets.refuses(errno)

    def _failure(self, step: Action, outcome: Outcome) -> Verdict:
        """The verdict of an action whose failure the scenario does not ask for."""
        kind, why = step.meets.judge(outcome.errno, outcome.note)
        return self.decided(kind, f"{format_step(step)}: {why}{self._own_limits(kind, outcome.errno)}")

    def _own_limits(self, kind: str, errno: int) -> str:
        """What a small machine was given by its scenario, where something was short."""
        if self.scenario.small is None or kind != "skipped" or errno not in (ERRNO["ENOMEM"], ERRNO["EAGAIN"]):
            return ""
        return f"; this scenario's machine has what its line says: {format_small(self.scenario.small)}"

    def _require(self, session: Session, step: Require) -> None:
        self._record(StepRecord(self._index, step))
        unmet = requirement(session, step)
        if unmet is not None:
            raise _Decided(self.decided("skipped", step.text or unmet))

    def _expect(self, session: Session, step: Expectation) -> None:
        found = self._errno_check(step) if isinstance(step, ExpectErrno) else check(session, step)
        self._checks.append((self._index, found, step.text))
        observation = replace(session.observe(), errno=None)
        self._record(StepRecord(self._index, step, None, observation, found.kind, expected(step, found)))
        if found.kind == "violated":
            kind = "violated" if self.scenario.xfail is None else "xfail"
            reason = self.scenario.xfail or found.reason or format_step(step)
            raise _Decided(self.decided(kind, reason, step.text))

    def _errno_check(self, step: ExpectErrno) -> Check:
        wanted = 0 if step.errno == OK else ERRNO[step.errno]
        if self._errno == wanted:
            return Check("held")
        return Check("violated", f"the step before gave {errno_name(self._errno)}, expected {step.errno}")

    def _record(self, record: StepRecord) -> None:
        self.records.append(record)
        if self._on_step is not None:
            self._on_step(record)


def _mechanism(step: Step, outcome: Outcome) -> str | None:
    """What made the pin of a step that makes one."""
    made = isinstance(step, Action) and step.named(Role.MAKES, Thing.PIN) is not None and outcome.errno == 0
    return outcome.note if made else None


def _made_by(step: Action) -> str | None:
    """What the action makes, in words; what a task makes is told by its schedule."""
    made = step.made()
    return None if made is None or made.thing is Thing.TASK else f"{made.thing.value} {made.name}"


def _named_by(step: Step) -> Iterator[str]:
    """What the step names, in the words of _made_by()."""
    step = done_by(step)
    yield from (f"{ref.thing.value} {ref.name}" for ref in step.references() if ref.thing is not Thing.TASK)
    yield from (f"region {place.range.region}" for place in step.places())


def recorded_step(record: StepRecord) -> RecordedStep:
    """A record as the run file keeps it."""
    outcome = record.outcome or Outcome()
    return RecordedStep(
        record.index,
        format_step(record.step),
        record.observation,
        outcome.note,
        record.check,
        outcome.decisions,
        _mechanism(record.step, outcome),
        record.expected,
        outcome.turns,
        outcome.violated,
    )
