"""How a test of a suite is called: what is done, and the kind of memory that it is done with."""

from __future__ import annotations

_WITH = " ... with "
"""As in the selftest's [RUN] lines."""


def title_of(case: str, memory: str) -> str:
    """The title of a case with a kind of memory."""
    return f"{case}{_WITH}{memory}"


def case_and_memory(title: str) -> tuple[str, str]:
    """The inverse; the whole and "" for a title that names no kind of memory."""
    case, _, memory = title.partition(_WITH)
    return case, memory
