"""Verdicts, and what they mean for the exit status of `pinhold run`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("held", "violated", "xfail", "unknown", "skipped", "livelock", "error", "crashed")

BROKEN = ("error", "crashed")
"""The tool or the kernel under test broke: nothing else that a command finds covers that."""

EXIT_HELD = 0
EXIT_VIOLATED = 1
EXIT_UNKNOWN = 2
EXIT_USAGE = 3
EXIT_NOTHING_RUN = 4
EXIT_BROKEN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """text: the expectation that decided (the selftest's words); reason: why, for all but `held`, and what was left
    behind; step: its index."""

    kind: str
    text: str | None = None
    reason: str | None = None
    step: int | None = None


_SEVERITY = (EXIT_NOTHING_RUN, EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED, EXIT_BROKEN)


def severest(statuses: Iterable[int]) -> int:
    """The status of a whole from those of its parts: 5 > 1 > 2 > 0; 4 where nothing at all could be run."""
    return max(statuses, key=_SEVERITY.index, default=EXIT_NOTHING_RUN)


def _status(kind: str) -> int:
    if kind in BROKEN:
        return EXIT_BROKEN
    if kind in ("violated", "livelock"):
        return EXIT_VIOLATED
    if kind == "unknown":
        return EXIT_UNKNOWN
    return EXIT_NOTHING_RUN if kind == "skipped" else EXIT_HELD


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Status of a run: that of its severest verdict; skips alone are nothing that ran."""
    return severest(_status(v.kind) for v in verdicts)
