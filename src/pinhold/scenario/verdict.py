"""Verdicts, and what they mean for the exit status of `pinhold run`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("held", "violated", "xfail", "unknown", "skipped", "livelock", "error", "crashed")

EXIT_HELD = 0
EXIT_VIOLATED = 1
EXIT_UNKNOWN = 2
EXIT_USAGE = 3
EXIT_NOTHING_RUN = 4
EXIT_BROKEN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """text: the expectation that decided (the selftest's words); reason: why, for all but `held`; step: its index."""

    kind: str
    text: str | None = None
    reason: str | None = None
    step: int | None = None


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Status of a run: 5 tool or guest broke > 1 violated > 2 unknown > 0; 4 where nothing at all could be run."""
    kinds = {v.kind for v in verdicts}
    if kinds & {"error", "crashed"}:
        return EXIT_BROKEN
    if kinds & {"violated", "livelock"}:
        return EXIT_VIOLATED
    if "unknown" in kinds:
        return EXIT_UNKNOWN
    if not kinds or kinds == {"skipped"}:
        return EXIT_NOTHING_RUN
    return EXIT_HELD
