"""Running selected tests: order, worker processes, a worker that dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes import FakeTarget
from pinhold.commands import runs, workers
from pinhold.commands.select import Selected, select
from pinhold.scenario.steps import Scenario
from pinhold.targets import batch
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
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 1)
    alone = list(runs.run_tests(target, tests))
    assert [r.number for r in parallel] == list(range(1, 41))
    assert [(r.name, r.verdict) for r in parallel] == [(r.name, r.verdict) for r in alone]


def test_a_worker_that_dies_is_an_error_of_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead worker costs the test that it ran its verdict, and the others are run to the end."""
    real, tests = runs.run_scenario, first(20)

    def run(target: Target, scenario: Scenario) -> Result:
        if scenario is tests[3].scenario:
            os._exit(1)
        return real(target, scenario)

    monkeypatch.setattr(runs, "run_scenario", run)
    kinds = [r.verdict.kind for r in runs.run_tests(FakeTarget("model:fake"), tests)]
    assert len(kinds) == 20
    assert [n for n in range(20) if kinds[n] == "error"] == [3]


def test_when_all_workers_have_died_the_rest_is_told() -> None:
    """Nothing is waited for then; what was finished before is kept."""

    def do(number: int) -> str:
        return "done" if number == 0 else os._exit(1)

    found = list(workers.in_workers(do, range(5), lambda number: f"died at {number}"))
    assert found == ["done", *(f"died at {number}" for number in range(1, 5))]


def test_an_interrupt_is_the_callers_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C reaches the whole group; the workers neither die of it nor say anything."""

    def do(number: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return number

    assert list(workers.in_workers(do, range(4), lambda number: -1)) == [0, 1, 2, 3]
    assert capfd.readouterr() == ("", "")


def test_workers_end_with_their_program() -> None:
    """Killed, it leaves none of them: each waits at a pipe whose other end is nobody else's."""
    code = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pinhold.commands.workers import in_workers\n"
        "for pid in in_workers(lambda n: os.getpid(), range(2), lambda n: 0): print(pid, flush=True)\n"
        "list(in_workers(lambda n: print(os.getpid(), flush=True) or time.sleep(2), range(2), lambda n: 0))\n"
    )
    source = str(Path(workers.__file__).parents[2])
    with subprocess.Popen([sys.executable, "-c", code, source], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for _ in range(4):
            program.stdout.readline()
        program.kill()
        # The workers have the other end of this pipe, too.
        assert program.stdout.read() == ""


def test_live_runs_in_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a real kernel are never run beside each other."""
    seen = []
    real = batch.run_scenario

    def run(target: Target, scenario: Scenario) -> Result:
        seen.append(os.getpid())
        return real(target, scenario)

    monkeypatch.setattr(batch, "run_scenario", run)
    list(runs.run_tests(FakeTarget("live"), first(20)))
    assert seen == [os.getpid()] * 20


def test_no_worker_is_left_when_the_reader_stops() -> None:
    """Leaving early (Ctrl-C, a closed pipe) ends the workers."""
    results = runs.run_tests(FakeTarget("model:fake"), first(40))
    next(results)
    results.close()
    assert not workers.multiprocessing.active_children()
