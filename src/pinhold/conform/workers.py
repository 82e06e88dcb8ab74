"""Processes of a campaign: what computes and what drives a kernel run beside each other, joined by pipes.

Each is forked from the program, has its own ends of pipes and no others, and ends when the program does, however that
ends: a pipe whose other end is gone is the word to stop.  Ctrl-C is the program's alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NoReturn

GRACE = 20.0
"""Seconds in which a process that drives a kernel gives back what it has, when it is told to stop."""


class Stopped(BaseException):
    """In a process of a campaign: the program wants no more of it."""


class Workers:
    """Those that were started in a block; at its end none is left."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("fork")
        self._ends: list[Connection] = []
        self._started: list[BaseProcess] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, end: type[BaseException] | None, *_: object) -> None:
        if end is not None:
            for process in self._started:
                process.terminate()
        self._close(self._ends)
        until = time.monotonic() + GRACE
        for process in self._started:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
            process.join()

    def pipe(self) -> tuple[Connection, Connection]:
        """Two ends, both the program's until it starts a process with one."""
        ends = self._context.Pipe()
        self._ends += ends
        return ends

    def start(self, do: Callable[..., None], *given: object) -> None:
        """do(*given) in a process of its own; the ends of pipes among what is given are that process's from now on."""
        theirs = [end for end in given if isinstance(end, Connection)]
        others = [end for end in self._ends if end not in theirs]
        process = self._context.Process(target=_work, args=(do, given, others), daemon=True)
        with _signalled_later():
            process.start()
        self._started.append(process)
        self._close(theirs)

    def close(self, end: Connection) -> None:
        """This end is needed no more: who has the other one ends."""
        self._close([end])

    def _close(self, ends: Sequence[Connection]) -> None:
        for end in ends:
            end.close()
        self._ends = [end for end in self._ends if not end.closed]


def _work(do: Callable[..., None], given: Sequence[object], others: Sequence[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    sys.unraisablehook = _lost
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for end in others:
        end.close()
    try:
        do(*given)
    except (Stopped, EOFError, BrokenPipeError, ConnectionResetError):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends, and gives back what it has
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


_MOMENT = 0.01


def _lost(lost: sys.UnraisableHookArgs) -> None:
    """What is raised in a finalizer or the callback of a weak reference goes no further: then it is raised again when
    that is over."""
    if isinstance(lost.exc_value, Stopped):
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)
    else:
        sys.__unraisablehook__(lost)


_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@contextmanager
def _signalled_later() -> Iterator[None]:
    """Signals wait for the end of the block: a process that is just being forked would show a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processors() -> int:
    """Those that this program may use."""
    return len(os.sched_getaffinity(0))
