"""GUP-fast as one loop leaves the state that its atomic pieces leave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from pinhold.mm.gup_fast import FAST_START, gup_fast
from pinhold.mm.gup_fast_range import gup_fast_whole
from pinhold.mm.machine import Machine
from pinhold.mm.sites import SITES
from pinhold.mm.state import TINY
from pinhold.mm.step import step
from pinhold.mm.task import FN_GUP_FAST, current
from random_machine import Livelock, RandomMachine

STEPS = 600
ENOUGH = 10_000
"""States after which every decision has been seen."""

Whole = Callable[[Machine, int], int]


def in_pieces(m: Machine, task: int) -> None:
    depth = m.task_depth[task]
    while m.task_depth[task] == depth:
        gup_fast(m, task)


def compare(whole: Whole, states: int, wanted: frozenset[str] = frozenset()) -> set[str]:
    """States of random runs in which a task stands before GUP-fast, and more up to ten times as many until every
    decision that is wanted was passed from one; gives those that were."""
    done, sites, number = 0, set[str](), 0
    while done < states or (wanted - sites and done < 10 * states):
        x = RandomMachine(Random(number))
        number += 1
        with suppress(Livelock):
            for _ in x.steps(STEPS, step):
                for task in range(TINY.tasks):
                    if before_gup_fast(x.m, task):
                        done += 1
                        sites |= {SITES[site].name for site in same(x.m, task, whole)}
    return sites


def before_gup_fast(m: Machine, task: int) -> bool:
    act = current(m, task)
    return m.task_depth[task] > 0 and m.act_function[act] == FN_GUP_FAST and m.act_pc[act] == FAST_START


def same(m: Machine, task: int, whole: Whole) -> set[int]:
    """The decisions that both pass on the way to the same bytes."""
    pieces, loop = Machine(TINY, bytearray(m.data)), Machine(TINY, bytearray(m.data))
    in_pieces(pieces, task)
    whole(loop, task)
    assert loop.saved() == pieces.saved()
    if whole is gup_fast_whole:
        assert set(loop.trace.sites) == set(pieces.trace.sites)
    return set(pieces.trace.sites)


def test_in_one_loop_as_in_pieces() -> None:
    """From thousands of random states, under all rows: equal bytes and equal decisions, of every kind."""
    wanted = frozenset(
        {
            "fast_pinned",
            "fast_falls_back",
            "fast_fork_seen",
            "fast_dirty_tracked_refused",
            "must_unshare_anon",
            "must_unshare_no_vma",
        }
    )
    assert compare(gup_fast_whole, ENOUGH, wanted) >= wanted


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_compiled_in_one_loop_as_in_pieces() -> None:
    """The same of the compiled loop, which benchmarks/gup_fast.py measures."""
    from pinhold.compiler import whole

    loop = whole.entry(gup_fast_whole, TINY)
    assert compare(lambda m, task: loop(whole.Record(m.layout, m.data).address, task), ENOUGH // 10)
