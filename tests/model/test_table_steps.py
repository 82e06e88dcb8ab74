"""What takes one page table after the other, with mmap_lock for reading, lets faults and GUP come between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.file import cache_add
from pinhold.mm.folio import folio_alloc
from pinhold.mm.madvise import MADV_DONTNEED, MADV_FREE
from pinhold.mm.pgtable import pt_walk
from pinhold.mm.state import TINY
from pinhold.mm.task import FN_ACCESS, FN_MADVISE, FN_MUNMAP, FN_PROT_NUMA, FN_UFFDIO_CONTINUE
from play import row
from schedule import Schedule

ONE, OTHER = 0, 1
TABLE = 1 << TINY.bits
PAGES = 2 * TABLE
"""Two page tables' worth."""

BY_TABLE = [(FN_MADVISE, MADV_DONTNEED), (FN_MADVISE, MADV_FREE), (FN_PROT_NUMA, 0)]


def written(thp: int = 0) -> Schedule:
    """A process with written memory under two page tables."""
    x = Schedule(row(), TINY, thp=thp)
    x.map(0, 0, PAGES)
    x.begin(ONE, FN_ACCESS, 0, 0, PAGES, k.FAULT_FLAG_WRITE, 7)
    assert x.finish(ONE) == 0
    x.steps = 0
    return x


def cached() -> Schedule:
    """A process that has mapped a file whose pages are in the page cache."""
    x = Schedule(row(), replace(TINY, batch=1), thp=0)
    x.map(0, 0, PAGES, file=x.file(k.FILE_SHMEM))
    for index in range(PAGES):
        cache_add(x.m, 0, index, folio_alloc(x.m, 0))
    return x


def entry(x: Schedule, addr: int) -> int:
    """The base page's entry, or 0."""
    slot = pt_walk(x.m, 0, addr, 0)
    return x.m.pte[slot] if slot >= 0 else 0


@pytest.mark.parametrize(("function", "flags"), BY_TABLE)
@pytest.mark.parametrize(("pages", "steps"), [(TABLE, 1), (TABLE + 1, 2), (PAGES, 2)])
def test_a_step_is_one_page_table(function: int, flags: int, pages: int, steps: int) -> None:
    """MADV_DONTNEED, MADV_FREE and a NUMA scan: as many steps as tables, one where one table has all."""
    x = written()
    x.begin(ONE, function, 0, 0, pages, flags)
    assert x.finish(ONE) == 0 and x.steps == steps


def test_a_step_of_uffdio_continue_is_one_page() -> None:
    """The kernel takes the page-table lock for each page."""
    x = cached()
    x.begin(ONE, FN_UFFDIO_CONTINUE, 0, 0, PAGES)
    assert x.finish(ONE) == 0 and x.steps == PAGES


@pytest.mark.parametrize(("function", "flags"), BY_TABLE)
def test_a_fault_comes_between_two_tables_and_munmap_waits(function: int, flags: int) -> None:
    """After the first table a write goes into it at once; munmap() waits for mmap_lock, which is held for reading."""
    x = written()
    x.begin(ONE, function, 0, 0, PAGES, flags)
    assert x.step(ONE) == k.AGAIN
    assert x.write(OTHER, 0, 0, 8) == 0 and entry(x, 0) & k.PTE_RW
    x.begin(OTHER, FN_MUNMAP, 0, 0, PAGES)
    assert x.step(OTHER) == k.BLOCKED
    assert x.finish(ONE) == 0
    assert entry(x, 0) & k.PTE_RW, "what came between stays"
    assert x.finish(OTHER) == 0


def test_what_is_pinned_between_two_tables_is_taken_away_all_the_same() -> None:
    """GUP pins a page of the second table before MADV_DONTNEED comes to it: the pin keeps the page, its owner reads
    zeros, and nothing that was promised is broken."""
    x = written()
    x.begin(ONE, FN_MADVISE, 0, 0, PAGES, MADV_DONTNEED)
    assert x.step(ONE) == k.AGAIN
    x.begin_pin(OTHER, 0, k.FOLL_PIN | k.FOLL_LONGTERM | k.FOLL_WRITE, addr=TABLE, end=TABLE + 1)
    assert x.finish(OTHER) == 1
    assert x.finish(ONE) == 0
    assert entry(x, TABLE) == 0 and x.m.page_content[x.m.run_page[0]] == 7
    assert x.violated == 0


def test_uffdio_continue_stops_where_a_fault_was_faster() -> None:
    """A fault maps the second page between two steps: EAGAIN, for the caller to go on behind it."""
    x = cached()
    x.begin(ONE, FN_UFFDIO_CONTINUE, 0, 0, PAGES)
    assert x.step(ONE) == k.AGAIN
    assert x.write(OTHER, 0, 1, 8) == 0
    assert x.finish(ONE) == -k.EAGAIN


def test_a_hole_that_was_passed_is_told_at_the_end() -> None:
    """ENOMEM, whatever is discarded in how many steps."""
    x = written()
    x.begin(ONE, FN_MUNMAP, 0, 1, 2)
    assert x.finish(ONE) == 0
    x.begin(ONE, FN_MADVISE, 0, 0, PAGES, MADV_DONTNEED)
    assert x.finish(ONE) == -k.ENOMEM
    assert not any(entry(x, addr) for addr in range(PAGES))


def test_huge_pages_are_a_step_each() -> None:
    """Two THPs are discarded in two steps."""
    x = written(thp=2)
    assert pt_walk(x.m, 0, 0, 0) < 0, "huge"
    x.begin(ONE, FN_MADVISE, 0, 0, PAGES, MADV_DONTNEED)
    assert x.finish(ONE) == 0 and x.steps == 2
