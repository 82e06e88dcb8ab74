"""The suite `seed` on the running kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pinhold
from pinhold.scenario.suites import suite
from pinhold.targets.runner import run_scenario

AS_NOBODY = """
import sys
sys.path.insert(0, sys.argv[1])
from pinhold.scenario.suites import suite
from pinhold.targets.live.target import LiveTarget
from pinhold.targets.runner import run_scenario
live = LiveTarget()
for test in suite("seed").tests[::6]:
    result = run_scenario(live, test.scenario)
    frames = {v.frame for o in result.observations for v in o.pages}
    print(test.number, result.verdict.kind, frames == {None} or not frames)
"""


def test_every_test_is_decided_or_says_what_it_needs(live):
    """No test ends as unknown or by an error of the tool; what is skipped says why; nothing stays running."""
    results = {test.number: run_scenario(live, test.scenario) for test in suite("seed").tests}
    assert len(results) == 162
    verdicts = {number: result.verdict for number, result in results.items()}
    assert {v.kind for v in verdicts.values()} <= {"held", "violated", "skipped"}
    assert all(v.reason for v in verdicts.values() if v.kind == "skipped")
    assert {verdicts[n].kind for n in (1, 25, 37, 49, 61, 145, 146, 147)} == {"held"}
    for number in (25, 37, 49, 61):
        assert results[number].mechanisms == {"p": "vmsplice"}


def test_without_gup_test_no_read_only_long_term_test_is_decided(live):
    """Only a mechanism that gives exactly that pin may give these tests a verdict."""
    if live.info().mechanisms["gup_test"] == "available":
        pytest.skip("needs a kernel without gup_test: this one has it")
    pins = [t for t in suite("seed").tests if "R/O" in t.scenario.title and "pin" in t.scenario.title]
    assert len(pins) == 6 * 12 + 2 * 6
    assert {run_scenario(live, test.scenario).verdict.kind for test in pins} == {"skipped"}


def test_an_ordinary_user_gets_verdicts_without_frames(tmp_path):
    """Without privilege the same tests run; frames are not seen."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user: this test runs as an ordinary user already")
    nobody = 65534
    source = str(Path(pinhold.__file__).parents[1])
    command = [sys.executable, "-B", "-c", AS_NOBODY, source]
    try:
        done = subprocess.run(
            command,
            check=False,
            user=nobody,
            group=nobody,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=100,
        )
    except PermissionError:
        pytest.skip(f"needs an interpreter that other users may run: {sys.executable} is not")
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("needs sources that other users may read: these are not")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 27 and lines[0] == ["1", "held", "True"]
    assert {kind for _, kind, _ in lines} <= {"held", "violated", "skipped"}
    assert {hidden for _, _, hidden in lines} == {"True"}
