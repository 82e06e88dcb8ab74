"""`pinhold conform` on the kernel that runs here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinhold.targets.live.target import LiveTarget


def descendants(pid: int) -> set[int]:
    """The processes below one, as far as they are there."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found |= {int(word) for word in task.read_text().split()}
        except OSError:
            continue
    return found.union(*map(descendants, found))


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-m", "pinhold", "conform", "--on", "live", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize(
    ("number", "words", "status"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]
)
def test_what_was_done_is_reported_when_it_is_cut_off(
    live: LiveTarget, number: signal.Signals, words: str, status: int
) -> None:
    """The report says so; the status is the signal's; no process is left."""
    program = start("--steps", "100000", "--profile", "anon")
    seen: set[int] = set()
    while (
        len(seen) < 4 and program.poll() is None
    ):  # both of the lane, the helper that starts processes, and one of those
        seen = descendants(program.pid)
        time.sleep(0.05)
    os.killpg(program.pid, number) if number == signal.SIGINT else program.send_signal(number)
    told, wrong = program.communicate()
    assert program.returncode == status, wrong
    assert told.startswith(f"CUT OFF by {words}.")
    assert "Traceback" not in wrong
    for pid in seen:
        assert not Path(f"/proc/{pid}").exists() or descendants(os.getpid()).isdisjoint({pid})


def test_a_few_hundred_steps_agree(live: LiveTarget) -> None:
    """With the model of this kernel, or what differs does not come again."""
    program = start("--steps", "300", "--seed", "1")
    told, wrong = program.communicate()
    assert program.returncode in (0, 2), told + wrong
    assert "0 differences" in told or "of 3 runs" in told
