"""Forced writes: Dirty COW and Huge Dirty COW, step by step."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.gup import GUP_FAULTED
from pinhold.mm.madvise import MADV_DONTNEED
from pinhold.mm.properties import CACHE_UNTOUCHED_BY_PRIVATE, ZERO_PAGE_STAYS_ZERO
from pinhold.mm.task import FN_ACCESS_REMOTE, FN_GUP_SLOW, FN_MADVISE
from play import row
from schedule import HUGE, Schedule

WRITER, OTHER = 0, 1
RELEASE = {"drops_write": "5.10", "foll_cow": "5.10", "exclusive": "6.12"}
"""On whose row each value of the rule makes sense: only since 5.19 is there an exclusive mark."""


def cow_broken(x: Schedule, force: str) -> None:
    """The forced write goes on until the fault is over after which GUP takes COW for broken: the second, or, where it
    looks at the exclusive mark, the first."""
    x.begin(WRITER, FN_ACCESS_REMOTE, 0, arg=7)
    for _ in range(1 if force == "exclusive" else 2):
        x.step(WRITER)
        x.until(WRITER, FN_GUP_SLOW, GUP_FAULTED)


def dontneed(x: Schedule, end: int) -> None:
    x.begin(OTHER, FN_MADVISE, 0, 0, end, MADV_DONTNEED)
    assert x.finish(OTHER) == 0


@pytest.mark.parametrize("kind", [k.FILE_PAGECACHE, k.FILE_SHMEM])
@pytest.mark.parametrize(
    ("force", "violated"), [("drops_write", CACHE_UNTOUCHED_BY_PRIVATE), ("foll_cow", 0), ("exclusive", 0)]
)
def test_dirty_cow(force: str, violated: int, kind: int) -> None:
    """CVE-2016-5195: the private copy is discarded between the fault that broke COW and the next look: a forced write
    that goes on as a read gets the page cache's page."""
    x = Schedule(row(RELEASE[force], foll_force=force))
    x.map(0, 0, 1, k.VM_READ, x.file(kind))
    cow_broken(x, force)
    dontneed(x, 1)
    assert x.finish(WRITER) == 0
    print(f"{force}: {x.steps} steps")
    assert x.violated == violated
    assert x.m.page_content[x.m.cache_page[0]] == (7 if violated else 0)


@pytest.mark.parametrize("force", RELEASE)
def test_a_forced_write_alone_goes_to_a_copy(force: str) -> None:
    """Whatever it goes by, undisturbed it leaves the file alone and the entry read-only."""
    x = Schedule(row(RELEASE[force], foll_force=force))
    x.map(0, 0, 1, k.VM_READ, x.file(k.FILE_SHMEM))
    x.begin(WRITER, FN_ACCESS_REMOTE, 0, arg=7)
    assert x.finish(WRITER) == 0
    entry = x.m.pte[x.m.mm_pgd[0] << x.m.bits]
    assert x.m.page_content[entry >> k.PFN_SHIFT] == 7
    assert not entry & k.PTE_RW
    assert x.m.page_content[x.m.cache_page[0]] == 0
    assert x.violated == 0


HUGE_DIRTY_COW = [
    ("foll_cow", "any", ZERO_PAGE_STAYS_ZERO),
    ("foll_cow", "writes", 0),
    ("exclusive", "any", 0),
]


@pytest.mark.parametrize(("force", "touch", "violated"), HUGE_DIRTY_COW)
def test_huge_dirty_cow(force: str, touch: str, violated: int) -> None:
    """CVE-2017-1000405: the huge zero folio takes the place of the copy, and a pin for reading marks its entry dirty:
    by that and FOLL_COW the forced write takes it for the copy."""
    x = Schedule(row(RELEASE[force], foll_force=force, touch_pmd=touch), HUGE)
    x.map(0, 0, 2, k.VM_READ | k.VM_HUGEPAGE)
    cow_broken(x, force)
    dontneed(x, 2)
    x.begin_pin(OTHER, 0, k.FOLL_GET)
    assert x.finish(OTHER) == 1
    assert x.finish(WRITER) == 0
    print(f"{force}, {touch}: {x.steps} steps")
    assert x.violated == violated
