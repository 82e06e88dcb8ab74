"""What is printed on a terminal: as wide as it is, and in colours where rich is installed.

Into a pipe or a file nothing depends on the terminal: there a table has a width of its own and no colours.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

LEAST, MOST = 80, 200
"""Columns: narrower tables cannot be read, wider ones are not."""

_FILE: ContextVar[bool] = ContextVar("file", default=False)


@contextmanager
def into_a_file() -> Iterator[None]:
    """What is made inside goes to a file, whatever standard output is."""
    before = _FILE.set(True)
    try:
        yield
    finally:
        _FILE.reset(before)


def width(usual: int) -> int:
    """Columns of a table; usual: where no terminal says otherwise."""
    if _FILE.get() or not sys.stdout.isatty():
        return usual
    return min(max(shutil.get_terminal_size((usual, 24)).columns, LEAST), MOST)


def moves(stream: TextIO) -> bool:
    """Whether a line there can be drawn again: on a terminal that knows escapes."""
    return stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb")


def wrapped(words: str, indent: str = "") -> list[str]:
    """A sentence in lines as wide as the terminal, all but the first indented."""
    columns = width(LEAST)
    return textwrap.wrap(words, columns, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def narrowed(line: str, indent: int) -> list[str]:
    """A line that others may read: as it is, and on a terminal that is narrower in several."""
    if len(line) <= (wide := width(len(line))):
        return [line]
    space = " " * (len(line) - len(line.lstrip()))
    lines = textwrap.wrap(line, wide, drop_whitespace=True, subsequent_indent=" " * indent, break_on_hyphens=False)
    return lines if lines[0].startswith(space) else [line]


Write = Callable[[Iterable[str], TextIO], None]


def plain(lines: Iterable[str], stream: TextIO) -> None:
    """Write lines as they are, each as soon as it is there."""
    for line in lines:
        stream.write(f"{line}\n")


def write(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Write a table's lines, in colours where they can be seen and are wanted (https://no-color.org)."""
    stream = stream or sys.stdout
    say = _painter(stream)
    if say is None:
        plain(lines, stream)
    else:
        for line in lines:
            say(line)


def _painter(stream: TextIO) -> Callable[[str], object] | None:
    """None: plain."""
    if not moves(stream) or os.environ.get("NO_COLOR"):
        return None
    try:
        from pinhold.report.colours import painter  # noqa: PLC0415 (rich takes a while, and may be missing)
    except ImportError:
        return None
    return painter(stream)
