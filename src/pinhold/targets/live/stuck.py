"""What a process does that does not end: its state, and where in the kernel it is."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
_DEEP = 12
_TRIES = 20
_BETWEEN_SECONDS = 0.01
_LOOK_SECONDS = 2.0
_PROCESSOR = 36
"""Of the fields of stat, counted from the state on."""


def describe(group: int, proc: Path = PROC) -> str:
    """The processes of a group, in words."""
    found = [process(pid, proc) for pid in members(group, proc)]
    return "; ".join(found) or "it is gone by now"


def members(group: int, proc: Path = PROC) -> Iterator[int]:
    """The processes of a group."""
    for pid in sorted(int(entry) for entry in os.listdir(proc) if entry.isdigit()):
        if stat(proc / str(pid))[2:3] == [str(group)]:
            yield pid


def stat(folder: Path) -> list[str]:
    """The fields of a process's or thread's stat, from its state on; empty where it is gone."""
    # The command's name, in parentheses, may have any character in it.
    return _text(folder / "stat").rpartition(")")[2].split()


def process(pid: int, proc: Path = PROC) -> str:
    """One process, with its kernel stack where this user may read it, else with its wait channel; and the system call
    that it is in, where that is told."""
    folder = proc / str(pid)
    state = re.search(r"^State:\s+(.*)$", _text(folder / "status"), re.MULTILINE)
    words = f"process {pid}, state {state[1] if state else 'unknown'}"
    call = re.match(r"\d+", _text(folder / "syscall"))
    if call:
        words += f", in system call {call[0]}"
    stack = _stack(folder)
    if stack:
        return f"{words}, kernel stack {' < '.join(stack[:_DEEP])}"
    channel = _text(folder / "wchan").strip()
    return f"{words}, waiting in {channel}" if channel not in ("", "0") else words


def _stack(folder: Path) -> list[str]:
    """The functions, the innermost first."""
    found = _frames(folder)
    fields = stat(folder)
    if found or fields[:1] != ["R"] or len(fields) <= _PROCESSOR:
        return found
    # A task shows no stack while it runs: it is looked at from its own processor.  By a thread, as a kernel that loops
    # without giving the processor away never lets that one run.
    looker = threading.Thread(target=_look_beside, args=(folder, int(fields[_PROCESSOR]), found), daemon=True)
    looker.start()
    looker.join(_LOOK_SECONDS)
    return list(found)


def _look_beside(folder: Path, processor: int, found: list[str]) -> None:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {processor})
        for _ in range(_TRIES):
            if frames := _frames(folder):
                found += frames
                return
            time.sleep(_BETWEEN_SECONDS)


def _frames(folder: Path) -> list[str]:
    return re.findall(r"^\[<\S+>\] (\S+?)(?:\+\S*)?$", _text(folder / "stack"), re.MULTILINE)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
