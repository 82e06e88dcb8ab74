"""Kills the process that asked for changes, its guardian, or both, at every step of a journal in turn.

A program of its own, as it forks: `killings.py VICTIM FOLDER` prints a line of JSON a step.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from fake_host import NEEDS, AtStep, FakeHost, build, content, kill_and_wait, left_over

from pinhold.system.changed import restore_journal
from pinhold.system.guardian import serve
from pinhold.system.needs import ALLOWABLE
from pinhold.targets.live import syscalls
from pinhold.targets.live.channel import Channel, Closed

GUARDIAN_DIED = 9


def guard(folder: Path, step: int, victim: str, far: int, main: int) -> None:
    """The guardian's process."""

    def kill() -> None:
        if victim in ("main", "both"):
            kill_and_wait(main)
        if victim in ("guardian", "both"):
            os.kill(os.getpid(), signal.SIGKILL)

    os.setsid()
    serve(far, main, FakeHost(folder, AtStep(step, kill)))


def ask(folder: Path, step: int, victim: str) -> None:
    """The process that asks for changes, and puts them back itself where its guardian has died."""
    channel, far = Channel.pair()
    main = os.getpid()
    guardian = os.fork()
    if guardian == 0:
        channel.close()
        guard(folder, step, victim, far.fileno(), main)
    far.close()
    try:
        for message in ({"op": "apply", "needs": asdict(NEEDS), "areas": list(ALLOWABLE)}, {"op": "restore"}):
            channel.send(message)
            channel.receive()
    except Closed:
        os.waitpid(guardian, 0)
        restore_journal(FakeHost(folder))
        os._exit(GUARDIAN_DIED)
    os._exit(0)


def one(folder: Path, step: int, victim: str) -> dict[str, object]:
    """Kill at one step; what is left then, and after `pinhold restore`."""
    build(folder / "root")
    if os.fork() == 0:
        with contextlib.suppress(BaseException):
            ask(folder, step, victim)
        os._exit(1)
    killed = 0
    with contextlib.suppress(ChildProcessError):
        while True:
            _, status = os.wait()
            killed += os.waitstatus_to_exitcode(status) in (-signal.SIGKILL, GUARDIAN_DIED)
    result = {"step": step, "killed": killed, "tree": content(folder / "root"), "left": left_over(folder / "state")}
    report = restore_journal(FakeHost(folder))
    result["report"] = None if report is None else asdict(report)
    result["tree_after"], result["left_after"] = content(folder / "root"), left_over(folder / "state")
    return result


def main() -> None:
    """One run for each step, until the step is beyond the last."""
    victim, top = sys.argv[1], Path(sys.argv[2])
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    for step in range(1, 500):
        folder = top / str(step)
        folder.mkdir()
        result = one(folder, step, victim)
        print(json.dumps(result), flush=True)
        if not result["killed"]:
            return


if __name__ == "__main__":
    main()
