"""What there is to see on a machine of the specification: kinds and states of pages, and the bytes that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from pinhold.mm import flags as k
from pinhold.mm.folio import (
    folio_nr_pages,
    folio_page,
    folio_test_swapcache,
    is_huge_zero_page,
    page_folio,
    page_index,
)
from pinhold.mm.machine import Machine
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn, pte_present, pte_special, pte_swapped
from pinhold.mm.rmap import folio_mapcount, page_mapped_count
from pinhold.mm.state import State
from pinhold.mm.vma import find_vma
from pinhold.scenario.counts import Counts
from pinhold.scenario.observation import FOLL_FLAGS, LEVELS, Run

Stretch = tuple[int, int | None]
"""So many pages in a row, and the byte that they all hold; None where nothing is mapped."""


class Row(NamedTuple):
    """What a PageView says, but with frames by their numbers: pfn is the page's own, head the first of its folio."""

    state: str
    pfn: int = -1
    head: int = -1
    kind: str | None = None
    exclusive: bool | None = None
    mapcount: int | None = None
    byte: int | None = None
    anon: bool | None = None
    level: str | None = None
    writable: bool | None = None
    dirty: bool | None = None
    soft_dirty: bool | None = None
    counts: Counts | None = None


def page_row(m: State, mm: int, addr: int) -> Row:
    """The page at an address, from its entry.  Nothing of the language write-protects by userfaultfd."""
    slot, level = pt_leaf(m, mm, addr)
    entry = m.pte[slot]
    present = pte_present(entry)
    vma = find_vma(m, mm, addr) if present or m.config_soft_dirty else k.NO_VMA
    soft_dirty = vma_soft_dirty(m, vma) if m.config_soft_dirty else None
    if not present:
        swapped = pte_swapped(entry)
        if soft_dirty is not None and swapped and entry & k.SWP_SOFT_DIRTY:
            soft_dirty = True
        exclusive = entry & k.SWP_EXCLUSIVE != 0 if swapped and m.rule_anon_exclusive else None
        return Row("swapped" if swapped else "none", exclusive=exclusive, soft_dirty=soft_dirty)
    pfn = (entry >> k.PFN_SHIFT) + (addr & (level_pages(m, level) - 1))
    page, folio = page_index(m, pfn), page_folio(m, pfn)
    flags = m.folio_flags[folio]
    if soft_dirty is not None and entry & k.PTE_SOFT_DIRTY and not flags & k.FOLIO_HUGETLB:
        soft_dirty = True
    exclusive = None
    if flags & k.FOLIO_ANON and m.rule_anon_exclusive:
        exclusive = bool(m.page_exclusive[folio if level else page])
    return Row(
        "present",
        pfn,
        folio_page(m, folio),
        page_kind(m, pfn),
        exclusive,
        page_mapped_count(m, pfn),
        m.page_content[page],
        flags & (k.FOLIO_ANON | k.FOLIO_KSM) != 0,
        LEVELS[level],
        entry & k.PTE_RW != 0,
        entry & k.PTE_DIRTY != 0,
        soft_dirty,
    )


def head_of(m: State, pfn: int) -> int:
    """The first frame of the folio that a frame belongs to."""
    return folio_page(m, page_folio(m, pfn))


def vma_soft_dirty(m: State, vma: int) -> bool:
    """Whether pagemap tells all of the VMA as soft-dirty: of hugetlb it looks at nothing else."""
    return vma != k.NO_VMA and m.vma_flags[vma] & k.VM_SOFTDIRTY != 0


@cache
def foll_words(flags: int) -> str:
    """The FOLL_FLAGS that are set."""
    return "|".join(name for name in FOLL_FLAGS if flags & getattr(k, name))


def page_kind(m: State, pfn: int) -> str:
    """The observation's kind of a frame's page."""
    if pfn == k.ZERO_PFN or is_huge_zero_page(m, pfn):
        return "zero"
    flags = m.folio_flags[page_folio(m, pfn)]
    if flags & k.FOLIO_HUGETLB:
        return "hugetlb"
    if flags & k.FOLIO_KSM:
        return "ksm"
    return "anon" if flags & k.FOLIO_ANON else "file"


def mapped_folio(m: Machine, mm: int, addr: int) -> int | None:
    """The folio that is mapped at the address, by an entry of whichever level."""
    slot, level = pt_leaf(m, mm, addr)
    return (
        page_folio(m, pte_pfn(m.pte[slot]) + (addr & (level_pages(m, level) - 1))) if pte_present(m.pte[slot]) else None
    )


def file_folio(m: Machine, mm: int, addr: int) -> int | None:
    """The folio of a file in the page cache, not of hugetlb, that a PTE maps at the address."""
    slot, level = pt_leaf(m, mm, addr)
    if level or not pte_present(m.pte[slot]) or pte_special(m.pte[slot]):
        return None
    folio = page_folio(m, pte_pfn(m.pte[slot]))
    return None if m.folio_flags[folio] & (k.FOLIO_ANON | k.FOLIO_HUGETLB) else folio


def anon_page(m: Machine, mm: int, addr: int) -> int | None:
    """The anonymous page, not of a large folio, that a PTE maps at the address."""
    slot, level = pt_leaf(m, mm, addr)
    if level or not pte_present(m.pte[slot]) or pte_special(m.pte[slot]):
        return None
    page = pte_pfn(m.pte[slot])
    small = page_folio(m, page) == page and m.folio_order[page] == 0
    return page if small and m.folio_flags[page] & k.FOLIO_ANON else None


def swapped_page(m: Machine, mm: int, addr: int) -> int | None:
    """The page, not of a large folio, that the swap cache has of what a swap entry at the address names."""
    slot, level = pt_leaf(m, mm, addr)
    if level or not pte_swapped(m.pte[slot]):
        return None
    page = m.swap_page[pte_pfn(m.pte[slot])]
    return page if page != k.NO_PAGE and m.folio_order[page_folio(m, page)] == 0 else None


def may_move(m: Machine, mm: int, addr: int) -> bool:
    """Whether compaction may give the page at the address another frame: an ordinary one that its mappings, the caches
    and the LRU batch hold, and nobody else.  Linux: folio_expected_ref_count(), folio_migrate_mapping()."""
    slot, _ = pt_leaf(m, mm, addr)
    entry = m.pte[slot]
    if not pte_present(entry) or pte_special(entry):
        return False
    folio = page_folio(m, pte_pfn(entry))
    if m.folio_flags[folio] & (k.FOLIO_HUGETLB | k.FOLIO_RESERVED) or is_huge_zero_page(m, pte_pfn(entry)):
        return False
    cached = folio_nr_pages(m, folio) if folio_test_swapcache(m, folio) else int(m.folio_file[folio] != k.NO_FILE)
    batched = sum(m.lru_batch_page[i] == folio for i in range(m.lru_batch[0]))
    return m.folio_refcount[folio] == folio_mapcount(m, folio) + cached + batched


def page_states(m: Machine, mm: int, start: int, end: int, first: int) -> list[tuple[int, int, str]]:
    """Runs of pages in the same state: number of the first, counted from `first` at `start`; how many; the state."""
    runs: list[tuple[int, int, str]] = []
    addr = start
    while addr < end:
        slot, level, count = leaf(m, mm, addr, end)
        entry = m.pte[slot]
        state = "swapped" if pte_swapped(entry) else "none"
        if pte_present(entry):
            state = "huge" if level else "present"
        if runs and runs[-1][2] == state:
            runs[-1] = (runs[-1][0], runs[-1][1] + count, state)
        else:
            runs.append((first + addr - start, count, state))
        addr += count
    return runs


def leaf(m: Machine, mm: int, addr: int, end: int) -> tuple[int, int, int]:
    """Slot and level of the leaf at an address, and how many pages it covers from there to `end`."""
    slot, level = pt_leaf(m, mm, addr)
    pages = level_pages(m, level)
    return slot, level, min(pages - (addr & (pages - 1)), end - addr)


def walk(m: Machine, mm: int, start: int, end: int) -> Iterator[Stretch]:
    """The bytes of [start, end)."""
    addr = start
    while addr < end:
        slot, level, count = leaf(m, mm, addr, end)
        entry = m.pte[slot]
        if entry & k.PTE_PRESENT:
            yield from stretches(m, (entry >> k.PFN_SHIFT) + (addr & (level_pages(m, level) - 1)), count)
        else:
            yield count, None
        addr += count


def pin_walk(m: Machine, pin: int) -> Iterator[Stretch]:
    """The bytes that a pin holds."""
    for run in range(pin * m.runs_per_pin, pin * m.runs_per_pin + m.pin_runs[pin]):
        yield from stretches(m, m.run_page[run], m.run_count[run])


def stretches(m: Machine, first: int, count: int) -> Iterator[Stretch]:
    """The bytes of `count` pages of one folio; all pages of a hugetlb folio hold the same."""
    if first >= m.nr_pages:
        yield count, m.page_content[page_index(m, first)]
    else:
        yield from ((1, m.page_content[page]) for page in range(first, first + count))


def compress(found: Iterator[Stretch]) -> Sequence[Run]:
    """Join neighbouring stretches of the same byte."""
    runs: list[Run] = []
    first = 0
    for byte, group in groupby(found, key=itemgetter(1)):
        count = sum(pages for pages, _ in group)
        runs.append(Run(first, count, byte))
        first += count
    return runs
