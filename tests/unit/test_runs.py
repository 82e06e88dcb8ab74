"""Running selected tests: order, worker processes, a worker that dies."""

import os
from collections.abc import Sequence

import pytest

from fakes import FakeTarget
from pinhold.commands import runs
from pinhold.commands.select import Selected, select
from pinhold.scenario.step import Scenario
from pinhold.targets.base import Target
from pinhold.targets.runner import Result


def first(count: int) -> Sequence[Selected]:
    """The first tests of the suite."""
    return select([f"seed/1-{count}"])


def test_workers_give_the_same_results_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tests run in worker processes the results do not depend on it."""
    tests = first(40)
    target = FakeTarget("model:fake")
    parallel = list(runs.run_tests(target, tests))
    monkeypatch.setattr(runs.os, "cpu_count", lambda: 1)
    alone = list(runs.run_tests(target, tests))
    assert [r.number for r in parallel] == list(range(1, 41))
    assert [(r.name, r.verdict) for r in parallel] == [(r.name, r.verdict) for r in alone]


def test_a_worker_that_dies_is_an_error_of_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead worker costs its own tests their verdicts, and the command goes on to its end."""
    real, tests = runs.run_scenario, first(20)

    def run(target: Target, scenario: Scenario) -> Result:
        if scenario is tests[3].scenario:
            os._exit(1)
        return real(target, scenario)

    monkeypatch.setattr(runs, "run_scenario", run)
    kinds = [r.verdict.kind for r in runs.run_tests(FakeTarget("model:fake"), tests)]
    assert len(kinds) == 20
    assert kinds[3] == "error"
    assert [n for n in range(20) if kinds[n] == "error"] == [n for n in range(3, 20) if n % 4 in (0, 3)]


def test_live_runs_in_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a real kernel are never run beside each other."""
    seen = []
    real = runs.run_scenario

    def run(target: Target, scenario: Scenario) -> Result:
        seen.append(os.getpid())
        return real(target, scenario)

    monkeypatch.setattr(runs, "run_scenario", run)
    list(runs.run_tests(FakeTarget("live"), first(20)))
    assert seen == [os.getpid()] * 20


def test_no_worker_is_left_when_the_reader_stops() -> None:
    """Leaving early (Ctrl-C, a closed pipe) ends the workers."""
    results = runs.run_tests(FakeTarget("model:fake"), first(40))
    next(results)
    results.close()
    assert not runs.multiprocessing.active_children()
