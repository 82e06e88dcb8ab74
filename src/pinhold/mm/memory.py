"""Page faults on base pages, up to the page-table lock and beyond: mm/memory.c.

One fault is one activation of `handle_mm_fault`.  Under the page-table lock it decides; a copy is made outside the
lock and installed only if the entry is still the one that was seen.  Results: FAULT_DONE, FAULT_WROTE (a write fault
was resolved, VM_FAULT_WRITE up to 6.1), or a negative errno (VM_FAULT_OOM, VM_FAULT_SIGBUS and VM_FAULT_SIGSEGV as
GUP reports them).
"""

from __future__ import annotations

from pinhold.mm.file import cache_get_page, cache_lookup
from pinhold.mm.flags import (
    BLOCKED,
    EFAULT,
    ENOMEM,
    FAULT_ALLOCATED,
    FAULT_DONE,
    FAULT_FALLBACK,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FOLIO_LOCKED,
    FOLIO_LRU_BATCH,
    FOLIO_MMS_SHARED,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    PTE_SPECIAL,
    SWP_EXCLUSIVE,
    SWP_SOFT_DIRTY,
    VM_MAYWRITE,
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
    folio_test_swapcache,
    lru_add_drain,
    page_folio,
)
from pinhold.mm.huge_memory import do_huge_pmd_anonymous_page, do_huge_pmd_wp_page, huge_install, thp_suitable
from pinhold.mm.hugetlb import hugetlb_fault, hugetlb_install
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, mk_pte, pt_alloc, pt_walk, pte_mkdirty, pte_pfn, pte_present, pte_special
from pinhold.mm.rmap import (
    folio_add_rmap_pte,
    folio_mapcount,
    folio_remove_rmap_pte,
    folio_set_anon,
    map_folio_pte,
    page_anon_exclusive,
    set_page_anon_exclusive,
)
from pinhold.mm.sites import (
    ANON_READ_ZERO_PAGE,
    FAULT_SANITY_CLEARED,
    FAULT_SANITY_SIGSEGV,
    SWAPIN_EXCLUSIVE,
    SWAPIN_SHARED,
    UNSHARE_COPIES,
    UNSHARE_NOT_ANON,
    WP_COPY,
    WP_REUSE_EXCLUSIVE,
    WP_REUSE_LARGE,
    WP_REUSE_REFCOUNT,
    WP_SHARED,
    decided,
)
from pinhold.mm.state import State
from pinhold.mm.swap import add_to_swap_cache, delete_from_swap_cache, folio_free_swap, free_swap_cache, swap_free
from pinhold.mm.task import current, finish, goto
from pinhold.mm.vma import (
    find_vma,
    is_cow_mapping,
    maybe_mkwrite,
    vm_page_prot,
    vma_is_anonymous,
    vma_is_hugetlb,
    vma_soft_dirty_enabled,
)

(
    FAULT_START,
    FAULT_COPY,
    FAULT_INSTALL,
    FAULT_SWAP_READ,
    FAULT_SWAP_MAP,
    FAULT_HUGE_INSTALL,
    FAULT_HUGETLB_INSTALL,
) = range(7)


@kernel
def sanitize_fault_flags(m: State, vma: int, flags: int) -> int:
    """The flags that the fault goes on with, or -EFAULT (VM_FAULT_SIGSEGV).

    Unsharing a mapping that cannot have private copies is an ordinary read; writing needs VM_WRITE or, forced, a COW
    mapping.  Linux: sanitize_fault_flags() (mm/memory.c), cdc5021cda19 and 79881fed6052 (6.2).
    """
    if not m.rule_fault_flag_sanity:
        return flags
    vm_flags = m.vma_flags[vma]
    if flags & FAULT_FLAG_UNSHARE:
        if flags & FAULT_FLAG_WRITE:
            decided(m, FAULT_SANITY_SIGSEGV)
            return -EFAULT
        if not is_cow_mapping(vm_flags):
            decided(m, FAULT_SANITY_CLEARED)
            return flags & ~FAULT_FLAG_UNSHARE
    elif flags & FAULT_FLAG_WRITE:
        if not vm_flags & VM_MAYWRITE or (not vm_flags & VM_WRITE and not is_cow_mapping(vm_flags)):
            decided(m, FAULT_SANITY_SIGSEGV)
            return -EFAULT
    return flags


@kernel
def handle_mm_fault(m: State, task: int) -> int:
    """One step of a fault.  act_addr, act_flags: as given; act_entry: the entry that was seen; act_page: the page to
    copy from, with a reference; act_new: the page to install.  Linux: handle_mm_fault(), handle_pte_fault()."""
    act = current(m, task)
    pc = m.act_pc[act]
    if pc == FAULT_START:
        return fault_start(m, task, act)
    if pc == FAULT_COPY:
        return wp_page_copy(m, task, act)
    if pc == FAULT_INSTALL:
        return fault_install(m, task, act)
    if pc == FAULT_SWAP_READ:
        return swapin_read(m, task, act)
    if pc == FAULT_SWAP_MAP:
        return do_swap_page(m, task, act)
    if pc == FAULT_HUGE_INSTALL:
        return finish(m, task, huge_install(m, act))
    return finish(m, task, hugetlb_install(m, act))


@kernel
def fault_start(m: State, task: int, act: int) -> int:
    """Find the VMA and the level, and let the right handler decide."""
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA:
        return finish(m, task, -EFAULT)
    flags = sanitize_fault_flags(m, vma, m.act_flags[act])
    if flags < 0:
        return finish(m, task, flags)
    if m.rule_unshare_breaks == 0:
        flags &= ~FAULT_FLAG_UNSHARE
    m.act_flags[act] = flags
    if vma_is_hugetlb(m, vma):
        result = hugetlb_fault(m, act, vma)
        if result == FAULT_ALLOCATED:
            return goto(m, act, FAULT_HUGETLB_INSTALL)
        return finish(m, task, result)
    if m.levels > 1:
        result = fault_pmd(m, act, vma)
        if result == FAULT_ALLOCATED:
            return goto(m, act, FAULT_HUGE_INSTALL)
        if result != FAULT_FALLBACK:
            return finish(m, task, result)
    slot = pt_alloc(m, mm, addr, 0)
    if slot < 0:
        return finish(m, task, -ENOMEM)
    return handle_pte_fault(m, task, act, vma, slot)


@kernel
def fault_pmd(m: State, act: int, vma: int) -> int:
    """The PMD level of a fault.  Linux: __handle_mm_fault(), create_huge_pmd(), wp_huge_pmd()."""
    slot = pt_alloc(m, m.act_mm[act], m.act_addr[act], 1)
    if slot < 0:
        return -ENOMEM
    entry = m.pte[slot]
    if entry == 0 and thp_suitable(m, vma, m.act_addr[act]):
        return do_huge_pmd_anonymous_page(m, act, vma, slot)
    if not entry & PTE_PSE:
        return FAULT_FALLBACK
    if m.act_flags[act] & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE) and not entry & PTE_RW:
        return do_huge_pmd_wp_page(m, act, vma, slot)
    m.pte[slot] = entry | PTE_ACCESSED
    return FAULT_DONE


@kernel
def handle_pte_fault(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """Decide under the page-table lock what the fault needs."""
    entry = m.pte[slot]
    flags = m.act_flags[act]
    m.act_entry[act] = entry
    if entry == 0:
        if vma_is_anonymous(m, vma):
            return do_anonymous_page(m, task, act, vma, slot)
        return do_fault(m, task, act, vma, slot)
    if not pte_present(entry):
        return swapin_lookup(m, task, act)
    if flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE):
        if not entry & PTE_RW:
            return do_wp_page(m, task, act, vma, slot)
        if flags & FAULT_FLAG_WRITE:
            entry = pte_mkdirty(m, entry)
    m.pte[slot] = entry | PTE_ACCESSED
    return finish(m, task, FAULT_DONE)


@kernel
def do_anonymous_page(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """Nothing there yet: a read maps the shared zero page (special: not counted), a write a fresh page."""
    if not m.act_flags[act] & FAULT_FLAG_WRITE:
        decided(m, ANON_READ_ZERO_PAGE)
        m.pte[slot] = mk_pte(ZERO_PFN, vm_page_prot(m, vma) | PTE_SPECIAL | PTE_ACCESSED)
        return finish(m, task, FAULT_DONE)
    m.vma_anon[vma] = 1
    return goto(m, act, FAULT_COPY)


@kernel
def do_fault(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """Nothing there yet, file behind it.  Linux: do_read_fault(), do_cow_fault(), do_shared_fault()."""
    addr = m.act_addr[act]
    file = m.vma_file[vma]
    index = m.vma_pgoff[vma] + addr - m.vma_start[vma]
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    page = cache_get_page(m, file, index)
    if page == NO_PAGE:
        return finish(m, task, -ENOMEM)
    if write and not m.vma_flags[vma] & VM_SHARED:
        m.vma_anon[vma] = 1
        m.act_page[act] = page
        return goto(m, act, FAULT_COPY)
    folio_add_rmap_pte(m, m.act_mm[act], page)
    entry = mk_pte(page, vm_page_prot(m, vma) | PTE_ACCESSED)
    if write:
        entry = pte_mkdirty(m, entry) | PTE_RW
    m.pte[slot] = entry
    if not write:
        do_fault_around(m, act, vma)
    return finish(m, task, FAULT_WROTE if write else FAULT_DONE)


@kernel
def do_fault_around(m: State, act: int, vma: int) -> None:
    """A read fault also maps the cached neighbours in its window.  Linux: do_fault_around(), filemap_map_pages()."""
    mm = m.act_mm[act]
    start = max(m.act_addr[act] & ~(m.fault_around - 1), m.vma_start[vma])
    end = min(start + m.fault_around, m.vma_end[vma], (start // level_pages(m, 1) + 1) * level_pages(m, 1))
    for addr in range(start, end):
        slot = pt_walk(m, mm, addr, 0)
        page = cache_lookup(m, m.vma_file[vma], m.vma_pgoff[vma] + addr - m.vma_start[vma])
        if slot >= 0 and m.pte[slot] == 0 and page != NO_PAGE:
            map_folio_pte(m, mm, page)
            m.pte[slot] = mk_pte(page, vm_page_prot(m, vma))


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
    elif unshare and m.rule_unshare_breaks < 2:
        decided(m, UNSHARE_NOT_ANON)
        return finish(m, task, FAULT_DONE)
    elif m.vma_flags[vma] & VM_SHARED:
        if unshare:
            return finish(m, task, FAULT_DONE)
        decided(m, WP_SHARED)
        wp_page_reuse(m, vma, slot)
        return finish(m, task, FAULT_WROTE)
    decided(m, UNSHARE_COPIES if unshare else WP_COPY)
    m.vma_anon[vma] = 1
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
    if m.folio_order[folio] > 0 and m.rule_wp_reuse_large > 0:
        return wp_can_reuse_large_anon_folio(m, folio)
    return wp_can_reuse_anon_folio(m, folio, page)


@kernel
def wp_can_reuse_anon_folio(m: State, folio: int, page: int) -> bool:
    """By references: ours must be the only one.

    Since 5.18 the CPU's LRU batch is drained and the swap cache given up first, if that can help; before, either
    makes the owner copy.  Linux: wp_can_reuse_anon_folio(), in do_wp_page() up to 6.6; d4c470970d45 and 53a05ad9f21d
    (5.18).
    """
    if m.rule_wp_reuse_drains:
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


@kernel
def wp_can_reuse_large_anon_folio(m: State, folio: int) -> bool:
    """A PTE-mapped large folio: if at least two of its pages are mapped, all mappings are this process's and there is
    no other reference.  Linux: __wp_can_reuse_large_anon_folio(), 1da190f4d0a6 (6.15); 6.9 to 6.14 never reuse
    one."""
    if m.rule_wp_reuse_large < 2 or folio_mapcount(m, folio) <= 1:
        return False
    if m.folio_flags[folio] & FOLIO_MMS_SHARED:
        return False
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
    """Under the lock again: install the new anonymous page unless the entry has changed meanwhile."""
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
        entry = maybe_mkwrite(m, vma, pte_mkdirty(m, entry))
    else:
        entry |= old & PTE_SOFT_DIRTY
    m.pte[slot] = entry
    folio_add_lru(m, new)
    if pte_present(old) and not pte_special(old):
        free_swap_cache(m, page_folio(m, pte_pfn(old)))
        folio_put(m, page_folio(m, pte_pfn(old)))
    put_source(m, act)
    return finish(m, task, FAULT_WROTE if wrote and old else FAULT_DONE)


@kernel
def swapin_lookup(m: State, task: int, act: int) -> int:
    """A swap entry: is the page still in the swap cache?"""
    swap = pte_pfn(m.act_entry[act])
    folio = m.swap_page[swap]
    if folio == NO_PAGE:
        return goto(m, act, FAULT_SWAP_READ)
    folio_get(m, folio)
    m.act_page[act] = folio
    return goto(m, act, FAULT_SWAP_MAP)


@kernel
def swapin_read(m: State, task: int, act: int) -> int:
    """Read the slot into a fresh page, through the swap cache; a synchronous device whose slot has one user bypasses
    it.

    Linux: swapin_readahead(); SWP_SYNCHRONOUS_IO in do_swap_page(), 0bcac06f27d7 (4.15).
    """
    swap = pte_pfn(m.act_entry[act])
    if m.swap_page[swap] != NO_PAGE or m.swap_count[swap] == 0:
        return goto(m, act, FAULT_START)
    page = folio_alloc(m, 0)
    if page == NO_PAGE:
        return finish(m, task, -ENOMEM)
    m.page_content[page] = m.swap_content[swap]
    folio_set_anon(m, page)
    if not m.config_swap_sync or m.swap_count[swap] > 1:
        add_to_swap_cache(m, page, swap)
    folio_add_lru(m, page)
    m.act_page[act] = page
    return goto(m, act, FAULT_SWAP_MAP)


@kernel
def do_swap_page(m: State, task: int, act: int) -> int:
    """Under the folio lock and the page-table lock: map the page instead of the swap entry.

    Whether it is exclusive: by the mark in the entry or a fresh page outside the swap cache, up to 6.18 also by a
    reference count of one (5.10: by map and swap counts, and only for a write).  Whether it becomes writable at once:
    for a write, and since 6.11 whenever it is exclusive and the VMA is writable.  Linux: do_swap_page()
    (mm/memory.c); 1493a1913e34 (5.19).
    """
    mm = m.act_mm[act]
    page = m.act_page[act]
    old = m.act_entry[act]
    cached = folio_test_swapcache(m, page)
    if m.folio_flags[page] & FOLIO_LOCKED:
        return BLOCKED
    vma = find_vma(m, mm, m.act_addr[act])
    slot = pt_walk(m, mm, m.act_addr[act], 0)
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    if vma == NO_VMA or slot < 0 or m.pte[slot] != old or (cached and m.folio_swap[page] != pte_pfn(old)):
        m.act_page[act] = NO_PAGE
        folio_put(m, page)
        return finish(m, task, FAULT_DONE)
    if m.rule_wp_reuse_drains and write and cached and m.folio_flags[page] & FOLIO_LRU_BATCH:
        lru_add_drain(m)
    exclusive = swapin_exclusive(m, page, old, cached, write)
    swap_free(m, pte_pfn(old))
    if write and cached and m.rule_wp_reuse_drains and m.folio_refcount[page] == 2:
        folio_free_swap(m, page)
    if m.rule_swapin_exclusive == 1 and m.folio_refcount[page] == 1:
        exclusive = True
    decided(m, SWAPIN_EXCLUSIVE if exclusive else SWAPIN_SHARED)
    entry = mk_pte(page, vm_page_prot(m, vma) | PTE_ACCESSED)
    if m.config_soft_dirty and old & SWP_SOFT_DIRTY:
        entry |= PTE_SOFT_DIRTY
    if exclusive:
        set_page_anon_exclusive(m, page)
        if write:
            entry = maybe_mkwrite(m, vma, pte_mkdirty(m, entry))
        elif m.rule_swapin_maps_writable and not soft_dirty_write_protected(m, vma, entry):
            entry = maybe_mkwrite(m, vma, entry)
    folio_add_rmap_pte(m, mm, page)
    m.pte[slot] = entry
    m.act_page[act] = NO_PAGE
    m.act_entry[act] = entry
    if write and not exclusive:
        return do_wp_page(m, task, act, vma, slot)
    return finish(m, task, FAULT_WROTE if write else FAULT_DONE)


@kernel
def swapin_exclusive(m: State, page: int, entry: int, cached: int, write: int) -> bool:
    """Whether the page that comes back from swap belongs to this process alone (before the swap slot is given up)."""
    if m.rule_swapin_exclusive > 0:
        return not cached or entry & SWP_EXCLUSIVE != 0
    if not write or m.page_mapcount[page] + m.swap_count[pte_pfn(entry)] > 1:
        return False
    if cached:
        delete_from_swap_cache(m, page)  # reuse_swap_page() of 5.10 takes it out of the swap cache
    return True


@kernel
def soft_dirty_write_protected(m: State, vma: int, entry: int) -> bool:
    """Whether the entry has to stay read-only so that the next write is seen.  Linux: pte_needs_soft_dirty_wp()."""
    return vma_soft_dirty_enabled(m, vma) and not entry & PTE_SOFT_DIRTY
