"""Faults that meet a read-only entry, write or unshare, and the copies that they make: do_wp_page() in mm/memory.c.

The copy of a fault is made outside the page-table lock and installed only if the entry is still the one that was seen.
"""

from __future__ import annotations

from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import (
    ENOMEM,
    FAULT_DONE,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FOLIO_LOCKED,
    FOLIO_LRU_BATCH,
    FOLIO_MMS_SHARED,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_SOFT_DIRTY,
    VM_MAYSHARE,
    VM_SHARED,
    VM_WRITE,
    ZERO_PFN,
)
from pinhold.mm.folio import (
    folio_add_lru,
    folio_alloc,
    folio_copy,
    folio_get,
    folio_put,
    folio_test_anon,
    folio_test_ksm,
    folio_test_swapcache,
    lru_add_drain,
    page_folio,
)
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.pgtable import mk_pte, pt_walk, pte_mkdirty, pte_pfn, pte_present, pte_special
from pinhold.mm.rmap import (
    folio_add_rmap_pte,
    folio_mapcount,
    folio_remove_rmap_pte,
    folio_set_anon,
    page_anon_exclusive,
    set_page_anon_exclusive,
)
from pinhold.mm.rules.wp import (
    BREAKS_COW_MAPPING,
    LARGE_REUSE_EXCLUSIVE_MM,
    LARGE_REUSE_REFERENCES,
    WP_BY_MAPCOUNT,
    WP_BY_REFERENCES_DRAINED,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.wp import (
    KSM_NEVER_REUSED,
    UNSHARE_COPIES,
    UNSHARE_NOT_ANON,
    WP_COPY,
    WP_REUSE_EXCLUSIVE,
    WP_REUSE_LARGE,
    WP_REUSE_MAPCOUNT,
    WP_REUSE_REFCOUNT,
    WP_SHARED,
)
from pinhold.mm.state import State
from pinhold.mm.swap import folio_free_swap, free_swap_cache, reuse_swap_page
from pinhold.mm.task import finish, goto
from pinhold.mm.vma import (
    anon_vma_prepare,
    find_vma,
    maybe_mkwrite,
    vm_page_prot,
    vma_is_anonymous,
)

(
    FAULT_START,
    FAULT_COPY,
    FAULT_INSTALL,
    FAULT_SWAP_READ,
    FAULT_SWAP_MAP,
    FAULT_HUGE_INSTALL,
    FAULT_HUGETLB_INSTALL,
    FAULT_HUGE_COUNTED,
) = range(8)
"""The stages of a fault, wherever they are worked on."""


@kernel
def do_wp_page(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """A write, or an unshare, meets a read-only entry: reuse the page, share it writably, or copy it.

    Linux: do_wp_page() (mm/memory.c); PageAnonExclusive 6c287605fd56 (5.19), unsharing c89357e27f20 (5.19) and, for
    everything in a COW mapping, 8d6a0ac09a16 (6.2).
    """
    entry = m.pte[slot]
    unshare = m.act_flags[act] & FAULT_FLAG_UNSHARE
    page = pte_pfn(entry)
    normal = not pte_special(entry)
    folio = page_folio(m, page)
    if normal and folio_test_anon(m, folio):
        if wp_can_reuse(m, page):
            set_page_anon_exclusive(m, page)
            if unshare:
                return finish(m, task, FAULT_DONE)
            wp_page_reuse(m, vma, slot)
            return finish(m, task, FAULT_WROTE)
    elif unshare and m.rule_unshare_breaks != BREAKS_COW_MAPPING:
        decided(m, UNSHARE_NOT_ANON)
        return finish(m, task, FAULT_DONE)
    elif m.vma_flags[vma] & (VM_SHARED | VM_MAYSHARE):
        if unshare:
            return finish(m, task, FAULT_DONE)
        decided(m, WP_SHARED)
        folio_mark_dirty(m, folio)
        wp_page_reuse(m, vma, slot)
        return finish(m, task, FAULT_WROTE)
    decided(m, UNSHARE_COPIES if unshare else WP_COPY)
    anon_vma_prepare(m, vma)
    m.act_page[act] = page
    if normal:
        folio_get(m, folio)
    return goto(m, act, FAULT_COPY)


@kernel
def wp_page_reuse(m: State, vma: int, slot: int) -> None:
    """Write on in the same page."""
    m.pte[slot] = maybe_mkwrite(m, vma, pte_mkdirty(m, m.pte[slot] | PTE_ACCESSED))


@kernel
def wp_can_reuse(m: State, page: int) -> bool:
    """Whether this anonymous page is the faulting process's alone, so that it may write to it in place."""
    folio = page_folio(m, page)
    if page_anon_exclusive(m, page):
        decided(m, WP_REUSE_EXCLUSIVE)
        return True
    if folio_test_ksm(m, folio):
        decided(m, KSM_NEVER_REUSED)
        return False
    if m.folio_order[folio] > 0 and m.rule_wp_reuse_large != LARGE_REUSE_REFERENCES:
        return wp_can_reuse_large_anon_folio(m, folio)
    return wp_can_reuse_anon_folio(m, folio, page)


@kernel
def wp_can_reuse_anon_folio(m: State, folio: int, page: int) -> bool:
    """By references: ours must be the only one.  Up to 5.8 by mappings and swap entries alone.

    Since 5.18 the CPU's LRU batch is drained and the swap cache given up first, if that can help; before, either
    makes the owner copy.  Linux: wp_can_reuse_anon_folio(), in do_wp_page() up to 6.6; 09854ba94c6a (5.9),
    d4c470970d45 and 53a05ad9f21d (5.18).
    """
    if m.rule_wp_reuse == WP_BY_MAPCOUNT:
        if m.folio_flags[folio] & FOLIO_LOCKED or not reuse_swap_page(m, folio):
            return False
        decided(m, WP_REUSE_MAPCOUNT)
        return True
    if m.rule_wp_reuse == WP_BY_REFERENCES_DRAINED:
        if m.folio_refcount[folio] > 3:
            return False
        if m.folio_flags[folio] & FOLIO_LRU_BATCH:
            lru_add_drain(m)
        if m.folio_refcount[folio] > 1 + folio_test_swapcache(m, folio) or m.folio_flags[folio] & FOLIO_LOCKED:
            return False
        folio_free_swap(m, folio)
    elif m.page_mapcount[page] + m.folio_entire_mapcount[folio] != 1 or m.folio_flags[folio] & FOLIO_LOCKED:
        return False
    if m.folio_refcount[folio] != 1:
        return False
    decided(m, WP_REUSE_REFCOUNT)
    return True


@kernel(needs=Part.LARGE)
def wp_can_reuse_large_anon_folio(m: State, folio: int) -> bool:
    """A PTE-mapped large folio: if at least two of its pages are mapped, all mappings are this process's and there is
    no other reference.  Linux: __wp_can_reuse_large_anon_folio(), 1da190f4d0a6 (6.15); 6.9 to 6.14 never reuse
    one."""
    if m.rule_wp_reuse_large != LARGE_REUSE_EXCLUSIVE_MM or folio_mapcount(m, folio) <= 1:
        return False
    if m.folio_flags[folio] & (FOLIO_MMS_SHARED | FOLIO_LOCKED):
        return False
    folio_free_swap(m, folio)
    if folio_mapcount(m, folio) != m.folio_refcount[folio]:
        return False
    decided(m, WP_REUSE_LARGE)
    return True


@kernel
def wp_page_copy(m: State, task: int, act: int) -> int:
    """Outside the lock: a new page with the old one's content (zeros where there was none)."""
    new = folio_alloc(m, 0)
    if new == NO_PAGE:
        put_source(m, act)
        return finish(m, task, -ENOMEM)
    if m.act_page[act] != NO_PAGE:
        folio_copy(m, m.act_page[act], new, 1)
    m.act_new[act] = new
    return goto(m, act, FAULT_INSTALL)


@kernel
def put_source(m: State, act: int) -> None:
    """Drop the reference on the page that was copied from."""
    page = m.act_page[act]
    if page != NO_PAGE and page != ZERO_PFN:
        folio_put(m, page_folio(m, page))
    m.act_page[act] = NO_PAGE


@kernel
def fault_install(m: State, task: int, act: int) -> int:
    """Under the lock again: install the new anonymous page unless the entry has changed meanwhile.

    do_anonymous_page() leaves it clean in a mapping without VM_WRITE, which a forced write alone gets into; what copies
    a page makes the copy dirty there, too.
    """
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    new = m.act_new[act]
    old = m.act_entry[act]
    vma = find_vma(m, mm, addr)
    slot = pt_walk(m, mm, addr, 0)
    if vma == NO_VMA or slot < 0 or m.pte[slot] != old:
        folio_put(m, new)
        put_source(m, act)
        return finish(m, task, FAULT_DONE)
    if pte_present(old) and not pte_special(old):
        folio_remove_rmap_pte(m, mm, pte_pfn(old))
    folio_set_anon(m, new)
    set_page_anon_exclusive(m, new)
    folio_add_rmap_pte(m, mm, new)
    entry = mk_pte(new, vm_page_prot(m, vma) | PTE_ACCESSED)
    wrote = m.act_flags[act] & FAULT_FLAG_WRITE
    if wrote:
        if old or m.vma_flags[vma] & VM_WRITE or not vma_is_anonymous(m, vma):
            entry = pte_mkdirty(m, entry)
        entry = maybe_mkwrite(m, vma, entry)
    else:
        entry |= old & PTE_SOFT_DIRTY
    m.pte[slot] = entry
    folio_add_lru(m, new)
    if pte_present(old) and not pte_special(old):
        free_swap_cache(m, page_folio(m, pte_pfn(old)))
        folio_put(m, page_folio(m, pte_pfn(old)))
    put_source(m, act)
    return finish(m, task, FAULT_WROTE if wrote and old else FAULT_DONE)
