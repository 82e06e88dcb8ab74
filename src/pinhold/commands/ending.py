"""Signals that end a command as Ctrl-C does: what it has begun is ended in order, and what was done is kept."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from pinhold.commands import Ended

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """In the block the first of them raises Ended; the next one ends the program at once.

    One that is ignored, as under nohup, stays ignored.
    """
    ours = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        forget_signals(ours)
        raise Ended(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        forget_signals(ours)


def forget_signals(numbers: Iterable[int] = SIGNALS) -> None:
    """Let them end this process at once."""
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
