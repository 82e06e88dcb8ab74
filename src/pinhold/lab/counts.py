"""A guest's kernel beside the specification, count by count: what neither's processes see, after every step."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from pinhold.inspect.counts import Counting
from pinhold.inspect.view import View
from pinhold.lab.conversation import Conversation
from pinhold.lab.seen import view_of
from pinhold.lab.target import VmTarget
from pinhold.scenario.counts import Counts, Look, Place, Tally, compare_counts
from pinhold.scenario.observation import Observation
from pinhold.scenario.steps import Scenario
from pinhold.targets.model import counts as specified
from pinhold.targets.model.configuration import configuration
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result, StepRecord, run_scenario

PAGE_SHIFT = 12


@dataclass(frozen=True, slots=True)
class Compared:
    """result: the guest's; model: the specification's."""

    result: Result
    model: Result
    tally: Tally


class Beside:
    """A guest and the model of its kernel.  Views of the guest's kernel are kept: close() lets go of them."""

    def __init__(self, target: VmTarget, model: ModelTarget) -> None:
        self._target, self._model = target, model
        self._opened = ExitStack()
        self._guest: Conversation | None = None
        self._view: View | None = None

    def run(self, scenario: Scenario) -> Compared:
        """The scenario on both.  Raises CannotLook, drgn.FaultError."""
        result, seen = self._look_at_guest(scenario)
        model = self._model.configured(configuration(result.pools))
        told, counted = look_at_model(model, scenario)
        return Compared(result, told, compare_counts(seen, counted))

    def _look_at_guest(self, scenario: Scenario) -> tuple[Result, dict[int, Look]]:
        looks: dict[int, Look] = {}
        counting: list[Counting] = []

        def look(guest: Conversation, record: StepRecord) -> None:
            if record.observation is None:
                return
            if not counting:
                counting.append(Counting(self._view_of(guest)))
            looks[record.index] = _counts(counting[0], guest, record.observation)

        return self._target.watch(scenario, look), looks

    def _view_of(self, guest: Conversation) -> View:
        if self._view is None or guest is not self._guest:
            self._opened.close()
            self._guest, self._view = guest, self._opened.enter_context(view_of(guest, self._target.name))
        return self._view

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *how: object) -> None:
        self.close()


def look_at_model(model: ModelTarget, scenario: Scenario) -> tuple[Result, dict[int, Look]]:
    """The scenario on the specification, and what it counts after each step."""
    looks: dict[int, Look] = {}
    opened: list[ModelSession] = []

    def look(record: StepRecord) -> None:
        if record.observation is None:
            return
        names = opened[0].names
        looks[record.index] = {
            (page.proc, page.region, page.page): specified.counts_at(
                names.m, names.mm(page.proc), names.regions[page.proc][page.region][0] + page.page
            )
            for page in record.observation.pages
        }

    return run_scenario(model, scenario, look, opened.append), looks


def _counts(counting: Counting, guest: Conversation, observation: Observation) -> Look:
    counting.again()
    found: dict[Place, Counts] = {}
    for page in observation.pages:
        pid, regions = guest.places[page.proc]
        found[page.proc, page.region, page.page] = counting.at(pid, regions[page.region] + (page.page << PAGE_SHIFT))
    return found
