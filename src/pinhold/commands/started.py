"""What a run says of its beginning: when, where, by which command line, with how much memory."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from datetime import UTC, datetime

from pinhold.scenario.ran import Started

_GIVEN = ("with", "pin", "pin-timeout", "module", "swap", "deadline", "allow-change")
"""Options with a value by which a test comes to something else."""

_NAMES = {"with": "patches"}
"""What the grammar calls one that it does not call by its own name."""


def started(options: Namespace, arguments: list[str] | None = None) -> Started:
    """Of the command that runs now.  arguments: its words; None: those of the process."""
    total, free = memory()
    words = sys.argv[1:] if arguments is None else arguments
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Started(now, os.uname().nodename, ("pinhold", *words), again(options), total, free)


def again(options: Namespace) -> tuple[str, ...]:
    """What of the options another run of one test needs, too."""
    words: list[str] = []
    for name in _GIVEN:
        value = getattr(options, _NAMES.get(name, name.replace("-", "_")), None)
        for each in value if isinstance(value, list) else [value]:
            words += [] if each is None else [f"--{name}", str(each)]
    return (*words, "--counts") if getattr(options, "counts", False) else tuple(words)


def memory(path: str = "/proc/meminfo") -> tuple[int | None, int | None]:
    """KiB that the host has, and that are to be had; None where the file does not say so."""
    found: dict[str, int] = {}
    try:
        with open(path, encoding="ascii") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    found[name] = int(value.split()[0])
    except (OSError, ValueError, IndexError):
        return None, None
    return found.get("MemTotal"), found.get("MemAvailable")
