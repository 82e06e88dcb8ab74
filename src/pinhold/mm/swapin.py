"""Faults that meet a swap entry: do_swap_page() in mm/memory.c."""

from __future__ import annotations

from pinhold.mm.flags import (
    BLOCKED,
    ENOMEM,
    FAULT_DONE,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_WRITE,
    FAULT_RETRY,
    FAULT_WROTE,
    FOLIO_LOCKED,
    FOLIO_LRU_BATCH,
    NO_PAGE,
    NO_VMA,
    PFN_SHIFT,
    PTE_ACCESSED,
    PTE_SOFT_DIRTY,
    SWP_EXCLUSIVE,
    SWP_SOFT_DIRTY,
)
from pinhold.mm.folio import (
    folio_add_lru,
    folio_alloc,
    folio_get,
    folio_nr_pages,
    folio_put,
    folio_test_ksm,
    folio_test_swapcache,
    lru_add_drain,
    page_folio,
)
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.page_io import swap_io_waits
from pinhold.mm.pgtable import mk_pte, pt_walk, pte_mkdirty, pte_pfn
from pinhold.mm.rmap import (
    folio_add_rmap_pte,
    folio_set_anon,
    set_page_anon_exclusive,
)
from pinhold.mm.rules.swap import (
    SWAP_SPLIT,
    SWAPIN_BY_COUNTS_ON_WRITE,
    SWAPIN_BY_MARK,
    SWAPIN_BY_MARK_OR_REFERENCES,
    SWAPIN_WRITABLE_IF_VMA_WRITABLE,
)
from pinhold.mm.rules.wp import WP_BY_REFERENCES_DRAINED
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.swap import SWAPIN_EXCLUSIVE, SWAPIN_SHARED
from pinhold.mm.state import State
from pinhold.mm.swap import add_to_swap_cache, folio_free_swap, reuse_swap_page, swap_free
from pinhold.mm.task import finish, goto
from pinhold.mm.vma import (
    find_vma,
    maybe_mkwrite,
    soft_dirty_write_protected,
    vm_page_prot,
)
from pinhold.mm.wp import (
    FAULT_START,
    FAULT_SWAP_MAP,
    FAULT_SWAP_READ,
    do_wp_page,
)


@kernel(needs=Part.SWAP)
def swapin_lookup(m: State, task: int, act: int) -> int:
    """A swap entry: is the page still in the swap cache?"""
    swap = pte_pfn(m.act_entry[act])
    page = m.swap_page[swap]
    if page == NO_PAGE:
        return goto(m, act, FAULT_SWAP_READ)
    folio_get(m, page_folio(m, page))
    m.act_page[act] = page
    return goto(m, act, FAULT_SWAP_MAP)


@kernel(needs=Part.SWAP)
def swapin_read(m: State, task: int, act: int) -> int:
    """Read the slot into a fresh page, through the swap cache; a synchronous device whose slot has one user bypasses
    it.

    In 7.3 nothing does: what a synchronous device gives back leaves the swap cache once it is mapped.  Linux:
    swapin_readahead(); SWP_SYNCHRONOUS_IO in do_swap_page(), 0bcac06f27d7 (4.15).
    """
    swap = pte_pfn(m.act_entry[act])
    if m.swap_page[swap] != NO_PAGE or m.swap_count[swap] == 0:
        return goto(m, act, FAULT_START)
    page = folio_alloc(m, 0)
    if page == NO_PAGE:
        return finish(m, task, -ENOMEM)
    m.page_content[page] = m.swap_content[swap]
    folio_set_anon(m, page)
    if not m.config_swap_sync or m.swap_count[swap] > 1 or m.rule_swapin_exclusive == SWAPIN_BY_MARK:
        add_to_swap_cache(m, page, swap)
    folio_add_lru(m, page)
    m.act_page[act] = page
    if m.act_flags[act] & FAULT_FLAG_ALLOW_RETRY and swap_io_waits(m, page):
        return swapin_retry(m, task, act)
    return goto(m, act, FAULT_SWAP_MAP)


@kernel
def swapin_retry(m: State, task: int, act: int) -> int:
    """The folio is locked, for its content is being read or for another's sake: who allows it waits, and nothing is
    mapped.  What was read is in the swap cache.  Linux: folio_lock_or_retry()."""
    folio_put(m, page_folio(m, m.act_page[act]))
    m.act_page[act] = NO_PAGE
    return finish(m, task, FAULT_RETRY)


@kernel(needs=Part.SWAP)
def do_swap_page(m: State, task: int, act: int) -> int:
    """Under the folio lock and the page-table lock: map the page instead of the swap entry; of a large folio in the
    swap cache all pages at once, if all its entries are there in a row.

    Whether it is exclusive: by the mark in the entry or a fresh page outside the swap cache, up to 6.18 also by a
    reference count of one (5.10: by map and swap counts, and only for a write).  Whether it becomes writable at once:
    for a write, and since 6.11 whenever it is exclusive and the VMA is writable.  Linux: do_swap_page()
    (mm/memory.c); 1493a1913e34 (5.19).
    """
    mm = m.act_mm[act]
    page = m.act_page[act]
    old = m.act_entry[act]
    folio = page_folio(m, page)
    cached = folio_test_swapcache(m, folio)
    if m.folio_flags[folio] & FOLIO_LOCKED:
        return swapin_retry(m, task, act) if m.act_flags[act] & FAULT_FLAG_ALLOW_RETRY else BLOCKED
    vma = find_vma(m, mm, m.act_addr[act])
    slot = pt_walk(m, mm, m.act_addr[act], 0)
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    gone = cached and m.folio_swap[folio] + page - folio != pte_pfn(old)
    if vma == NO_VMA or slot < 0 or m.pte[slot] != old or gone:
        m.act_page[act] = NO_PAGE
        folio_put(m, folio)
        return finish(m, task, FAULT_DONE)
    by_references = m.rule_swapin_exclusive == SWAPIN_BY_MARK_OR_REFERENCES and not folio_test_ksm(m, folio)
    drains = by_references and m.rule_wp_reuse == WP_BY_REFERENCES_DRAINED and write != 0 and cached
    if drains and m.folio_flags[folio] & FOLIO_LRU_BATCH:
        lru_add_drain(m)
    exclusive = swapin_exclusive(m, page, old, 1 if cached else 0, write)
    before = 0
    pages = 1
    if cached and swapin_whole(m, vma, m.act_addr[act], slot, page, folio):
        before = page - folio
        pages = folio_nr_pages(m, folio)
    for i in range(pages):
        swap_free(m, pte_pfn(old) - before + i)
    if drains and m.folio_refcount[folio] == 1 + folio_nr_pages(m, folio):
        folio_free_swap(m, folio)
    if by_references and m.folio_refcount[folio] == 1:
        exclusive = True
    decided(m, SWAPIN_EXCLUSIVE if exclusive else SWAPIN_SHARED)
    entry = swapin_entry(m, vma, page, old, write, 1 if exclusive else 0)
    m.folio_refcount[folio] += pages - 1
    for i in range(-before, pages - before):
        folio_add_rmap_pte(m, mm, page + i)
        if exclusive:
            set_page_anon_exclusive(m, page + i)
        m.pte[slot + i] = entry + (i << PFN_SHIFT)
    if cached and m.rule_swapin_exclusive == SWAPIN_BY_MARK and (m.config_swap_sync or (write and exclusive)):
        folio_free_swap(m, folio)
    m.act_page[act] = NO_PAGE
    m.act_entry[act] = entry
    if write and not exclusive:
        return do_wp_page(m, task, act, vma, slot)
    return finish(m, task, FAULT_WROTE if write else FAULT_DONE)


@kernel
def swapin_entry(m: State, vma: int, page: int, old: int, write: int, exclusive: int) -> int:
    """What maps the page instead of the swap entry `old`."""
    entry = mk_pte(page, vm_page_prot(m, vma) | PTE_ACCESSED)
    if m.config_soft_dirty and old & SWP_SOFT_DIRTY:
        entry |= PTE_SOFT_DIRTY
    if exclusive and write:
        return maybe_mkwrite(m, vma, pte_mkdirty(m, entry))
    at_once = m.rule_swapin_maps_writable == SWAPIN_WRITABLE_IF_VMA_WRITABLE
    if exclusive and at_once and not soft_dirty_write_protected(m, vma, entry):
        return maybe_mkwrite(m, vma, entry)
    return entry


@kernel
def swapin_whole(m: State, vma: int, addr: int, slot: int, page: int, folio: int) -> bool:
    """Whether the entries around `slot` are those of all the folio's pages, in a row, in one VMA and under one PMD."""
    index = page - folio
    pages = folio_nr_pages(m, folio)
    if pages == 1 or m.rule_swap_large == SWAP_SPLIT:
        return False
    first = addr - index
    if first < m.vma_start[vma] or first + pages > m.vma_end[vma]:
        return False
    if first >> m.bits != (first + pages - 1) >> m.bits:
        return False
    for i in range(pages):
        if m.pte[slot - index + i] != m.pte[slot] + ((i - index) << PFN_SHIFT):
            return False
    return True


@kernel
def swapin_exclusive(m: State, page: int, entry: int, cached: int, write: int) -> bool:
    """Whether the page that comes back from swap belongs to this process alone (before the swap slot is given up)."""
    if folio_test_ksm(m, page_folio(m, page)):
        return False
    if m.rule_swapin_exclusive != SWAPIN_BY_COUNTS_ON_WRITE:
        return not cached or entry & SWP_EXCLUSIVE != 0
    return write != 0 and reuse_swap_page(m, page_folio(m, page))
