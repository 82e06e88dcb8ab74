"""Runs one scenario on one target, evaluates its expectations and gives the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pinhold.scenario.observation import Observation
from pinhold.scenario.runfile import RecordedStep, RecordedTarget
from pinhold.scenario.step import Scenario, Step
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Outcome, Target, TargetInfo


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step that was done.

    outcome: of an action, None for requirements and expectations; observation: None for requirements;
    check: "held", "violated" or "unknown" for an expectation.
    """

    index: int
    step: Step
    outcome: Outcome | None = None
    observation: Observation | None = None
    check: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """mechanisms: pin name -> mechanism that the target says it used; seconds: wall time, opening included."""

    target: str
    scenario: Scenario
    verdict: Verdict
    steps: tuple[StepRecord, ...] = ()
    mechanisms: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The observations in order, for compare.first_difference()."""
        return tuple(r.observation for r in self.steps if r.observation is not None)


def run_scenario(
    target: Target, scenario: Scenario, on_step: Callable[[StepRecord], None] | None = None
) -> Result:
    """Run it to its verdict; on_step sees each record as it is made.  Never raises for what a target reports."""
    raise NotImplementedError


def recorded_step(record: StepRecord) -> RecordedStep:
    """A record as the run file keeps it."""
    raise NotImplementedError


def recorded_target(info: TargetInfo) -> RecordedTarget:
    """A target's description as the run file keeps it."""
    raise NotImplementedError
