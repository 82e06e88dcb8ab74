"""A few processes that compute beside each other; results come back in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

from pinhold.commands.ending import forget_signals

Item = TypeVar("Item")
Found = TypeVar("Found")

WORKERS = 2


def worth_it() -> bool:
    """Whether there is more than one processor to compute on."""
    return (os.cpu_count() or 1) > 1


def in_workers(do: Callable[[Item], Found], items: Sequence[Item], died: Callable[[Item], Found]) -> Iterator[Found]:
    """do(item) for each item, in order, each as soon as it and all before it are known.

    died: stands in for the item at which a worker process ended.  Ctrl-C is the caller's alone; no worker outlives it.
    """
    crew: dict[Connection, BaseProcess] = {}
    at_work: dict[Connection, int] = {}
    found: dict[int, Found] = {}
    waiting = iter(range(len(items)))
    try:
        with _interrupted_later():
            for _ in range(min(WORKERS, len(items))):
                pipe, worker = _start(do, items, list(crew))
                crew[pipe] = worker
        for pipe in crew:
            _give(pipe, waiting, at_work)
        for index, item in enumerate(items):
            while index not in found and at_work:
                ready = wait(list(at_work))
                for pipe in [pipe for pipe in at_work if pipe in ready]:
                    done = at_work.pop(pipe)
                    try:
                        found[done] = pipe.recv()
                    except (EOFError, OSError):
                        found[done] = died(items[done])
                    else:
                        _give(pipe, waiting, at_work)
            yield found.pop(index) if index in found else died(item)
    finally:
        for worker in crew.values():
            worker.kill()
        for pipe, worker in crew.items():
            worker.join()
            pipe.close()


def _give(pipe: Connection, waiting: Iterator[int], at_work: dict[Connection, int]) -> None:
    """Give a worker the next item, if there is one."""
    for index in waiting:
        at_work[pipe] = index
        with suppress(OSError):  # it has died, which is noticed when its result is awaited
            pipe.send(index)
        return


def _start(
    do: Callable[[Item], Found], items: Sequence[Item], others: Sequence[Connection]
) -> tuple[Connection, BaseProcess]:
    """others: the pipes of earlier workers, which would not end with this program if a worker held them."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_work, args=(do, items, theirs, [*others, ours]), daemon=True)
    worker.start()
    theirs.close()
    return ours, worker


def _work(do: Callable[[Item], Found], items: Sequence[Item], pipe: Connection, others: Sequence[Connection]) -> None:
    """A worker: does the items whose numbers it is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forget_signals()
    for other in others:
        other.close()
    with suppress(EOFError, OSError):  # nobody waits for results any more
        while True:
            item = items[pipe.recv()]
            try:
                found = do(item)
            except Exception as defect:
                sys.excepthook(type(defect), defect, defect.__traceback__)
                sys.exit(1)
            pipe.send(found)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: a process that is just being forked would show a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
