"""Transparent huge pages mapped by a PMD: mm/huge_memory.c.

A THP is anonymous memory of one PMD's size.  The huge zero folio is its zero page: read-only, one for all, not
counted by mappings; a process that has used it keeps one use until it exits.
"""

from __future__ import annotations

from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import (
    ENOMEM,
    FAULT_ALLOCATED,
    FAULT_COUNTED,
    FAULT_DONE,
    FAULT_FALLBACK,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FOLIO_ANON,
    FOLIO_LAZYFREE,
    FOLIO_SWAPCACHE,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    PTE_SPECIAL,
    PTE_USER,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_NOHUGEPAGE,
    ZERO_PFN,
)
from pinhold.mm.folio import (
    folio_add_lru,
    folio_alloc,
    folio_nr_pages,
    folio_put,
    folio_test_swapcache,
    is_huge_zero_page,
    page_folio,
)
from pinhold.mm.interval_tree import anon_vma_interval_tree_before
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.pgtable import (
    entry_flags,
    level_pages,
    mk_pte,
    pt_leaf,
    pt_leaf_level,
    pt_walk,
    pte_mkdirty,
    pte_modify,
    pte_pfn,
    pte_present,
    table_alloc,
)
from pinhold.mm.rmap import (
    folio_add_rmap_entire,
    folio_mapcount,
    folio_remove_rmap_entire,
    folio_remove_rmap_pte,
    folio_set_anon,
    page_anon_exclusive,
    set_page_anon_exclusive,
    split_entire_mapping,
)
from pinhold.mm.rules.thp import (
    REMAP_DIRTY_EXACT,
    REMAP_SOFT_DIRTY,
    SPLIT_DIRTY_ENTRIES,
    SPLIT_ONE_ENTRY,
    SPLIT_ZERO_PAGES_ZERO_PAGE,
)
from pinhold.mm.rules.wp import HUGE_WP_BY_MAPCOUNT, HUGE_ZERO_BECOMES_THP
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.thp import (
    HUGE_WP_COUNTS_PAGES,
    HUGE_WP_REUSE_EXCLUSIVE,
    HUGE_WP_REUSE_MAPCOUNT,
    HUGE_WP_REUSE_REFCOUNT,
    HUGE_WP_SPLIT,
    HUGE_ZERO_READ,
    HUGE_ZERO_WP_SPLIT,
    HUGE_ZERO_WP_THP,
    REMAP_MAKES_SOFT_DIRTY,
    SPLIT_KEEPS_DIRTY,
    THP_SPLIT_ONE_ENTRY,
    THP_SPLIT_ZERO_PAGE,
)
from pinhold.mm.state import State
from pinhold.mm.swap import free_swap_cache, page_map_swapcount, reuse_counted_page, reuse_swap_page
from pinhold.mm.vma import anon_vma_prepare, find_vma, maybe_mkwrite, vm_page_prot, vma_is_anonymous


@kernel
def thp_suitable(m: State, vma: int, addr: int) -> bool:
    """Whether a fault at `addr` may map a whole THP.  Linux: thp_vma_allowable_order() and thp_vma_suitable_order()."""
    flags = m.vma_flags[vma]
    if m.config_thp == 0 or not vma_is_anonymous(m, vma) or flags & (VM_NOHUGEPAGE | VM_HUGETLB):
        return False
    if m.config_thp == 1 and not flags & VM_HUGEPAGE:
        return False
    start = addr & -level_pages(m, 1)
    return start >= m.vma_start[vma] and start + level_pages(m, 1) <= m.vma_end[vma]


@kernel(needs=Part.THP)
def huge_zero_folio(m: State, mm: int) -> int:
    """The huge zero folio, made at its first use; NO_PAGE where there is no memory.  Linux:
    mm_get_huge_zero_folio()."""
    if m.huge_zero_page[0] == NO_PAGE:
        m.huge_zero_page[0] = folio_alloc(m, m.bits)
    if m.huge_zero_page[0] != NO_PAGE:
        m.mm_huge_zero[mm] = 1
    return m.huge_zero_page[0]


@kernel
def do_huge_pmd_anonymous_page(m: State, act: int, vma: int, slot: int) -> int:
    """Nothing there yet: a read maps the huge zero folio, a write a fresh THP; base pages where neither can be had.

    The anon_vma is made before either, so fork() copies even a mapping that was only read.
    """
    anon_vma_prepare(m, vma)
    if not m.act_flags[act] & FAULT_FLAG_WRITE and m.config_use_zero_page:
        folio = huge_zero_folio(m, m.act_mm[act])
        if folio == NO_PAGE:
            return FAULT_FALLBACK
        decided(m, HUGE_ZERO_READ)
        flags = vm_page_prot(m, vma) | PTE_PSE | PTE_ACCESSED
        m.pte[slot] = mk_pte(folio, flags | (PTE_SPECIAL if m.rule_huge_zero_special else 0))
        return FAULT_DONE
    return thp_alloc(m, act, slot)


@kernel
def thp_alloc(m: State, act: int, slot: int) -> int:
    """Allocate a THP, to be installed if the entry stays what it is."""
    folio = folio_alloc(m, m.bits)
    if folio == NO_PAGE:
        return FAULT_FALLBACK
    m.act_new[act] = folio
    m.act_entry[act] = m.pte[slot]
    return FAULT_ALLOCATED


@kernel(needs=Part.THP)
def huge_install(m: State, act: int) -> int:
    """Under the lock: map the new THP, unless the entry has changed."""
    mm = m.act_mm[act]
    new = m.act_new[act]
    vma = find_vma(m, mm, m.act_addr[act])
    slot = pt_walk(m, mm, m.act_addr[act], 1)
    if vma == NO_VMA or slot < 0 or m.pte[slot] != m.act_entry[act]:
        folio_put(m, new)
        return FAULT_DONE
    map_anon_folio_pmd(m, mm, vma, slot, new)
    return FAULT_DONE


@kernel
def map_anon_folio_pmd(m: State, mm: int, vma: int, slot: int, folio: int) -> None:
    """Map a fresh THP, exclusive, dirty, and writable if the VMA is.

    Linux: map_anon_folio_pmd_nopf(), map_anon_folio_pmd_pf() (up to 6.12 a part of their callers).
    """
    folio_set_anon(m, folio)
    set_page_anon_exclusive(m, folio)
    folio_add_rmap_entire(m, mm, folio)
    entry = mk_pte(folio, vm_page_prot(m, vma) | PTE_PSE | PTE_ACCESSED)
    m.pte[slot] = maybe_mkwrite(m, vma, pte_mkdirty(m, entry))
    folio_add_lru(m, folio)


@kernel
def do_huge_pmd_wp_page(m: State, act: int, vma: int, slot: int) -> int:
    """A write, or an unshare, meets a read-only PMD: reuse the THP, or split the mapping and go on with base pages.

    Linux: do_huge_pmd_wp_page(); reuse by map and swap counts up to 5.17, by references since 3bff7e3f1f16 (5.18).
    The counts are taken at once where splits wait for the folio lock, since c444eb564fb1 (5.8).
    """
    entry = m.pte[slot]
    folio = pte_pfn(entry)
    if is_huge_zero_page(m, folio):
        if m.rule_huge_zero_wp == HUGE_ZERO_BECOMES_THP:
            decided(m, HUGE_ZERO_WP_THP)
            result = thp_alloc(m, act, slot)
            if result == FAULT_ALLOCATED:
                return result
        decided(m, HUGE_ZERO_WP_SPLIT)
        split_huge_pmd(m, m.act_mm[act], m.act_addr[act], 0)
        return FAULT_FALLBACK
    if m.rule_huge_wp_reuse == HUGE_WP_BY_MAPCOUNT and not m.rule_thp_split_locks and not page_anon_exclusive(m, folio):
        decided(m, HUGE_WP_COUNTS_PAGES)
        m.act_entry[act] = entry
        m.act_seq[act] = page_map_swapcount(m, folio)
        return FAULT_COUNTED
    if huge_can_reuse(m, folio):
        return huge_wp_reuse(m, act, vma, slot)
    return huge_wp_split(m, act)


@kernel
def huge_wp_counted(m: State, act: int) -> int:
    """The mappings of the THP's pages were counted in act_seq, now that of the whole is.

    An entry that has changed meanwhile starts the fault anew (the kernel holds its page-table lock all the while).
    """
    mm = m.act_mm[act]
    users = m.act_seq[act]
    m.act_seq[act] = 0
    vma = find_vma(m, mm, m.act_addr[act])
    slot = pt_walk(m, mm, m.act_addr[act], 1)
    if vma == NO_VMA or slot < 0 or m.pte[slot] != m.act_entry[act]:
        return FAULT_DONE
    if reuse_counted_page(m, pte_pfn(m.pte[slot]), users):
        decided(m, HUGE_WP_REUSE_MAPCOUNT)
        return huge_wp_reuse(m, act, vma, slot)
    return huge_wp_split(m, act)


@kernel
def huge_wp_reuse(m: State, act: int, vma: int, slot: int) -> int:
    """Write on in the same THP, or have it exclusive at least."""
    entry = m.pte[slot]
    set_page_anon_exclusive(m, pte_pfn(entry))
    if m.act_flags[act] & FAULT_FLAG_UNSHARE:
        return FAULT_DONE
    m.pte[slot] = maybe_mkwrite(m, vma, pte_mkdirty(m, entry | PTE_ACCESSED))
    return FAULT_WROTE


@kernel
def huge_wp_split(m: State, act: int) -> int:
    """Go on with base pages."""
    decided(m, HUGE_WP_SPLIT)
    if split_huge_pmd(m, m.act_mm[act], m.act_addr[act], 0) < 0:
        return -ENOMEM
    return FAULT_FALLBACK


@kernel
def huge_can_reuse(m: State, folio: int) -> bool:
    """Whether the PMD-mapped THP is the faulting process's alone."""
    if page_anon_exclusive(m, folio):
        decided(m, HUGE_WP_REUSE_EXCLUSIVE)
        return True
    if m.rule_huge_wp_reuse == HUGE_WP_BY_MAPCOUNT:
        if not reuse_swap_page(m, folio):
            return False
        decided(m, HUGE_WP_REUSE_MAPCOUNT)
        return True
    if m.folio_refcount[folio] != 1:
        return False
    decided(m, HUGE_WP_REUSE_REFCOUNT)
    return True


@kernel(needs=Part.THP)
def split_huge_pmd(m: State, mm: int, addr: int, frozen: int) -> int:
    """Map the same pages by PTEs instead of a PMD; the folio is dirty if the entry was, and stays whole, but where it
    is `frozen` to be split itself, which then decides about the entries' dirty bit (split_folio()).  0 (also where
    there is no PMD leaf), or -ENOMEM.  The PTEs have the mapping's protection, whether the PMD was made inaccessible by
    a NUMA scan or not; those of the zero page nothing else.

    Linux: __split_huge_pmd_locked(), __split_huge_zero_page_pmd().
    """
    slot = pt_walk(m, mm, addr, 1)
    if slot < 0 or not m.pte[slot] & PTE_PSE:
        return 0
    table = table_alloc(m)
    if table < 0:
        return -ENOMEM
    old = m.pte[slot]
    folio = pte_pfn(old)
    flags = entry_flags(old) & ~PTE_PSE & ~PTE_SPECIAL
    vma = find_vma(m, mm, addr)
    if not flags & PTE_PRESENT and vma != NO_VMA:
        flags = pte_modify(flags, vm_page_prot(m, vma)) | flags & PTE_RW
    if is_huge_zero_page(m, folio):
        for i in range(1 << m.bits):
            m.pte[(table << m.bits) + i] = mk_pte(ZERO_PFN, flags & ~(PTE_RW | PTE_SOFT_DIRTY) | PTE_SPECIAL)
    else:
        if flags & PTE_DIRTY:
            folio_mark_dirty(m, folio)
        if flags & PTE_DIRTY and not frozen:
            if m.rule_thp_split_dirty == SPLIT_DIRTY_ENTRIES:
                decided(m, SPLIT_KEEPS_DIRTY)
                flags = pte_mkdirty(m, flags)
            else:
                flags &= ~PTE_DIRTY
        split_entire_mapping(m, mm, folio)
        for i in range(1 << m.bits):
            m.pte[(table << m.bits) + i] = mk_pte(folio + i, flags)
    m.pte[slot] = mk_pte(table, PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED)
    return 0


@kernel
def split_huge_range(m: State, mm: int, start: int, end: int) -> int:
    """Split the PMD leaves that only partly lie in [start, end).  0, or -ENOMEM."""
    span = level_pages(m, 1)
    if m.levels == 1:
        return 0
    if start % span and split_huge_pmd(m, mm, start, 0) < 0:
        return -ENOMEM
    if end % span and split_huge_pmd(m, mm, end, 0) < 0:
        return -ENOMEM
    return 0


@kernel(needs=Part.THP)
def zap_huge_pmd(m: State, mm: int, slot: int) -> None:
    """Remove a PMD mapping and its reference."""
    folio = pte_pfn(m.pte[slot])
    m.pte[slot] = 0
    if not is_huge_zero_page(m, folio):
        folio_remove_rmap_entire(m, mm, folio)
        folio_put(m, folio)


@kernel(needs=Part.LARGE)
def split_folio(m: State, folio: int) -> bool:
    """Make a large folio into base pages, if nothing but its PTE mappings and the swap cache holds it."""
    return split_held_folio(m, folio, NO_PAGE)


@kernel(needs=Part.LARGE)
def split_held_folio(m: State, folio: int, held: int) -> bool:
    """The same for a folio to which the caller has a reference, which is one to the page `held` afterwards; or NO_PAGE.

    Linux: split_huge_page_to_list_to_order() (__folio_split() since 6.16); each page keeps its own mappings, exclusive
    mark and swap slot, unless it is zero-filled, and what remap_page() leaves of a dirty entry.
    """
    pages = 1 << m.folio_order[folio]
    cached = folio_test_swapcache(m, folio)
    refs = folio_mapcount(m, folio) + cached * pages + (held != NO_PAGE)
    if m.folio_entire_mapcount[folio] or m.folio_refcount[folio] != refs:
        return False
    swap = m.folio_swap[folio]
    flags = m.folio_flags[folio] & (FOLIO_ANON | FOLIO_SWAPCACHE | FOLIO_LAZYFREE)
    dirty = m.folio_dirty[folio]
    m.folio_large_mapcount[folio] = 0
    for i in range(2 * folio, 2 * folio + 2):
        m.folio_mm_id[i] = 0
        m.folio_mm_id_mapcount[i] = 0
    for page in range(folio, folio + pages):
        m.page_offset[page] = 0
        m.folio_order[page] = 0
        m.folio_refcount[page] = m.page_mapcount[page] + cached + (page == held)
        m.folio_flags[page] = flags if m.folio_refcount[page] else 0
        m.folio_dirty[page] = dirty if m.folio_refcount[page] else 0
        if cached:
            m.folio_swap[page] = swap + page - folio
        elif not m.folio_refcount[page]:
            m.page_content[page] = 0
            m.page_exclusive[page] = 0
    if m.rule_thp_split_zero_pages == SPLIT_ZERO_PAGES_ZERO_PAGE or m.rule_thp_remap_dirty != REMAP_DIRTY_EXACT:
        remap_page(m, folio, pages)
    if cached:
        for page in range(folio, folio + pages):
            free_swap_cache(m, page)
    return True


@kernel(needs=Part.THP)
def split_huge_page(m: State, page: int) -> bool:
    """Make the large folio of a page to which the caller has a reference into base pages, whoever maps it by a PMD too.

    Nothing is changed where anything else holds it.  Linux: split_huge_page(), can_split_folio().
    """
    folio = page_folio(m, page)
    cached = folio_test_swapcache(m, folio)
    if m.folio_refcount[folio] != folio_mapcount(m, folio) + cached * folio_nr_pages(m, folio) + 1:
        return False
    return unmap_folio(m, folio) and split_held_folio(m, folio, page)


@kernel(needs=Part.THP)
def unmap_folio(m: State, folio: int) -> bool:
    """Split the huge entries of a THP that is to be split.  False: it stays mapped, and all is mapped again, by what
    entries there are now.

    rmap stops at the first huge entry from 60fbb14396d5 (6.16) to 939080834fef (7.0), for good if others map the THP
    behind it; what is before it has no huge entries any more, and stops nothing.  So a THP with n of them is split at
    the nth attempt.  Linux: unmap_folio(), try_to_migrate_one() (mm/rmap.c; a part of try_to_unmap_one() up to 5.13).
    """
    while m.folio_entire_mapcount[folio]:
        first = NO_VMA
        for vma in range(len(m.vma_end)):
            addr = folio_address(m, folio, vma)
            if addr >= 0 and pt_leaf_level(m, vma // m.vmas_per_mm, addr) == 1:
                if first == NO_VMA or anon_vma_interval_tree_before(m, vma, first):
                    first = vma
        if first == NO_VMA or split_huge_pmd(m, first // m.vmas_per_mm, folio_address(m, folio, first), 1) < 0:
            return False
        if m.rule_thp_split_shared == SPLIT_ONE_ENTRY and mapped_behind(m, folio, first):
            decided(m, THP_SPLIT_ONE_ENTRY)
            return False
    return True


@kernel
def mapped_behind(m: State, folio: int, vma: int) -> bool:
    """Whether rmap would find the folio after this mapping of it, too."""
    for other in range(len(m.vma_end)):
        if anon_vma_interval_tree_before(m, vma, other) and folio_address(m, folio, other) >= 0:
            return True
    return False


@kernel
def folio_address(m: State, folio: int, vma: int) -> int:
    """Where the VMA maps a page of the large folio first, or -1."""
    addr = m.vma_start[vma]
    while addr < m.vma_end[vma]:
        slot, level = pt_leaf(m, vma // m.vmas_per_mm, addr)
        if pte_present(m.pte[slot]) and folio <= pte_pfn(m.pte[slot]) < folio + folio_nr_pages(m, folio):
            return addr
        addr = (addr // level_pages(m, level) + 1) * level_pages(m, level)
    return -1


@kernel
def remap_page(m: State, folio: int, pages: int) -> None:
    """The folio has been split: each of its pages is mapped again, and looked at then.

    The kernel has taken every mapping away before the split; it leaves mlocked memory alone, which is not specified
    here.  Linux: remap_page(), remove_migration_pte() (mm/migrate.c).
    """
    mapped = 0
    for page in range(folio, folio + pages):
        mapped += m.page_mapcount[page]
    for vma in range(len(m.vma_end)):
        addr = m.vma_start[vma]
        while mapped and addr < m.vma_end[vma]:
            slot, level = pt_leaf(m, vma // m.vmas_per_mm, addr)
            page = pte_pfn(m.pte[slot]) if level == 0 and pte_present(m.pte[slot]) else NO_PAGE
            if folio <= page < folio + pages:
                remove_migration_pte(m, vma, slot, page)
                mapped -= 1
            addr = (addr // level_pages(m, level) + 1) * level_pages(m, level)


@kernel
def remove_migration_pte(m: State, vma: int, slot: int, page: int) -> None:
    """Map a page again after the split: the zero page instead where it is zero-filled (b1f202060afe, 6.12), and dirty
    as the rule says.  A search that leaves stores out has no zero-filled pages.
    """
    if m.rule_thp_split_zero_pages == SPLIT_ZERO_PAGES_ZERO_PAGE and page_zero_filled(m, page):
        map_unused_to_zeropage(m, vma, slot)
    elif m.pte[slot] & PTE_DIRTY and m.rule_thp_remap_dirty != REMAP_DIRTY_EXACT:
        folio_mark_dirty(m, page)
        if m.rule_thp_remap_dirty == REMAP_SOFT_DIRTY:
            decided(m, REMAP_MAKES_SOFT_DIRTY)
            m.pte[slot] = pte_mkdirty(m, m.pte[slot])
        else:
            m.pte[slot] &= ~PTE_DIRTY


@kernel
def page_zero_filled(m: State, page: int) -> bool:
    """Whether the small page has nothing but zeros."""
    return m.page_content[page] == 0 and not m.content_unknown


@kernel
def map_unused_to_zeropage(m: State, vma: int, slot: int) -> None:
    """Linux: try_to_map_unused_to_zeropage()."""
    decided(m, THP_SPLIT_ZERO_PAGE)
    entry = m.pte[slot]
    m.pte[slot] = mk_pte(ZERO_PFN, vm_page_prot(m, vma) | PTE_SPECIAL | PTE_ACCESSED | entry & PTE_SOFT_DIRTY)
    folio_remove_rmap_pte(m, vma // m.vmas_per_mm, pte_pfn(entry))
    folio_put(m, pte_pfn(entry))
