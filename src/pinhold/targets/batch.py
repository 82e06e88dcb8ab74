"""Targets that run whole scenarios somewhere else, many in one go: a guest is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.base import Target
from pinhold.targets.runner import Result, run_scenario


@runtime_checkable
class BatchTarget(Protocol):
    """See base.Target; it takes scenarios instead of steps, and has to be closed."""

    name: str
    what: str

    def unavailable(self) -> str | None:
        """Why it cannot work here, found out without starting anything."""

    def info(self) -> TargetInfo:
        """Raises Unavailable."""

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """The results, in order, each as soon as it and all before it are known."""

    def share(self, guests: int) -> None:
        """Let it use so many cores, where that helps."""

    def close(self) -> None:
        """End what it has started.  It may be used again."""

    def stop(self) -> None:
        """End it for good, from another thread: what runs gives its results at once."""


def run_each(target: Target | BatchTarget, scenarios: Sequence[Scenario]) -> Iterator[Result]:
    """The results in order, on any target; one that has to be closed stays as it is."""
    if isinstance(target, BatchTarget):
        return target.run_all(scenarios)
    return (run_scenario(target, scenario) for scenario in scenarios)


def run_on(target: Target | BatchTarget, scenario: Scenario) -> Result:
    """One scenario on any target, which is closed afterwards."""
    try:
        return next(iter(run_each(target, [scenario])))
    finally:
        if isinstance(target, BatchTarget):
            target.close()
