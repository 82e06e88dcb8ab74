"""Reclaim on request: MADV_PAGEOUT sends anonymous pages to swap, or discards them, and a file's pages to where the
file has its content: mm/vmscan.c and mm/rmap.c.

Three atomic pieces: into the swap cache, out of the page table, to the device.  A pinned page is left alone; one freed
by MADV_FREE goes without swap (lazyfree.py).  A large folio goes whole since 6.11, if all its pages are mapped in a
row, and else is split first.  On a synchronous device the page is free at once, as is one of zeros since 6.12, and one
that the device has already; else it stays in the swap cache until somebody wants it back.
"""

from __future__ import annotations

from pinhold.mm.file import FOLIO_CLEAN, FOLIO_DIRTY, cache_evict, folio_mark_dirty, folio_test_dirty_anon
from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EINVAL,
    FILE_SHMEM,
    FOLIO_LOCKED,
    FOLIO_READAHEAD,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    SWP_EXCLUSIVE,
    SWP_SOFT_DIRTY,
)
from pinhold.mm.folio import (
    folio_get,
    folio_nr_pages,
    folio_put,
    folio_test_anon,
    folio_test_ksm,
    folio_test_lazyfree,
    folio_test_swapcache,
    is_huge_zero_page,
    lru_add_drain,
    page_folio,
    rmap_finds_ksm,
)
from pinhold.mm.huge_memory import split_folio, split_huge_page, split_huge_pmd
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.lazyfree import unmap_lazyfree
from pinhold.mm.page_io import swap_io_waits, swap_zero_filled
from pinhold.mm.pgtable import level_pages, mk_pte, pt_walk, pte_pfn, pte_present, pte_special
from pinhold.mm.pin import folio_maybe_dma_pinned
from pinhold.mm.rmap import (
    folio_mapcount,
    folio_maybe_mapped_shared,
    folio_pte_batch,
    folio_remove_rmap_pte,
    page_anon_exclusive,
    page_try_share_anon_rmap,
)
from pinhold.mm.rules.lazyfree import FREE_WHOLE, LAZYFREE_THP_SPLIT_FOLIO
from pinhold.mm.rules.swap import PAGEOUT_GIVES_UP, SWAP_SPLIT, SWAP_WHOLE
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.swap import (
    FILE_PAGE_EVICTED,
    FILE_PAGE_STAYS,
    PAGEOUT_SHARED_KEPT,
    RECLAIM_PINNED_STAYS,
    SWAPOUT_PINNED_KEPT,
    SWAPOUT_ZERO_FILLED,
)
from pinhold.mm.state import State
from pinhold.mm.swap import add_to_swap_cache, delete_from_swap_cache, folio_free_swap, swap_alloc
from pinhold.mm.task import current, finish, goto, mmap_read_lock, mmap_read_unlock
from pinhold.mm.trap import TRAP_STAGE, trap
from pinhold.mm.vma import find_vma, vma_is_hugetlb

PAGEOUT_START, PAGEOUT_NEXT, PAGEOUT_UNMAP, PAGEOUT_WRITE = 0, 1, 2, 3


@kernel
def pageout(m: State, task: int) -> int:
    """One step of MADV_PAGEOUT of [act_addr, act_end).  Result: 0, whatever stayed, or -EINVAL at hugetlb memory.

    Linux: madvise_cold_or_pageout_pte_range(), reclaim_pages(), shrink_folio_list().
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == PAGEOUT_START:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        lru_add_drain(m)
        return goto(m, act, PAGEOUT_NEXT)
    left = m.batch
    while left > 0:
        if m.act_pc[act] == PAGEOUT_NEXT and m.act_addr[act] >= m.act_end[act]:
            mmap_read_unlock(m, mm)
            return finish(m, task, 0)
        if m.act_pc[act] == PAGEOUT_NEXT and pageout_refused(m, find_vma(m, mm, m.act_addr[act])):
            mmap_read_unlock(m, mm)
            return finish(m, task, -EINVAL)
        pageout_piece(m, act)
        left -= 1
    return AGAIN


@kernel
def pageout_refused(m: State, vma: int) -> bool:
    """hugetlb memory is never on the LRU.  Linux: can_madv_lru_vma()."""
    return vma != NO_VMA and vma_is_hugetlb(m, vma)


@kernel
def pageout_piece(m: State, act: int) -> None:
    """The next atomic piece."""
    pc = m.act_pc[act]
    if pc == PAGEOUT_NEXT:
        pageout_next(m, act)
    elif pc == PAGEOUT_UNMAP:
        try_to_unmap(m, act)
    elif pc == PAGEOUT_WRITE:
        pageout_write(m, act)
    else:
        trap(m, TRAP_STAGE)


@kernel
def pageout_next(m: State, act: int) -> None:
    """Choose the page at act_addr and put it into the swap cache, or pass it over."""
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    m.act_addr[act] = addr + 1
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA:
        return
    upper = pt_walk(m, mm, addr, 1) if m.levels > 1 else -1
    if upper >= 0 and m.pte[upper] & PTE_PSE:
        folio = pte_pfn(m.pte[upper])
        span = level_pages(m, 1)
        whole = addr % span == 0 and addr + span <= m.act_end[act]
        free = not m.folio_flags[folio] & FOLIO_LOCKED
        lazyfree = whole and free and folio_test_lazyfree(m, folio) and folio_mapcount(m, folio) == 1
        if lazyfree and m.rule_lazyfree_thp != LAZYFREE_THP_SPLIT_FOLIO:
            m.act_addr[act] = addr + span
            pageout_lock(m, act, folio)
            return
        if not pageout_split_pmd(m, mm, addr, upper, 0 if whole and not lazyfree else 1):
            m.act_addr[act] = (addr // span + 1) * span
            return
    slot = pt_walk(m, mm, addr, 0)
    if slot < 0 or not pte_present(m.pte[slot]) or pte_special(m.pte[slot]):
        return
    page = pte_pfn(m.pte[slot])
    folio = page_folio(m, page)
    if m.folio_flags[folio] & FOLIO_LOCKED:
        return
    if not folio_test_anon(m, folio):
        if folio_mapcount(m, folio) == 1:
            pageout_lock(m, act, folio)
        else:
            decided(m, PAGEOUT_SHARED_KEPT)
        return
    if m.folio_order[folio] > 0 and pageout_whole(m, act, slot, page):
        return
    if m.folio_order[folio] > 0 and not pageout_split_folio(m, folio, page):
        if m.rule_pageout_shared_large == PAGEOUT_GIVES_UP:
            m.act_addr[act] = (addr // level_pages(m, 1) + 1) * level_pages(m, 1)
        return
    if pte_special(m.pte[slot]):
        return  # split meanwhile, and zero-filled
    if folio_mapcount(m, page) != 1:
        decided(m, PAGEOUT_SHARED_KEPT)
        return
    if folio_test_lazyfree(m, page) or (not reclaim_keeps(m, page) and pageout_add_to_swap(m, page)):
        pageout_lock(m, act, page)


@kernel
def pageout_whole(m: State, act: int, slot: int, page: int) -> bool:
    """Whether the large folio of the page at `slot` has been dealt with.

    All its pages are mapped from here on in a row: it goes whole or, held by others, stays whole.
    """
    folio = page_folio(m, page)
    pages = folio_nr_pages(m, folio)
    addr = m.act_addr[act] - 1
    lazyfree = folio_test_lazyfree(m, folio)
    if m.rule_madv_free_large != FREE_WHOLE if lazyfree else not swaps_large(m):
        return False
    end = min(m.act_end[act], m.vma_end[find_vma(m, m.act_mm[act], addr)])
    limit = min(end - addr, level_pages(m, 1) - addr % level_pages(m, 1))
    if page != folio or folio_pte_batch(m, slot, limit, PTE_RW | PTE_SOFT_DIRTY | PTE_DIRTY | PTE_ACCESSED) < pages:
        return False
    if folio_mapcount(m, folio) != pages:
        decided(m, PAGEOUT_SHARED_KEPT)
    elif lazyfree:
        pageout_lock(m, act, folio)
    elif not reclaim_keeps(m, folio):
        if not pageout_add_to_swap(m, folio):
            return False
        pageout_lock(m, act, folio)
    m.act_addr[act] = addr + pages
    return True


@kernel
def swaps_large(m: State) -> bool:
    """Whether large folios go to the swap device whole."""
    return m.rule_swap_large != SWAP_SPLIT and swap_takes_thps(m)


@kernel
def swap_takes_thps(m: State) -> bool:
    """Whether the swap device has slots in a row for a THP: one that rotates keeps none in clusters, and until
    7277433096f6 (6.14) a THP is split before it goes there.  Linux: shrink_folio_list(), where add_to_swap() fails."""
    return m.config_swap_clusters != 0 or m.rule_swap_large == SWAP_WHOLE


@kernel
def pageout_lock(m: State, act: int, folio: int) -> None:
    """The folio is in the swap cache, or can be discarded: next it is unmapped, under its lock."""
    folio_get(m, folio)
    m.folio_flags[folio] |= FOLIO_LOCKED
    m.act_page[act] = folio
    m.act_pc[act] = PAGEOUT_UNMAP


@kernel
def pageout_add_to_swap(m: State, folio: int) -> bool:
    """Into the swap cache, unless it is there already.  Linux: add_to_swap()."""
    if folio_test_swapcache(m, folio):
        return True
    slot = swap_alloc(m, folio_nr_pages(m, folio))
    if slot == 0:
        return False
    add_to_swap_cache(m, folio, slot)
    folio_mark_dirty(m, folio)
    return True


@kernel
def reclaim_keeps(m: State, folio: int) -> bool:
    """Whether reclaim leaves the folio alone: one that may be pinned, and a large one that anything but its mappings
    holds, so that it could not be split (5.10 to 7.3).

    Both are asked before it is put into the swap cache: what is there already is unmapped, whoever holds it.
    Linux: shrink_folio_list(); can_split_folio() (can_split_huge_page(); folio_expected_ref_count() in 7.3).
    """
    if folio_test_swapcache(m, folio):
        return False
    if swapout_pinned(m, folio):
        return True
    if m.folio_order[folio] == 0 or m.folio_refcount[folio] == folio_mapcount(m, folio):
        return False
    decided(m, PAGEOUT_SHARED_KEPT)
    return True


@kernel
def swapout_pinned(m: State, folio: int) -> bool:
    """Whether the folio is left alone because it may be pinned.  feb889fb40fa (5.11)."""
    if not m.rule_swapout_skips_pinned or not folio_maybe_dma_pinned(m, folio):
        return False
    decided(m, SWAPOUT_PINNED_KEPT)
    return True


@kernel
def pageout_split_pmd(m: State, mm: int, addr: int, upper: int, part: int) -> bool:
    """A THP mapped by a PMD: map it by PTEs if it is to go, False if it stays.

    Others may map some of its pages, by PTEs of their own; up to 6.9 the first page alone is asked for them.  If a part
    of it goes, the folio is split all the same; if all of it, and nobody else has it, the entry alone, unless the swap
    device has no room for it in one piece.  Linux: madvise_cold_or_pageout_pte_range(), shrink_folio_list().
    """
    folio = pte_pfn(m.pte[upper])
    goes = False
    kept = is_huge_zero_page(m, folio) or folio_maybe_mapped_shared(m, folio, folio)
    if not kept and part:
        folio_get(m, folio)
        goes = split_huge_page(m, folio)
        folio_put(m, folio)
    elif not kept and m.folio_refcount[folio] == 1:
        goes = split_huge_pmd(m, mm, addr, 0 if swap_takes_thps(m) else 1) == 0
    if not goes:
        decided(m, PAGEOUT_SHARED_KEPT)
    return goes


@kernel
def pageout_split_folio(m: State, folio: int, page: int) -> bool:
    """A PTE-mapped large folio: split it, if nobody else maps it, as far as is known, and nothing else holds it.

    5.10 and 6.1 give up the rest of the PMD's range otherwise, later kernels go on with the next page.
    """
    kept = not folio_test_lazyfree(m, folio) and swapout_pinned(m, folio)
    if not folio_maybe_mapped_shared(m, folio, page) and not kept and split_folio(m, folio):
        return True
    decided(m, PAGEOUT_SHARED_KEPT)
    return False


@kernel
def try_to_unmap(m: State, act: int) -> None:
    """Replace the folio's mappings by swap entries, up to a page that got pinned; discard it if it is lazyfree.

    Linux: try_to_unmap_one() (mm/rmap.c), under the page-table lock.
    """
    mm = m.act_mm[act]
    folio = m.act_page[act]
    pages = folio_nr_pages(m, folio)
    m.act_pc[act] = PAGEOUT_WRITE
    if not folio_test_anon(m, folio):
        unmap_file_page(m, mm, m.act_addr[act] - 1, folio)
        return
    if folio_test_ksm(m, folio) and not rmap_finds_ksm(m, folio):
        return
    if not folio_test_swapcache(m, folio):
        if folio_test_lazyfree(m, folio):
            unmap_lazyfree(m, mm, m.act_addr[act] - pages, folio)
        return
    for page in range(folio, folio + pages):
        slot = pt_walk(m, mm, m.act_addr[act] - pages + page - folio, 0)
        if slot < 0 or not try_to_unmap_pte(m, mm, slot, folio, page):
            return


@kernel
def try_to_unmap_pte(m: State, mm: int, slot: int, folio: int, page: int) -> bool:
    """One page's mapping becomes a swap entry; False: it is another one's by now, or the page may be pinned."""
    entry = m.pte[slot]
    if not pte_present(entry) or pte_special(entry) or pte_pfn(entry) != page:
        return False
    if entry & PTE_DIRTY:
        folio_mark_dirty(m, folio)  # and it stays so where the entry is put back
    exclusive = page_anon_exclusive(m, page)
    if not page_try_share_anon_rmap(m, page):
        return False
    swap = m.folio_swap[folio] + page - folio
    flags = SWP_EXCLUSIVE if exclusive else 0
    if entry & PTE_SOFT_DIRTY:
        flags |= SWP_SOFT_DIRTY
    m.pte[slot] = mk_pte(swap, flags)
    m.swap_count[swap] += 1
    folio_remove_rmap_pte(m, mm, page)
    folio_put(m, folio)
    return True


@kernel(needs=Part.FILE)
def unmap_file_page(m: State, mm: int, addr: int, page: int) -> None:
    """A page of a file is not mapped any more, whoever holds it; the file has it.  Linux: try_to_unmap_one()."""
    slot = pt_walk(m, mm, addr, 0)
    if slot < 0 or not pte_present(m.pte[slot]) or pte_pfn(m.pte[slot]) != page:
        return
    if m.pte[slot] & PTE_DIRTY:
        folio_mark_dirty(m, page)
    m.pte[slot] = 0
    folio_remove_rmap_pte(m, mm, page)
    folio_put(m, page)


@kernel(needs=Part.FILE)
def reclaim_file_page(m: State, folio: int) -> None:
    """Take an unmapped page of a file out of the page cache, if nobody else holds it: one of shmem goes to swap, a
    clean one of an ordinary file goes as it is.

    A dirty one waits for writeback, marked to be freed then: it has PG_reclaim, which is PG_readahead.  One that may be
    pinned is let go of before that, since d824ec2a1546 (6.4); anonymous pages come to the same without.  Linux:
    shrink_folio_list().
    """
    if folio_mapcount(m, folio):
        return
    if m.rule_reclaim_skips_pinned and folio_maybe_dma_pinned(m, folio):
        decided(m, RECLAIM_PINNED_STAYS)
        return
    shmem = m.file_kind[m.folio_file[folio]] == FILE_SHMEM
    waits = not shmem and m.folio_dirty[folio] == FOLIO_DIRTY
    if not waits and m.folio_refcount[folio] == 1 + 1 and (not shmem or m.config_swap):
        decided(m, FILE_PAGE_EVICTED)
        cache_evict(m, folio)
        return
    decided(m, FILE_PAGE_STAYS)
    if waits and m.fault_around > 1:  # nobody else can tell
        m.folio_flags[folio] |= FOLIO_READAHEAD


@kernel
def pageout_write(m: State, act: int) -> None:
    """Reclaim the folio, if nobody maps it; one that could not be unmapped stays in the swap cache."""
    folio = m.act_page[act]
    m.folio_flags[folio] &= ~FOLIO_LOCKED
    if not folio_test_anon(m, folio):
        reclaim_file_page(m, folio)
    elif folio_test_swapcache(m, folio) and folio_mapcount(m, folio) == 0 and not folio_free_swap(m, folio):
        reclaim_swap_cache(m, folio)
    folio_put(m, folio)
    m.act_page[act] = NO_PAGE
    m.act_pc[act] = PAGEOUT_NEXT


@kernel(needs=Part.SWAP)
def reclaim_swap_cache(m: State, folio: int) -> None:
    """Free an unmapped folio in the swap cache that nobody else holds, once the device has what it holds: a dirty one
    is written out first, and stays if that takes time.  Linux: pageout(), __remove_mapping()."""
    pages = folio_nr_pages(m, folio)
    dirty = folio_test_dirty_anon(m, folio)
    if dirty:
        for i in range(pages):  # nobody can tell when, before the folio leaves the swap cache
            m.swap_content[m.folio_swap[folio] + i] = m.page_content[folio + i]
    if m.folio_refcount[folio] != 1 + pages:
        return
    m.folio_dirty[folio] = FOLIO_CLEAN
    if dirty and swap_zero_filled(m, folio):
        decided(m, SWAPOUT_ZERO_FILLED)
    if not dirty or not swap_io_waits(m, folio):
        delete_from_swap_cache(m, folio)
