"""fork(): the child's address space as a copy: kernel/fork.c, copy_page_range() in mm/memory.c.

With mmap_lock held for writing and write_protect_seq odd, entry by entry: anonymous pages become shared and read-only
on both sides, unless they may be pinned: then the child gets a copy at once and the parent keeps its page.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    ENOMEM,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_PSE,
    PTE_RW,
    SWP_EXCLUSIVE,
    VM_DONTCOPY,
    VM_HUGETLB,
    VM_SHARED,
)
from pinhold.mm.folio import (
    folio_add_lru,
    folio_alloc,
    folio_copy,
    folio_get,
    folio_test_anon,
    is_huge_zero_page,
    page_folio,
)
from pinhold.mm.huge_memory import split_huge_pmd
from pinhold.mm.hugetlb import alloc_hugetlb_folio, hugetlb_entry, hugetlb_level
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import (
    level_pages,
    mk_pte,
    pt_alloc,
    pt_walk,
    pte_mkdirty,
    pte_pfn,
    pte_present,
    pte_special,
    table_alloc,
)
from pinhold.mm.pin import folio_maybe_dma_pinned
from pinhold.mm.rmap import (
    clear_page_anon_exclusive,
    folio_add_rmap_entire,
    folio_add_rmap_pte,
    folio_set_anon,
    map_folio_pte,
    page_anon_exclusive,
    set_page_anon_exclusive,
)
from pinhold.mm.sites import (
    FORK_COPIES_PINNED,
    FORK_SHARES,
    FORK_SKIPS_PUD,
    FORK_SKIPS_VMA,
    FORK_SPLITS_PINNED_PMD,
    decided,
)
from pinhold.mm.state import State
from pinhold.mm.task import (
    current,
    finish,
    goto,
    mmap_write_lock,
    mmap_write_unlock,
    write_protect_seq_begin,
    write_protect_seq_end,
)
from pinhold.mm.vma import is_cow_mapping, maybe_mkwrite, vm_page_prot, vma_copy
from pinhold.mm.zap import mm_teardown

FORK_START, FORK_COPY = 0, 1


@kernel
def mm_init(m: State, mm: int) -> int:
    """A fresh, empty address space in slot `mm`, with no memlock limit and CAP_IPC_LOCK.  0, or -ENOMEM."""
    table = table_alloc(m)
    if table < 0:
        return -ENOMEM
    m.mm_pgd[mm] = table
    m.mm_memlock[mm] = -1
    m.mm_ipc_lock[mm] = 1
    m.mm_alive[mm] = 1
    return 0


@kernel
def dup_mmap(m: State, task: int) -> int:
    """One step of fork().  act_arg: the child's slot; act_page: the VMA being copied, counted in the parent;
    act_addr: how far.  Result: the child, or -ENOMEM and no child."""
    act = current(m, task)
    mm = m.act_mm[act]
    child = m.act_arg[act]
    if m.act_pc[act] == FORK_START:
        if mmap_write_lock(m, mm) == BLOCKED:
            return BLOCKED
        write_protect_seq_begin(m, mm)
        m.act_page[act] = 0
        if fork_begin(m, mm, child) < 0:
            return fork_end(m, task, mm, -ENOMEM)
        return goto(m, act, FORK_COPY)
    left = m.batch
    while left > 0:
        if m.act_page[act] == m.vmas_per_mm:
            return fork_end(m, task, mm, child)
        err = copy_next(m, act, mm * m.vmas_per_mm + m.act_page[act], child)
        if err < 0:
            mm_teardown(m, child)
            return fork_end(m, task, mm, err)
        left -= 1
    return AGAIN


@kernel
def fork_begin(m: State, mm: int, child: int) -> int:
    """The child's VMAs: all but MADV_DONTFORK ones, at the same slots.  0, or -ENOMEM."""
    if mm_init(m, child) < 0:
        return -ENOMEM
    m.mm_memlock[child] = m.mm_memlock[mm]
    m.mm_ipc_lock[child] = m.mm_ipc_lock[mm]
    for i in range(m.vmas_per_mm):
        vma = mm * m.vmas_per_mm + i
        if m.vma_end[vma] and not m.vma_flags[vma] & VM_DONTCOPY:
            vma_copy(m, vma, child * m.vmas_per_mm + i)
    return 0


@kernel
def fork_end(m: State, task: int, mm: int, result: int) -> int:
    write_protect_seq_end(m, mm)
    mmap_write_unlock(m, mm)
    return finish(m, task, result)


@kernel
def copy_next(m: State, act: int, vma: int, child: int) -> int:
    """Copy the next entry of a VMA, or go on to the next VMA.  0, or -ENOMEM.  Linux: copy_page_range().

    A VMA without anonymous pages can be faulted in again by the child: it is passed over, and with it the zero pages
    of a mapping that was only read (vma_needs_copy()).
    """
    start = max(m.act_addr[act], m.vma_start[vma])
    if start >= m.vma_end[vma] or m.vma_flags[vma] & VM_DONTCOPY or not vma_needs_copy(m, vma):
        m.act_page[act] += 1
        m.act_addr[act] = 0
        return 0
    dst_vma = child * m.vmas_per_mm + vma % m.vmas_per_mm
    if m.vma_flags[vma] & VM_HUGETLB:
        m.act_addr[act] = start + (1 << m.vma_order[vma])
        return copy_hugetlb(m, vma, dst_vma, start)
    mm = vma // m.vmas_per_mm
    slot = pt_walk(m, mm, start, 0)
    if slot >= 0:
        m.act_addr[act] = start + 1
        if m.pte[slot] == 0:
            return 0
        return copy_pte(m, vma, dst_vma, slot, start)
    span = level_pages(m, 1)
    upper = pt_walk(m, mm, start, 1)
    if upper >= 0 and m.pte[upper] & PTE_PSE:
        result = copy_huge_pmd(m, vma, dst_vma, upper, start)
        if result == AGAIN:
            return split_huge_pmd(m, mm, start)
        if result < 0:
            return result
    m.act_addr[act] = (start // span + 1) * span
    return 0


@kernel
def vma_needs_copy(m: State, vma: int) -> bool:
    """Whether fork() has anything to copy.  hugetlb: always, until bcd51a3c679d (6.0) made it as lazy as the rest."""
    if m.vma_anon[vma] or (m.vma_flags[vma] & VM_HUGETLB and not m.rule_fork_copies_hugetlb_files):
        return True
    decided(m, FORK_SKIPS_VMA)
    return False


@kernel
def must_copy_pinned(m: State, vma: int, page: int) -> bool:
    """Whether fork must not share this page because it may be pinned.

    70e806e4e645 (5.9): any page of a COW mapping; 5.10.154: anonymous ones only; fb3d824d1a46 (5.19): exclusive ones,
    since no other can be reliably pinned.  Linux: folio_needs_cow_for_dma().
    """
    mm = vma // m.vmas_per_mm
    if not m.mm_has_pinned[mm] or not is_cow_mapping(m.vma_flags[vma]):
        return False
    if m.rule_fork_copies_pinned == 0:
        return False
    if m.rule_fork_copies_pinned == 2 and not folio_test_anon(m, page_folio(m, page)):
        return False
    if m.rule_fork_copies_pinned == 3 and not page_anon_exclusive(m, page):
        return False
    return folio_maybe_dma_pinned(m, page_folio(m, page))


@kernel
def copy_pte(m: State, vma: int, dst_vma: int, slot: int, addr: int) -> int:
    """One base-page entry.  0, or -ENOMEM.  Linux: copy_present_ptes() (copy_present_pte() up to 6.8),
    copy_nonpresent_pte()."""
    child = dst_vma // m.vmas_per_mm
    dst = pt_alloc(m, child, addr, 0)
    if dst < 0:
        return -ENOMEM
    entry = m.pte[slot]
    if not pte_present(entry):
        m.swap_count[pte_pfn(entry)] += 1
        m.pte[slot] = entry & ~SWP_EXCLUSIVE
        m.pte[dst] = entry & ~SWP_EXCLUSIVE
        return 0
    page = pte_pfn(entry)
    if not pte_special(entry):
        if must_copy_pinned(m, vma, page):
            decided(m, FORK_COPIES_PINNED)
            return copy_present_page(m, dst_vma, dst, page)
        if folio_test_anon(m, page_folio(m, page)):
            decided(m, FORK_SHARES)
            clear_page_anon_exclusive(m, page)
        map_folio_pte(m, child, page)
    m.pte[dst] = share_entry(m, vma, slot)
    return 0


@kernel
def share_entry(m: State, vma: int, slot: int) -> int:
    """Write-protect the parent's entry in a COW mapping and return the child's.

    Linux: __copy_present_ptes(), the end of copy_huge_pmd() and copy_hugetlb_page_range().
    """
    entry = m.pte[slot]
    if is_cow_mapping(m.vma_flags[vma]):
        entry &= ~PTE_RW
        m.pte[slot] = entry
    if m.vma_flags[vma] & VM_SHARED:
        entry &= ~PTE_DIRTY
    return entry & ~PTE_ACCESSED


@kernel
def copy_present_page(m: State, dst_vma: int, dst: int, page: int) -> int:
    """The child's own copy of a pinned page, writable.  0, or -ENOMEM.  Linux: copy_present_page()."""
    new = folio_alloc(m, 0)
    if new == NO_PAGE:
        return -ENOMEM
    folio_copy(m, page, new, 1)
    folio_set_anon(m, new)
    set_page_anon_exclusive(m, new)
    folio_add_rmap_pte(m, dst_vma // m.vmas_per_mm, new)
    m.pte[dst] = maybe_mkwrite(m, dst_vma, pte_mkdirty(m, mk_pte(new, vm_page_prot(m, dst_vma))))
    folio_add_lru(m, new)
    return 0


@kernel
def copy_huge_pmd(m: State, vma: int, dst_vma: int, slot: int, addr: int) -> int:
    """A PMD-mapped THP: 0 when shared, AGAIN when it may be pinned and has to be split first, or -ENOMEM.

    Linux: copy_huge_pmd().
    """
    child = dst_vma // m.vmas_per_mm
    folio = pte_pfn(m.pte[slot])
    dst = pt_alloc(m, child, addr, 1)
    if dst < 0:
        return -ENOMEM
    if is_huge_zero_page(m, folio):
        m.mm_huge_zero[child] = 1
    else:
        if must_copy_pinned(m, vma, folio):
            decided(m, FORK_SPLITS_PINNED_PMD)
            return AGAIN
        decided(m, FORK_SHARES)
        clear_page_anon_exclusive(m, folio)
        folio_get(m, folio)
        folio_add_rmap_entire(m, child, folio)
    m.pte[dst] = share_entry(m, vma, slot)
    return 0


@kernel
def copy_hugetlb(m: State, vma: int, dst_vma: int, addr: int) -> int:
    """One hugetlb entry; a pinned one is copied at once since 4eae4efa2c29 (5.12).  0, or -ENOMEM.

    Linux: copy_hugetlb_page_range().
    """
    child = dst_vma // m.vmas_per_mm
    level = hugetlb_level(m, m.vma_order[vma])
    slot = pt_walk(m, vma // m.vmas_per_mm, addr, level)
    if slot < 0 or not m.pte[slot] & PTE_PRESENT:
        return 0
    dst = pt_alloc(m, child, addr, level)
    if dst < 0:
        return -ENOMEM
    if level > 1 and m.rule_fork_skips_pud and m.config_fork_skips_pud:
        decided(m, FORK_SKIPS_PUD)
        return 0
    page = pte_pfn(m.pte[slot])
    folio = page_folio(m, page)
    if folio_test_anon(m, folio):
        if m.rule_fork_copies_pinned_hugetlb and must_copy_pinned(m, vma, page):
            decided(m, FORK_COPIES_PINNED)
            new = alloc_hugetlb_folio(m, m.vma_order[vma], NO_VMA, 0, 1)
            if new == NO_PAGE:
                return -ENOMEM
            folio_copy(m, page, new, 1)
            folio_set_anon(m, page_folio(m, new))
            set_page_anon_exclusive(m, new)
            folio_add_rmap_entire(m, child, page_folio(m, new))
            m.pte[dst] = hugetlb_entry(m, dst_vma, new, 1)
            if m.rule_fork_hugetlb_copy_writable == 0:
                m.pte[dst] |= PTE_RW | PTE_DIRTY
            return 0
        decided(m, FORK_SHARES)
        clear_page_anon_exclusive(m, page)
    folio_get(m, folio)
    folio_add_rmap_entire(m, child, folio)
    m.pte[dst] = share_entry(m, vma, slot)
    return 0
