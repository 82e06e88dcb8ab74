"""One scenario on a real kernel and on the model of its release: whether they differ, in what, and whether again.

The real kernel goes first.  The model does what that could do, so that a mechanism that is missing there is no
difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pinhold.conform.allowed import MOMENTARY, as_filmed, follow
from pinhold.conform.wanted import by_any
from pinhold.scenario import steps as s
from pinhold.scenario.compare import Difference
from pinhold.scenario.printer import format_step
from pinhold.targets.model.configuration import configuration
from pinhold.targets.model.film import Film
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

Run = Callable[[s.Scenario], Result]

Key = tuple[str, str, str, str]
"""What kind of difference it is: the step's class, the field, and both values in words."""

RUNS = 3
"""A difference counts that comes in most of so many fresh runs."""


@dataclass(frozen=True, slots=True)
class Compared:
    """scenario: of the steps that were done, up to the one at which both sides differ.  values: that both saw.
    names: of the two targets.  left_out: steps that the real kernel could not do, and one that the model could not,
    with the reason.  trouble: what ended a run before its end.  real, told: the records of the steps that were done, of
    the real kernel and of the model.  settled: how many values another outcome that is allowed explains, by which (see
    allowed.py).
    masked: how many values differ as a mask explains, by its name.  whole: the scenario with all its steps."""

    scenario: s.Scenario
    names: tuple[str, str]
    steps: int
    values: int
    difference: Difference | None = None
    left_out: tuple[tuple[s.Step, str], ...] = ()
    trouble: str = ""
    real: tuple[StepRecord, ...] = ()
    told: tuple[StepRecord, ...] = ()
    settled: Mapping[str, int] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    whole: s.Scenario | None = None

    @property
    def key(self) -> Key | None:
        """None where nothing differs."""
        if self.difference is None:
            return None
        d = self.difference
        return type(self.scenario.steps[-1]).__name__, d.field, d.left, d.right

    def words(self) -> str:
        """The difference in one sentence."""
        assert self.difference is not None
        return self.difference.words(*self.names, format_step(self.scenario.steps[-1]))


def compared(real: Run, model: ModelTarget, scenario: s.Scenario, momentary: bool = True) -> Compared:
    """Both runs, compared step by step to the first difference; momentary: see judged()."""
    return judged(real(scenario), model, scenario, momentary)


def judged(
    ours: Result, model: ModelTarget, scenario: s.Scenario, momentary: bool = True, film: Film | None = None
) -> Compared:
    """What the real kernel did, beside what the model allows that has as much of everything as that had.

    momentary: whether what others do for a moment explains a difference.  It does not in a run that is to show whether
    the difference comes again.  film: of the scenario on the model, if there is one: where both did the same it need
    not run again.
    """
    model = model.configured(configuration(ours.pools))
    stuck = ours.verdict.step if ours.verdict.kind == "livelock" else None
    done = [record for record in ours.steps if record.observation is not None]
    left = tuple(
        (record.step, record.outcome.note or "")
        for record in ours.steps
        if record.outcome and not record.observation and record.index != stuck
    )
    both = replace(scenario, steps=tuple(by_any(record.step, took(record)) for record in done))
    said = f"{ours.target}: {ours.verdict.kind}: {ours.verdict.reason}"
    skipped = ours.verdict.kind == "skipped" and not ours.steps
    trouble = "" if skipped or ours.verdict.kind == "unknown" else said
    if skipped:
        left = ((scenario.steps[0], ours.verdict.reason or ""),)
    if stuck is not None and _never_ends(model, both, scenario.steps[stuck]):
        trouble = ""
    found = as_filmed(film, model, both, ours.observations) if film is not None else None
    found = found or follow(model, both, ours.observations, momentary)
    until = None if found.difference is None else found.difference.index + 1
    both = replace(scenario, steps=tuple(record.step for record in done[:until]))
    return Compared(
        both,
        (ours.target, model.name),
        len(done),
        found.values,
        found.difference,
        (*left, *found.left_out),
        trouble or found.trouble,
        tuple(done),
        tuple(found.records),
        found.settled,
        found.masked,
        scenario,
    )


def took(record: StepRecord) -> str | None:
    """Which mechanism was asked for a pin, also where it failed."""
    return record.outcome.by if record.outcome is not None else None


def _never_ends(model: ModelTarget, done: s.Scenario, stuck: s.Step) -> bool:
    """Whether a step that a kernel does not end never ends on the model either.

    It may have no record: where a whole kernel is stuck, nobody is left to tell of it.
    """
    return run_scenario(model, replace(done, steps=(*done.steps, by_any(stuck)))).verdict.kind == "livelock"


def again(real: Run, model: ModelTarget, first: Compared) -> int:
    """In how many of RUNS runs, the first among them, the same difference shows."""
    return 1 + sum(compared(real, model, first.scenario, momentary=False).key == first.key for _ in range(RUNS - 1))


def not_momentary(real: Run, model: ModelTarget, ours: Result, found: Compared) -> Compared:
    """The same comparison, in which what others are said to have done for a moment is a difference if it comes in most
    fresh runs: then nobody else did it."""
    assert found.whole is not None
    if MOMENTARY.isdisjoint(found.settled):
        return found
    strict = judged(ours, model, found.whole, momentary=False)
    return strict if 2 * again(real, model, strict) > RUNS else found
