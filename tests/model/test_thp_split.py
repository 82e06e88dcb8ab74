"""The THP that is split while another process's write counts its mappings: CVE-2020-29368."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.pgtable import pt_leaf
from pinhold.mm.properties import PRIVATE_WRITES_UNSEEN
from pinhold.mm.task import FN_ACCESS, FN_FAULT, FN_FORK, FN_MPROTECT, FN_MUNMAP
from pinhold.mm.wp import FAULT_HUGE_COUNTED
from play import row
from schedule import HUGE, RW, Schedule

FORKER, CHILD, PARENT = range(3)


def shared_thp(chosen: dict[str, int]) -> Schedule:
    """A THP that the parent has written and shares with its child."""
    x = Schedule(chosen, HUGE)
    x.map(0, 0, 2, RW | k.VM_HUGEPAGE)
    x.write(PARENT, 0, 0, 1)
    x.begin(FORKER, FN_FORK, 0, end=0, arg=1)
    assert x.finish(FORKER) == 1
    return x


def split_during_write(chosen: dict[str, int], function: int, steps: int) -> Schedule:
    """The parent's write has taken so many steps; the child's mapping is split; the write goes on."""
    x = shared_thp(chosen)
    x.steps = 0
    x.begin(PARENT, FN_ACCESS, 0, 0, 1, k.FAULT_FLAG_WRITE, 2)
    for _ in range(steps):
        x.step(PARENT)
    x.begin(CHILD, function, 1, 1, 2, k.VM_READ)
    x.finish(CHILD)
    x.finish(PARENT)
    return x


@pytest.mark.parametrize("function", [FN_MUNMAP, FN_MPROTECT])
def test_a_split_between_two_counts_is_in_neither(function: int) -> None:
    """The parent writes in place to pages that the child maps; not so where the split waits for the count, nor where
    references decide."""
    lost = split_during_write(row("5.10", thp_split_locks="no"), function, 2)
    assert lost.violated == PRIVATE_WRITES_UNSEEN
    print(f"{lost.steps} steps")
    for chosen in (row("5.10"), row("6.12", thp_split_locks="no")):
        for steps in range(4):
            kept = split_during_write(chosen, function, steps)
            assert kept.violated == 0
            assert kept.read(CHILD, 1, 0) == 0


def test_without_a_split_the_two_counts_are_right() -> None:
    """Shared, the THP is split and copied from; once the child has gone, it is reused whole."""
    for leaves in (False, True):
        x = shared_thp(row("5.10", thp_split_locks="no"))
        if leaves:
            x.begin(CHILD, FN_MUNMAP, 1, 0, 2)
            x.finish(CHILD)
        x.write(PARENT, 0, 0, 2)
        assert pt_leaf(x.m, 0, 0)[1] == leaves
        assert x.violated == 0


def test_an_entry_that_changes_between_the_counts_is_looked_at_anew() -> None:
    """Another thread's write splits the parent's own mapping meanwhile."""
    x = shared_thp(row("5.10", thp_split_locks="no"))
    x.begin(PARENT, FN_ACCESS, 0, 0, 1, k.FAULT_FLAG_WRITE, 2)
    x.until(PARENT, FN_FAULT, FAULT_HUGE_COUNTED)
    x.write(FORKER, 0, 0, 3)
    x.finish(PARENT)
    assert x.m.page_content[x.m.pte[pt_leaf(x.m, 0, 0)[0]] >> k.PFN_SHIFT] == 2
    assert x.violated == 0
