"""Results as they travel from the guest to the host: the words of the run file, one record a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any

from pinhold.scenario.observation import Observation, PageView, PinView
from pinhold.scenario.ran import Expected
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import KINDS, Verdict
from pinhold.targets.base import Outcome
from pinhold.targets.runner import Result, StepRecord

Record = dict[str, Any]


def plain_step(record: StepRecord, before: Observation | None = None) -> Record:
    """What of a step's record the host does not know.  before: the last observation that it was told."""
    outcome, seen = record.outcome, record.observation
    return {
        "index": record.index,
        "outcome": None if outcome is None else [outcome.errno, outcome.note, outcome.by],
        "check": record.check,
        "expected": None if record.expected is None else asdict(record.expected),
        "seen": None
        if seen is None
        else [seen.errno, _told(seen.pages, before.pages if before else ()), [_pin_values(pin) for pin in seen.pins]],
    }


def _told(pages: Sequence[PageView], before: Sequence[PageView]) -> list[list[Any]]:
    """The values of each page, but of those that are in the observation before: of these [first, count] there."""
    known = {id(page): at for at, page in enumerate(before)}
    told: list[list[Any]] = []
    for page in pages:
        at = known.get(id(page))
        if at is None:
            told.append(list(_page_values(page)))
        elif told and len(told[-1]) == 2 and sum(told[-1]) == at:
            told[-1][1] += 1
        else:
            told.append([at, 1])
    return told


def _heard(told: list[list[Any]], before: Sequence[PageView]) -> Iterator[PageView]:
    """The inverse."""
    for each in told:
        if len(each) != 2:
            yield PageView(*each)
            continue
        first, count = each
        if not 0 <= first < first + count <= len(before):
            raise ValueError(f"no {count} pages from {first} on in the observation before")
        yield from before[first : first + count]


# Not asdict(), which copies deeply: a guest under TCG makes thousands of these.
_page_values = attrgetter(*(field.name for field in fields(PageView) if field.name != "counts"))
_pin_values = attrgetter(*(field.name for field in fields(PinView)))


def step_record(plain: Record, scenario: Scenario, before: Observation | None = None) -> StepRecord:
    """The record of the host's own scenario.  before: the last observation of it that has come.

    Raises LookupError, TypeError, ValueError for what is none.
    """
    seen, outcome = plain["seen"], plain["outcome"]
    observation = None
    if seen is not None:
        errno, pages, pins = seen
        known = before.pages if before else ()
        observation = Observation(errno, tuple(_heard(pages, known)), tuple(PinView(*p) for p in pins))
    return StepRecord(
        plain["index"],
        scenario.steps[plain["index"]],
        None if outcome is None else _outcome(*outcome),
        observation,
        plain["check"],
        _expected(plain["expected"]),
    )


def _outcome(errno: int, note: str | None, by: str | None) -> Outcome:
    return Outcome(errno, note, by=by)


def _expected(plain: Record | None) -> Expected | None:
    if plain is None:
        return None
    return Expected(**{**plain, "sides": tuple(plain["sides"]), "found": tuple(plain["found"])})


def plain_result(result: Result) -> Record:
    """A result without its steps, which went before it."""
    return {
        "verdict": asdict(result.verdict),
        "mechanisms": result.mechanisms,
        "seconds": result.seconds,
        "pools": dict(result.pools),
    }


def result(plain: Record, target: str, scenario: Scenario, steps: tuple[StepRecord, ...]) -> Result:
    """Raises LookupError, TypeError, ValueError for what is none."""
    verdict = Verdict(**plain["verdict"])
    if verdict.kind not in KINDS:
        raise ValueError(f"no verdict: {verdict.kind!r:.40}")
    mechanisms, pools = dict(plain["mechanisms"]), dict(plain["pools"])
    return Result(target, scenario, verdict, steps, mechanisms, float(plain["seconds"]), pools)
