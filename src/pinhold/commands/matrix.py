"""The same tests on several targets: guests side by side, each with its own progress line; the others one by one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from pinhold.commands import NothingToRun
from pinhold.commands.board import BOARD
from pinhold.commands.registry import close, describe
from pinhold.commands.runs import run_target
from pinhold.commands.select import Selected
from pinhold.report.listener import Listener
from pinhold.report.results import TargetRun
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget

GUEST_MEBIBYTES = 2048
"""What the machine should have free for each guest."""

Outcome = TargetRun | NothingToRun


def run_matrix(
    targets: Sequence[Target], tests: Sequence[Selected], jobs: int | None = None, listener: Listener | None = None
) -> list[Outcome]:
    """For each target its results, or why it cannot run here.

    jobs: how many guests at once; None: as many as cores and memory allow.  listener: is told of each result at once.
    """
    listener = listener or Listener()
    outcomes: dict[int, Outcome] = {}
    guests = {place: t for place, t in enumerate(targets) if isinstance(t, BatchTarget)}
    spread(targets, jobs)
    # The others first: they fork, which a program with threads should not do.
    for place, target in enumerate(targets):
        if place not in guests:
            outcomes[place] = _run(place, target, tests, listener)
    if len(guests) == 1:
        ((place, target),) = guests.items()
        outcomes[place] = _run_and_close(place, target, tests, listener)
    elif guests:
        outcomes |= _side_by_side(guests, tests, jobs or fitting(more=1), listener)
    return [outcomes[place] for place in range(len(targets))]


def spread(targets: Sequence[Target], jobs: int | None) -> None:
    """Say to each target how many guests it may use."""
    guests = [target for target in targets if isinstance(target, BatchTarget)]
    for target in guests:
        target.share(max(1, (jobs or fitting()) // len(guests)))


def _run(place: int, target: Target, tests: Sequence[Selected], listener: Listener) -> Outcome:
    try:
        info = describe(target)
        listener.begin(place, info)
        run = run_target(target, info, tests, partial(listener.result, place))
        listener.end(place, run.seconds)
        return run
    except NothingToRun as reason:
        return reason


def _run_and_close(place: int, target: Target, tests: Sequence[Selected], listener: Listener) -> Outcome:
    BOARD.show(target.name, f"{target.name}: booting")
    try:
        return _run(place, target, tests, listener)
    finally:
        close(target)
        BOARD.clear(target.name)


def _side_by_side(
    guests: Mapping[int, Target], tests: Sequence[Selected], jobs: int, listener: Listener
) -> dict[int, Outcome]:
    with ThreadPoolExecutor(min(jobs, len(guests))) as pool:
        running: dict[int, Future[Outcome]] = {
            place: pool.submit(_run_and_close, place, guest, tests, listener) for place, guest in guests.items()
        }
        try:
            return {place: future.result() for place, future in running.items()}
        except BaseException:
            listener.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            for guest in guests.values():
                if isinstance(guest, BatchTarget):
                    guest.stop()
            raise


def fitting(more: int = 0) -> int:
    """One a core and so many more, as far as the memory goes.  Kernels side by side wait for their devices now and
    then: one more than there are cores keeps them busy."""
    cores = len(os.sched_getaffinity(0))
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    return max(1, min(cores + more, free // 1024 // GUEST_MEBIBYTES))
