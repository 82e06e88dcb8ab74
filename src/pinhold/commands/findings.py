"""What a doctor says: a line a finding, with its words beside it."""

from __future__ import annotations

import textwrap

from pinhold.mm.releases import UnknownRelease, stand_in
from pinhold.report import terminal
from pinhold.report.table import WIDTH

_INDENT = 18


def head(good: bool, about: str) -> str:
    """How a finding begins.  good: it is there."""
    return f"{'yes' if good else 'no':<5} {about}"


def say(head: str, words: str) -> None:
    """Print a finding; one without words not at all."""
    lines = textwrap.wrap(words, terminal.width(WIDTH) - _INDENT - 2, break_on_hyphens=False, break_long_words=False)
    for index, line in enumerate(lines):
        print(f"{head if index == 0 else '':<{_INDENT}}  {line}")


def rules(release: str) -> tuple[str, str]:
    """Which release's model the kernel is compared with."""
    try:
        row, why = stand_in(release)
    except UnknownRelease as reason:
        return head(False, "rules"), str(reason)
    return head(True, "rules"), f"compared with the rules of {row}" + (f": {why}" if why else "")
