"""A real kernel beside what is right: a difference is one that comes again.

The kernel may move any page at any time, for the sake of other programs.  Every test that compares a real kernel goes
by this, or by what it stands on: agreement.settled().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pinhold.commands.agreement import compare_results, settled
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget, run_each
from pinhold.targets.runner import Result, run_scenario

Wrong = Callable[[Result], str | None]
"""What is wrong with a result, in words, or None."""


def results_of(target: Target | BatchTarget, scenarios: Sequence[Scenario], wrong: Wrong) -> list[Result]:
    """What a real kernel does, at the second try where something is wrong at the first."""
    return [settled(target, result, wrong) for result in list(run_each(target, scenarios))]


def all_wrong(results: Iterable[Result], wrong: Wrong) -> dict[str, str]:
    """What is wrong with which scenario."""
    return {result.scenario.title: words for result in results if (words := wrong(result)) is not None}


def unlike(model: Target) -> Wrong:
    """In what a result differs from the model's: the first value, frames included."""

    def wrong(result: Result) -> str | None:
        difference = compare_results(result, run_scenario(model, result.scenario)).difference
        return None if difference is None else str(difference)

    return wrong
