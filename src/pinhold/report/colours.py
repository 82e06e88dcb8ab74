"""Colours for the words of a table that a reader looks for, by rich."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.theme import Theme

STYLES = {"verdict.bad": "bold red", "verdict.good": "green", "verdict.passed": "dim"}


class Verdicts(RegexHighlighter):
    """Verdicts, and the answers of `ask`."""

    base_style = "verdict."
    highlights = (
        r"\b(?P<bad>VIOLATED|LIVELOCK|CRASHED|ERROR|STALE|LEAKS|not ok)\b",
        r"\b(?P<good>held|reliable|(?<!not )ok)\b",
        r"\b(?P<passed>skipped|skip|unknown)\b",
    )


def painter(stream: TextIO) -> Callable[[str], object]:
    """Writes a line to it."""
    console = Console(file=stream, theme=Theme(STYLES), highlighter=Verdicts(), markup=False, emoji=False)
    return lambda line: console.print(line, soft_wrap=True)
