"""Why a process cannot be killed: its state, and where in the kernel it sleeps."""

from __future__ import annotations

import os
import re
from pathlib import Path

_DEEP = 12


def describe(group: int, proc: Path = Path("/proc")) -> str:
    """The processes of a group, each with its kernel stack where this user may read it, else with its wait channel."""
    found = [_process(proc / name) for name in _members(group, proc)]
    return "; ".join(found) or "it is gone by now"


def _members(group: int, proc: Path) -> list[str]:
    members = []
    for name in sorted((entry for entry in os.listdir(proc) if entry.isdigit()), key=int):
        # The command's name, in parentheses, may have any character in it.
        fields = _text(proc / name / "stat").rpartition(")")[2].split()
        if len(fields) > 2 and fields[2] == str(group):
            members.append(name)
    return members


def _process(folder: Path) -> str:
    state = re.search(r"^State:\s+(.*)$", _text(folder / "status"), re.MULTILINE)
    words = f"process {folder.name}, state {state[1] if state else 'unknown'}"
    stack = re.findall(r"^\[<\S+>\] (\S+?)(?:\+\S*)?$", _text(folder / "stack"), re.MULTILINE)
    if stack:
        return f"{words}, kernel stack {' < '.join(stack[:_DEEP])}"
    channel = _text(folder / "wchan").strip()
    return f"{words}, waiting in {channel}" if channel not in ("", "0") else words


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
