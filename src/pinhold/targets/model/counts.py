"""What the specification counts of the page at an address of one of its processes."""

from __future__ import annotations

from pinhold.mm import flags as k
from pinhold.mm.file import FOLIO_CLEAN, folio_dirty_tracked
from pinhold.mm.folio import (
    folio_test_anon,
    folio_test_ksm,
    folio_test_lazyfree,
    folio_test_swapcache,
    is_huge_zero_page,
    page_folio,
    page_index,
)
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn, pte_present, pte_swapped
from pinhold.mm.rmap import page_mapped_count
from pinhold.mm.state import State
from pinhold.scenario.counts import Counts
from pinhold.scenario.observation import LEVELS


def counts_at(m: State, mm: int, addr: int) -> Counts:
    """addr: in pages.  See pinhold.inspect.counts.counts_at() for a real kernel."""
    slot, level = pt_leaf(m, mm, addr)
    entry = m.pte[slot]
    if not pte_present(entry):
        return _absent(m, entry)
    pfn = pte_pfn(entry) + (addr & (level_pages(m, level) - 1))
    folio = page_folio(m, pfn)
    flags = m.folio_flags[folio]
    level_name, writable, dirty = LEVELS[level], entry & k.PTE_RW != 0, entry & k.PTE_DIRTY != 0
    soft_dirty = entry & k.PTE_SOFT_DIRTY != 0 if m.config_soft_dirty else None
    if pfn == k.ZERO_PFN or is_huge_zero_page(m, pfn):
        return Counts(level_name, writable, dirty, soft_dirty)
    hugetlb = flags & k.FOLIO_HUGETLB != 0
    anon = folio_test_anon(m, folio) or folio_test_ksm(m, folio)
    batched = sum(m.lru_batch_page[i] == folio for i in range(m.lru_batch[0]))
    large = m.folio_order[folio] > 0
    exclusive = None
    if flags & k.FOLIO_ANON and m.rule_anon_exclusive:
        exclusive = m.page_exclusive[folio if level else page_index(m, pfn)] != 0
    return Counts(
        *(level_name, writable, dirty, soft_dirty),
        order=m.folio_order[folio],
        refcount=m.folio_refcount[folio] - batched,
        pincount=m.folio_pincount[folio] if large else None,
        mapcount=page_mapped_count(m, pfn),
        large_mapcount=m.folio_large_mapcount[folio] if large else None,
        anon_exclusive=exclusive,
        swapcache=None if hugetlb else folio_test_swapcache(m, folio),
        swapbacked=not folio_test_lazyfree(m, folio) if anon and not hugetlb else None,
        folio_dirty=_dirty(m, folio, anon and not hugetlb),
    )


def _dirty(m: State, folio: int, anon: bool) -> bool | None:
    """PG_dirty, which is kept of anonymous memory and of files that track dirtying.  All of shmem has it."""
    if anon or folio_dirty_tracked(m, folio):
        return m.folio_dirty[folio] != FOLIO_CLEAN
    shmem = m.folio_file[folio] != k.NO_FILE and m.file_kind[m.folio_file[folio]] == k.FILE_SHMEM
    return True if shmem else None


def _absent(m: State, entry: int) -> Counts:
    if not pte_swapped(entry):
        return Counts()
    soft_dirty = entry & k.SWP_SOFT_DIRTY != 0 if m.config_soft_dirty else None
    return Counts(soft_dirty=soft_dirty, swap_exclusive=entry & k.SWP_EXCLUSIVE != 0 if m.rule_anon_exclusive else None)
