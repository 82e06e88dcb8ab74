"""Results as they travel from the guest to the host: the words of the run file, one record a message."""

from __future__ import annotations

from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any

from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import KINDS, Verdict
from pinhold.targets.base import Outcome
from pinhold.targets.runner import Result, StepRecord

Record = dict[str, Any]


def plain_step(record: StepRecord) -> Record:
    """What of a step's record the host does not know."""
    outcome, seen = record.outcome, record.observation
    return {
        "index": record.index,
        "outcome": None if outcome is None else [outcome.errno, outcome.note],
        "check": record.check,
        "seen": None
        if seen is None
        else [seen.errno, [_page_values(page) for page in seen.pages], [_pin_values(pin) for pin in seen.pins]],
    }


# Not asdict(), which copies deeply: a guest under TCG makes thousands of these.
_page_values = attrgetter(*(field.name for field in fields(PageView)))
_pin_values = attrgetter(*(field.name for field in fields(PinView)))


def step_record(plain: Record, scenario: Scenario) -> StepRecord:
    """The record of the host's own scenario.  Raises LookupError, TypeError, ValueError for what is none."""
    seen, outcome = plain["seen"], plain["outcome"]
    observation = None
    if seen is not None:
        errno, pages, pins = seen
        observation = Observation(errno, tuple(PageView(*p) for p in pages), tuple(PinView(*p) for p in pins))
    return StepRecord(
        plain["index"],
        scenario.steps[plain["index"]],
        None if outcome is None else Outcome(*outcome),
        observation,
        plain["check"],
    )


def plain_result(result: Result) -> Record:
    """A result without its steps, which went before it."""
    return {"verdict": asdict(result.verdict), "mechanisms": result.mechanisms, "seconds": result.seconds}


def result(plain: Record, target: str, scenario: Scenario, steps: tuple[StepRecord, ...]) -> Result:
    """Raises LookupError, TypeError, ValueError for what is none."""
    verdict = Verdict(**plain["verdict"])
    if verdict.kind not in KINDS:
        raise ValueError(f"no verdict: {verdict.kind!r:.40}")
    return Result(target, scenario, verdict, steps, dict(plain["mechanisms"]), float(plain["seconds"]))
