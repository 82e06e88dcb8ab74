"""MADV_FREE: anonymous pages whose content may go once memory is wanted, unless they are written first: mm/madvise.c,
mm/rmap.c.

A lazyfree folio is clean: its entries, and itself (folio_dirty: it was written through a reference, or has been in the
swap cache).  Reclaim discards it if it still is, and if nobody else holds it; the next touch then starts afresh.
"""

from __future__ import annotations

from pinhold.mm.file import FOLIO_CLEAN, folio_mark_dirty
from pinhold.mm.flags import (
    EINVAL,
    FOLIO_LAZYFREE,
    FOLIO_LOCKED,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
)
from pinhold.mm.folio import (
    folio_batch_add,
    folio_nr_pages,
    folio_put_refs,
    folio_test_anon,
    folio_test_ksm,
    folio_test_lazyfree,
    folio_test_swapcache,
    is_huge_zero_page,
    page_folio,
)
from pinhold.mm.huge_memory import split_folio, split_huge_pmd, zap_huge_pmd
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import (
    entry_flags,
    level_pages,
    mk_pte,
    pt_walk,
    pte_pfn,
    pte_present,
    pte_special,
)
from pinhold.mm.pin import pins_detach
from pinhold.mm.rmap import (
    folio_mapcount,
    folio_maybe_mapped_shared,
    folio_pte_batch,
    folio_remove_rmap_pte,
    page_mapped_count,
)
from pinhold.mm.rules.lazyfree import (
    BATCH_ANY_RIGHTS,
    BATCH_SINGLE,
    FREE_SPLITS_BY_FIRST,
    FREE_WHOLE,
    HELD_DISCARDED,
    HELD_KEPT,
    HELD_SWAP_BACKED,
    LAZYFREE_THP_WHOLE,
)
from pinhold.mm.sites.lazyfree import (
    LAZYFREE_BATCHED,
    LAZYFREE_DISCARDED,
    LAZYFREE_HELD_KEPT,
    LAZYFREE_WRITTEN_KEPT,
    MADV_FREE_SPLITS,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.swap import folio_free_swap, free_swap_and_cache
from pinhold.mm.vma import find_vma, vma_is_anonymous

CLEARED = PTE_DIRTY | PTE_ACCESSED


@kernel
def madvise_free(m: State, mm: int, vma: int, start: int, end: int) -> int:
    """Mark what the VMA maps in [start, end) lazyfree; swapped pages go at once.  0, or -EINVAL where it is not
    anonymous.  Linux: madvise_free_single_vma()."""
    if not vma_is_anonymous(m, vma):
        return -EINVAL
    addr = start
    while addr < end:
        addr = madvise_free_at(m, mm, addr, end)
    return 0


@kernel
def madvise_free_at(m: State, mm: int, addr: int, end: int) -> int:
    """Mark what the entry at `addr` maps, and perhaps more behind it; where to go on.

    Linux: madvise_free_pte_range().
    """
    span = level_pages(m, 1)
    table_end = min(end, (addr // span + 1) * span)
    upper = pt_walk(m, mm, addr, 1) if m.levels > 1 else -1
    if upper >= 0 and m.pte[upper] & PTE_PSE and not madvise_free_huge_pmd(m, mm, addr, table_end, upper):
        return table_end
    slot = pt_walk(m, mm, addr, 0)
    if slot < 0:
        return table_end
    entry = m.pte[slot]
    if entry == 0 or (pte_present(entry) and pte_special(entry)):
        return addr + 1
    if not pte_present(entry):
        m.pte[slot] = 0
        free_swap_and_cache(m, pte_pfn(entry))
        pins_detach(m, mm, addr, addr + 1)
        return addr + 1
    folio = page_folio(m, pte_pfn(entry))
    pages = folio_nr_pages(m, folio)
    count = 1
    if pages > 1:
        count = folio_pte_batch(m, slot, table_end - addr, PTE_RW | PTE_SOFT_DIRTY | CLEARED)
        if count < pages or m.rule_madv_free_large != FREE_WHOLE:
            if madvise_free_split(m, folio, pte_pfn(entry)):
                return addr
            return addr + count if m.rule_madv_free_large == FREE_WHOLE else table_end
    if madvise_free_clean(m, folio):
        for i in range(slot, slot + count):
            m.pte[i] &= ~CLEARED
        folio_mark_lazyfree(m, folio)
    return addr + count


@kernel
def madvise_free_huge_pmd(m: State, mm: int, addr: int, end: int, slot: int) -> bool:
    """A THP mapped by a PMD: marked whole; where only part of it is meant, split to base pages first, if nobody else
    has it.  Whether there are base pages to go on with."""
    folio = pte_pfn(m.pte[slot])
    if is_huge_zero_page(m, folio) or m.folio_flags[folio] & FOLIO_LOCKED or huge_mapped_by_others(m, folio):
        return False
    if end - addr < folio_nr_pages(m, folio):
        return m.folio_refcount[folio] == 1 and split_huge_pmd(m, mm, addr, 1) == 0 and split_folio(m, folio)
    m.folio_dirty[folio] = FOLIO_CLEAN
    m.pte[slot] &= ~CLEARED
    folio_mark_lazyfree(m, folio)
    return False


@kernel
def huge_mapped_by_others(m: State, folio: int) -> bool:
    """The same of a THP that a huge entry maps: up to 6.9 by all its mappings.  Linux: total_mapcount()."""
    if m.rule_madv_free_large == FREE_WHOLE:
        return folio_maybe_mapped_shared(m, folio, folio)
    return folio_mapcount(m, folio) != 1


@kernel
def mapped_by_others(m: State, folio: int, page: int) -> bool:
    """Whether other processes map the PTE-mapped large folio, too: judged by the page at hand, then by the folio's
    first (0e0e9bd5f7b9, 6.5), since 6.10 by the whole.  Linux: page_mapcount(), folio_estimated_sharers(),
    folio_maybe_mapped_shared()."""
    if m.rule_madv_free_large == FREE_WHOLE:
        return folio_maybe_mapped_shared(m, folio, page)
    return page_mapped_count(m, folio if m.rule_madv_free_large == FREE_SPLITS_BY_FIRST else page) != 1


@kernel
def madvise_free_split(m: State, folio: int, page: int) -> bool:
    """Make a PTE-mapped large folio into base pages, if nobody else has it."""
    if mapped_by_others(m, folio, page) or m.folio_flags[folio] & FOLIO_LOCKED or not split_folio(m, folio):
        return False
    decided(m, MADV_FREE_SPLITS)
    return True


@kernel
def madvise_free_clean(m: State, folio: int) -> bool:
    """Whether the folio is clean, or can be made so: where it is dirty itself (a KSM page always is) or in the swap
    cache, only if it has no other mappings."""
    cached = folio_test_swapcache(m, folio)
    if not cached and not folio_test_ksm(m, folio) and m.folio_dirty[folio] == FOLIO_CLEAN:
        return True
    if m.folio_flags[folio] & FOLIO_LOCKED or folio_mapcount(m, folio) != folio_nr_pages(m, folio):
        return False
    if cached and not folio_free_swap(m, folio):
        return False
    m.folio_dirty[folio] = FOLIO_CLEAN
    return True


@kernel
def folio_mark_lazyfree(m: State, folio: int) -> None:
    """Lazyfree, once a base page's batch is drained: until then its reference makes a write fault copy.

    What could tell the time between, reclaim, drains first.  Linux: folio_mark_lazyfree() (mm/swap.c).
    """
    if not folio_test_anon(m, folio) or folio_test_lazyfree(m, folio):
        return
    m.folio_flags[folio] |= FOLIO_LAZYFREE
    if folio_nr_pages(m, folio) == 1:
        folio_batch_add(m, folio)


@kernel
def folio_set_swapbacked(m: State, folio: int) -> None:
    """Lazyfree no more.  Linux: folio_set_swapbacked()."""
    m.folio_flags[folio] &= ~FOLIO_LAZYFREE
    if m.fault_around == 1:
        m.folio_dirty[folio] = FOLIO_CLEAN  # as folio_mark_dirty() has it


@kernel
def unmap_lazyfree(m: State, mm: int, addr: int, folio: int) -> None:
    """Reclaim takes a lazyfree folio, whose first page has its place at `addr`, out of the page table: batch by batch,
    up to one that has to be put back.

    What is put back has the flags of the batch's first entry.  From 354dffd29575 (6.15, there for whole folios alone)
    on a batch has entries of any rights, so that a read-only one can come back writable (CVE-2026-31398); since
    29f40594a281 (7.0) it ends where rights do.  Linux: try_to_unmap_one(), folio_unmap_pte_batch().
    """
    upper = pt_walk(m, mm, addr, 1) if m.levels > 1 else -1
    if upper >= 0 and m.pte[upper] & PTE_PSE and pte_pfn(m.pte[upper]) == folio and unmap_huge(m, mm, addr, upper):
        return
    page = folio
    while page < folio + folio_nr_pages(m, folio):
        at = addr + page - folio
        slot = pt_walk(m, mm, at, 0)
        if slot < 0 or not pte_present(m.pte[slot]) or pte_special(m.pte[slot]) or pte_pfn(m.pte[slot]) != page:
            page += 1
            continue
        count = lazyfree_batch(m, mm, at, slot)
        flags = entry_flags(m.pte[slot])
        for i in range(slot, slot + count):
            flags |= m.pte[i] & CLEARED
        if flags & PTE_DIRTY:
            folio_mark_dirty(m, folio)
        if not lazyfree_discards(m, folio):
            put_back(m, slot, count, page, flags)
            return
        decided(m, LAZYFREE_DISCARDED)
        for i in range(count):
            m.pte[slot + i] = 0
            folio_remove_rmap_pte(m, mm, page + i)
        folio_put_refs(m, folio, count)
        page += count


@kernel
def unmap_huge(m: State, mm: int, addr: int, slot: int) -> bool:
    """The same of a THP that a huge entry maps; False: it is split, and dealt with page by page.

    From 735ecdfaf4e8 (6.11) on the huge entry goes as it is; where it cannot, it stays since 2f9b43d617e2 (6.15).
    Linux: unmap_huge_pmd_locked().
    """
    folio = pte_pfn(m.pte[slot])
    if m.rule_lazyfree_thp == LAZYFREE_THP_WHOLE:
        if m.pte[slot] & PTE_DIRTY:
            folio_mark_dirty(m, folio)
        clean = m.folio_dirty[folio] == FOLIO_CLEAN
        if clean and m.folio_refcount[folio] == 1 + folio_mapcount(m, folio):
            decided(m, LAZYFREE_DISCARDED)
            zap_huge_pmd(m, mm, slot)
            return True
        if m.rule_lazyfree_held == HELD_KEPT:
            lazyfree_discards(m, folio)
            return True
    return split_huge_pmd(m, mm, addr, 0) < 0


@kernel
def lazyfree_batch(m: State, mm: int, addr: int, slot: int) -> int:
    """How many entries from `slot` on are unmapped together."""
    if m.rule_lazyfree_batch == BATCH_SINGLE:
        return 1
    span = level_pages(m, 1)
    end = min((addr // span + 1) * span, m.vma_end[find_vma(m, mm, addr)])
    ignored = CLEARED | (PTE_RW | PTE_SOFT_DIRTY if m.rule_lazyfree_batch == BATCH_ANY_RIGHTS else 0)
    count = folio_pte_batch(m, slot, end - addr, ignored)
    if count > 1:
        decided(m, LAZYFREE_BATCHED)
    return count


@kernel
def lazyfree_discards(m: State, folio: int) -> bool:
    """Whether an unmapped lazyfree folio may go; reclaim's own reference is one.

    Up to 5.17 whoever holds it is not looked for: 6c8e2a256915.  Up to 6.14 a folio that is held is swap-backed again:
    faeb2831b517 (6.15).
    """
    if m.folio_dirty[folio] != FOLIO_CLEAN:
        decided(m, LAZYFREE_WRITTEN_KEPT)
        folio_set_swapbacked(m, folio)
        return False
    if m.rule_lazyfree_held == HELD_DISCARDED or m.folio_refcount[folio] == 1 + folio_mapcount(m, folio):
        return True
    decided(m, LAZYFREE_HELD_KEPT)
    if m.rule_lazyfree_held == HELD_SWAP_BACKED:
        folio_set_swapbacked(m, folio)
    return False


@kernel
def put_back(m: State, slot: int, count: int, page: int, flags: int) -> None:
    """Map a batch again, all with the flags of its first entry.  Linux: set_ptes()."""
    for i in range(count):
        m.pte[slot + i] = mk_pte(page + i, flags)
