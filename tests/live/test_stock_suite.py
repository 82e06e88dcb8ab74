"""The suite `stock` on the running kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pinhold
from beside import all_wrong
from pinhold.commands.agreement import agreement, run_again, settled
from pinhold.commands.registry import describe, model_of
from pinhold.commands.runs import run_target
from pinhold.commands.select import select
from pinhold.report.results import TargetRun
from pinhold.targets.live.kernel import probe_sight
from pinhold.targets.runner import Result

AS_NOBODY = """
import sys
sys.path.insert(0, sys.argv[1])
from pinhold.scenario.suites import suite
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import run_scenario
live = LiveTarget()
for test in suite("stock").tests:
    if test.scenario.title.endswith(("with base page", "with memfd", "with shared memfd")):
        verdict = run_scenario(live, test.scenario).verdict
        print(test.number, verdict.kind, verdict.reason or "-", sep="|")
"""


@pytest.fixture(scope="module")
def run(live) -> TargetRun:
    """All of it, once."""
    return run_target(live, describe(live), select(["stock"]))


def unexpected(result: Result) -> str | None:
    """A verdict that this kernel gives no test."""
    return None if result.verdict.kind in ("held", "xfail", "skipped", "unknown") else str(result.verdict)


def test_every_test_is_decided_or_says_what_it_needs(live, run) -> None:
    """Nothing is violated here; what is skipped or cannot be seen says why."""
    results = [settled(live, result.result, unexpected) for result in run.results]
    assert all_wrong(results, unexpected) == {}
    assert all(r.verdict.reason for r in results if r.verdict.kind in ("skipped", "unknown"))
    kinds = {result.verdict.kind for result in results}
    if probe_sight().frames:
        assert "unknown" not in kinds
    assert sum(r.verdict.kind == "held" for r in results) > 50


def test_the_model_of_this_kernel_agrees(live, run) -> None:
    """Each verdict and each value that the model has, too, is the same, at the second try at least.

    Other programs make the kernel move pages.
    """
    model = model_of(run.info)
    theirs = run_target(model, describe(model), select(["stock"])).results
    found = agreement(run_again(live, run.results, theirs), theirs)
    assert found.differences == ()
    assert found.verdicts > 50 and found.values > 5000


def test_an_ordinary_user_gets_verdicts() -> None:
    """Without privilege what can run runs: only frames cannot be seen, and memory may be locked up to a limit."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user: this test runs as an ordinary user already")
    source = str(Path(pinhold.__file__).parents[1])
    command = [sys.executable, "-B", "-c", AS_NOBODY, source]
    ids = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        done = subprocess.run(command, check=False, cwd="/", capture_output=True, text=True, timeout=100, **ids)
    except PermissionError:
        pytest.skip(f"needs an interpreter that other users may run: {sys.executable} is not")
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("needs sources that other users may read: these are not")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert len(rows) == 20 + 8 + 4
    assert {kind for _, kind, _ in rows} <= {"held", "skipped", "unknown"}
    assert sum(kind == "held" for _, kind, _ in rows) >= 15
    for _, kind, reason in rows:
        assert kind != "unknown" or "cannot be seen" in reason
        assert kind != "skipped" or any(word in reason for word in ("needs", "tracks no soft-dirty", "io_uring")), (
            reason
        )
