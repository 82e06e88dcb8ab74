"""What a guest's kernel counts of each watched page, looked up from outside after each step: needs pinhold[inspect]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pinhold.inspect.counts import Counting
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.view import View
from pinhold.lab.conversation import Conversation
from pinhold.lab.lane import Look
from pinhold.lab.seen import view_of
from pinhold.lab.target import VmTarget
from pinhold.scenario.counts import Counts, Place, Tally
from pinhold.scenario.observation import Observation
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.model.configuration import configuration
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

PAGE_SHIFT = 12


class Counter:
    """Of the guests of one lane, one after another.  The view of the last one is kept: close() lets go of it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._opened = ExitStack()
        self._guest: Conversation | None = None
        self._view: View | None = None

    def counted(self, run: Callable[[Look], Result]) -> Result:
        """What a run comes to, with counts in its observations; an error where the kernel cannot be looked at.

        run: is given what has to look after each step.
        """
        found: dict[int, Mapping[Place, Counts]] = {}
        counting: list[Counting] = []
        trouble: list[str] = []

        def look(guest: Conversation, record: StepRecord) -> None:
            if record.observation is None or trouble:
                return
            try:
                if not counting:
                    counting.append(Counting(self._view_of(guest)))
                found[record.index] = _look(counting[0], guest, record.observation)
            except CannotLook as reason:
                trouble.append(f"its kernel cannot be looked at: {reason}")

        result = run(look)
        steps = tuple(_with_counts(record, found.get(record.index)) for record in result.steps)
        if trouble and result.verdict.kind != "crashed":
            return replace(result, steps=steps, verdict=Verdict("error", None, trouble[0]))
        return replace(result, steps=steps)

    def _view_of(self, guest: Conversation) -> View:
        if self._view is None or guest is not self._guest:
            self.close()
            self._guest, self._view = guest, self._opened.enter_context(view_of(guest, self._target))
        return self._view

    def close(self) -> None:
        self._opened.close()
        self._guest = self._view = None


def _look(counting: Counting, guest: Conversation, observation: Observation) -> Mapping[Place, Counts]:
    counting.again()
    found: dict[Place, Counts] = {}
    for page in observation.pages:
        pid, regions = guest.places[page.proc]
        found[page.proc, page.region, page.page] = counting.at(pid, regions[page.region] + (page.page << PAGE_SHIFT))
    return found


def _with_counts(record: StepRecord, found: Mapping[Place, Counts] | None) -> StepRecord:
    if record.observation is None or found is None:
        return record
    pages = tuple(replace(page, counts=found[page.proc, page.region, page.page]) for page in record.observation.pages)
    return replace(record, observation=replace(record.observation, pages=pages))


@dataclass(frozen=True, slots=True)
class Compared:
    """result: the guest's; model: the specification's."""

    result: Result
    model: Result
    tally: Tally


def beside(target: VmTarget, model: ModelTarget, scenario: Scenario) -> Compared:
    """A scenario on a guest that counts, and on the model of its kernel: every value, not the first alone."""
    (result,) = target.run_all([scenario])
    told = run_scenario(model.counting().configured(configuration(result.pools)), scenario)
    tally = Tally()
    for left, right in zip(result.steps, told.steps, strict=False):
        if left.observation is not None and right.observation is not None:
            tally.add(left.index, _looks(left.observation), _looks(right.observation))
    return Compared(result, told, tally)


def _looks(observation: Observation) -> Mapping[Place, Counts]:
    return {(page.proc, page.region, page.page): page.counts for page in observation.pages if page.counts is not None}
