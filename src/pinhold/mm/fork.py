"""fork(): the child's address space as a copy: kernel/fork.c, copy_page_range() in mm/memory.c.

With mmap_lock held for writing and write_protect_seq odd, entry by entry: anonymous pages become shared and read-only
on both sides, unless they may be pinned: then the child gets a copy at once and the parent keeps its page.  Looking
whether a page may be pinned and write-protecting its entry are two steps, and GUP-fast, which no lock keeps out, may
pin between them: that is what write_protect_seq is for.
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
    PTE_RW,
    SWP_EXCLUSIVE,
    VM_DONTCOPY,
    VM_HUGETLB,
    VM_SHARED,
    VM_UFFD_MINOR,
)
from pinhold.mm.folio import (
    folio_add_lru,
    folio_alloc,
    folio_copy,
    folio_get,
    folio_put,
    folio_test_anon,
    is_huge_zero_page,
    page_folio,
)
from pinhold.mm.huge_memory import split_huge_pmd
from pinhold.mm.hugetlb import alloc_hugetlb_folio, hugetlb_entry, hugetlb_level
from pinhold.mm.interval_tree import anon_vma_interval_tree_insert
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.pgtable import (
    level_pages,
    mk_pte,
    pt_alloc,
    pt_leaf,
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
    page_anon_exclusive,
    set_page_anon_exclusive,
)
from pinhold.mm.rules.fork import (
    COPIES_HUGETLB_FILES_YES,
    FORK_ANONYMOUS,
    FORK_EXCLUSIVE,
    FORK_NONE,
    HUGETLB_COPY_ALWAYS,
    SKIPS_PUD_BY_CHANCE,
)
from pinhold.mm.sites.fork import (
    FORK_COPIES_PINNED,
    FORK_SHARES,
    FORK_SKIPS_PUD,
    FORK_SKIPS_VMA,
    FORK_SPLITS_PINNED_PMD,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.swap import swap_duplicate
from pinhold.mm.task import (
    current,
    finish,
    goto,
    mmap_write_lock,
    mmap_write_unlock,
    write_protect_seq_begin,
    write_protect_seq_end,
)
from pinhold.mm.trap import TRAP_STAGE, trap
from pinhold.mm.vma import (
    anon_vma_fork,
    find_vma,
    is_cow_mapping,
    maybe_mkwrite,
    next_vma,
    vm_page_prot,
    vma_copy,
    vma_is_hugetlb,
)
from pinhold.mm.zap import mm_teardown

FORK_START, FORK_COPY, FORK_SHARE, FORK_PREALLOC, FORK_HUGETLB_COPY, FORK_HUGETLB_INSTALL = range(6)

ALL_COPIED = 1

PTE_SET_BY_PROCESSOR = PTE_ACCESSED | PTE_DIRTY
"""Bits that a running thread of the parent changes in an entry without any lock."""


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
    """One step of fork().  act_arg: the child's slot; act_addr: how far; act_entry: the entry that was looked at;
    act_new: a page to copy to; act_page: the hugetlb page to copy, with a reference.  Result: the child, or -ENOMEM
    and no child."""
    act = current(m, task)
    mm = m.act_mm[act]
    child = m.act_arg[act]
    if m.act_pc[act] == FORK_START:
        if mmap_write_lock(m, mm) == BLOCKED:
            return BLOCKED
        write_protect_seq_begin(m, mm)
        if fork_begin(m, mm, child) < 0:
            return fork_end(m, task, mm, -ENOMEM)
        return goto(m, act, FORK_COPY)
    left = m.batch
    while left > 0:
        result = fork_piece(m, act, child)
        if result == ALL_COPIED:
            return fork_end(m, task, mm, child)
        if result < 0:
            mm_teardown(m, child)
            return fork_end(m, task, mm, result)
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
            m.vma_flags[child * m.vmas_per_mm + i] &= ~VM_UFFD_MINOR  # dup_userfaultfd()
            anon_vma_fork(m, child * m.vmas_per_mm + i)
            anon_vma_interval_tree_insert(m, child * m.vmas_per_mm + i)
    return 0


@kernel
def fork_end(m: State, task: int, mm: int, result: int) -> int:
    write_protect_seq_end(m, mm)
    mmap_write_unlock(m, mm)
    return finish(m, task, result)


@kernel
def fork_piece(m: State, act: int, child: int) -> int:
    """The next atomic piece: 0, ALL_COPIED, or -ENOMEM."""
    pc = m.act_pc[act]
    if pc == FORK_COPY:
        return copy_page_range(m, act, child)
    if pc == FORK_SHARE:
        return copy_share(m, act, child)
    if pc == FORK_PREALLOC:
        return copy_prealloc(m, act)
    if pc == FORK_HUGETLB_COPY:
        return copy_hugetlb_page(m, act)
    if pc == FORK_HUGETLB_INSTALL:
        return hugetlb_install_folio(m, act, child)
    trap(m, TRAP_STAGE)
    return ALL_COPIED


@kernel
def copy_page_range(m: State, act: int, child: int) -> int:
    """Find the next entry from act_addr on and decide about it: 0, ALL_COPIED, or -ENOMEM.

    The child gets a table wherever the parent has one, also one whose entries are empty: copy_pte_range() and
    huge_pte_alloc() allocate before anybody looks into it.  A huge page is not faulted in there again.
    """
    mm = m.act_mm[act]
    vma = vma_to_copy(m, mm, m.act_addr[act])
    while vma != NO_VMA:
        addr = max(m.act_addr[act], m.vma_start[vma])
        m.act_addr[act] = addr
        dst_vma = child * m.vmas_per_mm + vma % m.vmas_per_mm
        slot, level = pt_leaf(m, mm, addr)
        m.act_entry[act] = m.pte[slot]
        if m.pte[slot]:
            if m.vma_flags[vma] & VM_HUGETLB:
                return copy_hugetlb_page_range(m, act, vma, dst_vma, slot)
            if level > 0:
                return copy_huge_pmd(m, act, vma, dst_vma, slot)
            return copy_pte(m, act, vma, dst_vma, slot)
        if pt_alloc(m, child, addr, level) < 0:
            return -ENOMEM
        m.act_addr[act] = (addr // level_pages(m, level) + 1) * level_pages(m, level)
        vma = vma_to_copy(m, mm, m.act_addr[act])
    return ALL_COPIED


@kernel
def vma_to_copy(m: State, mm: int, addr: int) -> int:
    """The first VMA from `addr` on that fork() looks into, or NO_VMA."""
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA:
        vma = next_vma(m, mm, addr)
    while vma != NO_VMA and (m.vma_flags[vma] & VM_DONTCOPY or not vma_needs_copy(m, vma)):
        vma = next_vma(m, mm, m.vma_end[vma])
    return vma


@kernel
def vma_needs_copy(m: State, vma: int) -> bool:
    """Whether fork() has anything to copy.  hugetlb: always, until bcd51a3c679d (6.0) made it as lazy as the rest.

    A VMA without anonymous pages can be faulted in again by the child: it is passed over, and with it the zero pages
    of a mapping that was only read.
    """
    if m.vma_anon[vma]:
        return True
    if m.vma_flags[vma] & VM_HUGETLB and m.rule_fork_copies_hugetlb_files == COPIES_HUGETLB_FILES_YES:
        return True
    decided(m, FORK_SKIPS_VMA)
    return False


@kernel
def must_copy_pinned(m: State, vma: int, page: int) -> bool:
    """Whether fork must not share this page because it may be pinned.

    70e806e4e645 (5.9): any page of a COW mapping; 5.10.153: anonymous ones only; fb3d824d1a46 (5.19): exclusive ones,
    since no other can be reliably pinned.  Linux: folio_needs_cow_for_dma().
    """
    mm = vma // m.vmas_per_mm
    if not m.mm_has_pinned[mm] or not is_cow_mapping(m.vma_flags[vma]):
        return False
    if m.rule_fork_copies_pinned == FORK_NONE:
        return False
    if m.rule_fork_copies_pinned == FORK_ANONYMOUS and not folio_test_anon(m, page_folio(m, page)):
        return False
    if m.rule_fork_copies_pinned == FORK_EXCLUSIVE and not page_anon_exclusive(m, page):
        return False
    return folio_maybe_dma_pinned(m, page_folio(m, page))


@kernel
def copied(m: State, act: int, pages: int) -> int:
    """The entry is dealt with: go on behind it.  A page that was allocated and not used goes back.  Returns 0."""
    m.act_addr[act] += pages
    m.act_entry[act] = 0
    if m.act_new[act] != NO_PAGE:
        folio_put(m, page_folio(m, m.act_new[act]))
        m.act_new[act] = NO_PAGE
    m.act_pc[act] = FORK_COPY
    return 0


@kernel
def decide_later(m: State, act: int, pc: int) -> int:
    """What was decided about the entry is done in the next step.  Returns 0."""
    m.act_pc[act] = pc
    return 0


@kernel
def copy_pte(m: State, act: int, vma: int, dst_vma: int, slot: int) -> int:
    """One base-page entry: a swap entry or a zero page is copied at once; any other page is shared in the next step,
    or copied, if it may be pinned, once there is a page to copy to.  0, or -ENOMEM.

    Linux: copy_present_ptes() (copy_present_pte() up to 6.8), copy_nonpresent_pte().
    """
    dst = pt_alloc(m, m.act_arg[act], m.act_addr[act], 0)
    if dst < 0:
        return -ENOMEM
    entry = m.pte[slot]
    if not pte_present(entry):
        swap_duplicate(m, pte_pfn(entry))
        m.pte[slot] = entry & ~SWP_EXCLUSIVE
        m.pte[dst] = entry & ~SWP_EXCLUSIVE
        return copied(m, act, 1)
    if pte_special(entry):
        m.pte[dst] = share_entry(m, vma, slot)
        return copied(m, act, 1)
    if not must_copy_pinned(m, vma, pte_pfn(entry)):
        return decide_later(m, act, FORK_SHARE)
    if m.act_new[act] == NO_PAGE:
        return decide_later(m, act, FORK_PREALLOC)
    decided(m, FORK_COPIES_PINNED)
    copy_present_page(m, dst_vma, dst, pte_pfn(entry), m.act_new[act])
    m.act_new[act] = NO_PAGE
    return copied(m, act, 1)


@kernel
def copy_share(m: State, act: int, child: int) -> int:
    """Nothing seemed to pin the page: parent and child share it, read-only in a COW mapping.  Returns 0.

    One hold of the page-table lock with the look before: an entry that is not what it was then is looked at again.
    Linux: the end of __copy_present_ptes(), copy_huge_pmd() and copy_hugetlb_page_range(); the exclusive mark goes
    before the entry is write-protected, which nobody can tell from here: who pins reads the entry first.
    """
    mm = m.act_mm[act]
    vma = find_vma(m, mm, m.act_addr[act])
    slot, level = pt_leaf(m, mm, m.act_addr[act])
    if (m.pte[slot] ^ m.act_entry[act]) & ~PTE_SET_BY_PROCESSOR:
        m.act_entry[act] = 0
        return decide_later(m, act, FORK_COPY)
    page = pte_pfn(m.pte[slot])
    folio = page_folio(m, page)
    if folio_test_anon(m, folio):
        decided(m, FORK_SHARES)
        clear_page_anon_exclusive(m, page)
    folio_get(m, folio)
    if level > 0:
        folio_add_rmap_entire(m, child, folio)
    else:
        folio_add_rmap_pte(m, child, page)
    entry = share_entry(m, vma, slot)
    m.pte[pt_walk(m, child, m.act_addr[act], level)] = entry
    return copied(m, act, level_pages(m, level))


@kernel
def share_entry(m: State, vma: int, slot: int) -> int:
    """Write-protect the parent's entry in a COW mapping and return the child's: clean, where pages are shared for
    writing, except of hugetlb.  Linux: __copy_present_ptes(), copy_hugetlb_page_range().
    """
    entry = m.pte[slot]
    if is_cow_mapping(m.vma_flags[vma]):
        entry &= ~PTE_RW
        m.pte[slot] = entry
    if m.vma_flags[vma] & VM_SHARED and not vma_is_hugetlb(m, vma):
        entry &= ~PTE_DIRTY
    return entry & ~PTE_ACCESSED


@kernel
def copy_prealloc(m: State, act: int) -> int:
    """Outside the lock: a page for the child's copy; then the entry is looked at again.  0, or -ENOMEM.

    Linux: folio_prealloc() (page_copy_prealloc() up to 6.7), after copy_present_page() came back with EAGAIN.
    """
    m.act_new[act] = folio_alloc(m, 0)
    if m.act_new[act] == NO_PAGE:
        return -ENOMEM
    return decide_later(m, act, FORK_COPY)


@kernel
def copy_present_page(m: State, dst_vma: int, dst: int, page: int, new: int) -> None:
    """The child's own copy of a pinned page, writable.  Linux: copy_present_page()."""
    folio_copy(m, page, new, 1)
    folio_set_anon(m, new)
    set_page_anon_exclusive(m, new)
    folio_add_rmap_pte(m, dst_vma // m.vmas_per_mm, new)
    m.pte[dst] = maybe_mkwrite(m, dst_vma, pte_mkdirty(m, mk_pte(new, vm_page_prot(m, dst_vma))))
    folio_add_lru(m, new)


@kernel(needs=Part.THP)
def copy_huge_pmd(m: State, act: int, vma: int, dst_vma: int, slot: int) -> int:
    """A PMD-mapped THP: shared in the next step, or, if it may be pinned, split, to be copied page by page.
    0, or -ENOMEM.  Linux: copy_huge_pmd()."""
    child = dst_vma // m.vmas_per_mm
    folio = pte_pfn(m.pte[slot])
    dst = pt_alloc(m, child, m.act_addr[act], 1)
    if dst < 0:
        return -ENOMEM
    if is_huge_zero_page(m, folio):
        m.mm_huge_zero[child] = 1
        m.pte[dst] = share_entry(m, vma, slot)
        return copied(m, act, level_pages(m, 1))
    if not must_copy_pinned(m, vma, folio):
        return decide_later(m, act, FORK_SHARE)
    decided(m, FORK_SPLITS_PINNED_PMD)
    return split_huge_pmd(m, m.act_mm[act], m.act_addr[act], 0)


@kernel(needs=Part.HUGETLB)
def copy_hugetlb_page_range(m: State, act: int, vma: int, dst_vma: int, slot: int) -> int:
    """One hugetlb entry: shared in the next step; one that may be pinned is copied since 4eae4efa2c29 (5.12).
    0, or -ENOMEM."""
    level = hugetlb_level(m, m.vma_order[vma])
    if pt_alloc(m, dst_vma // m.vmas_per_mm, m.act_addr[act], level) < 0:
        return -ENOMEM
    if level > 1 and m.rule_fork_skips_pud == SKIPS_PUD_BY_CHANCE and m.config_fork_skips_pud:
        decided(m, FORK_SKIPS_PUD)
        return copied(m, act, level_pages(m, level))
    page = pte_pfn(m.pte[slot])
    folio = page_folio(m, page)
    if folio_test_anon(m, folio) and m.rule_fork_copies_pinned_hugetlb and must_copy_pinned(m, vma, page):
        decided(m, FORK_COPIES_PINNED)
        folio_get(m, folio)
        m.act_page[act] = page
        return decide_later(m, act, FORK_HUGETLB_COPY)
    return decide_later(m, act, FORK_SHARE)


@kernel(needs=Part.HUGETLB)
def copy_hugetlb_page(m: State, act: int) -> int:
    """Outside the lock: the child's huge page, not from the parent's reserve, with the content.  0, or -ENOMEM."""
    page = m.act_page[act]
    m.act_page[act] = NO_PAGE
    vma = find_vma(m, m.act_mm[act], m.act_addr[act])
    new = alloc_hugetlb_folio(m, m.vma_order[vma], NO_VMA, 0, 1)
    if new != NO_PAGE:
        folio_copy(m, page, new, 1)
        m.act_new[act] = new
    folio_put(m, page_folio(m, page))
    return decide_later(m, act, FORK_HUGETLB_INSTALL) if new != NO_PAGE else -ENOMEM


@kernel(needs=Part.HUGETLB)
def hugetlb_install_folio(m: State, act: int, child: int) -> int:
    """Under the lock again: the copy is the child's unless the parent's entry has changed.  Returns 0.

    Linux: hugetlb_install_folio() (hugetlb_install_page() up to 6.2).
    """
    mm = m.act_mm[act]
    vma = find_vma(m, mm, m.act_addr[act])
    dst_vma = child * m.vmas_per_mm + vma % m.vmas_per_mm
    slot, level = pt_leaf(m, mm, m.act_addr[act])
    if (m.pte[slot] ^ m.act_entry[act]) & ~PTE_SET_BY_PROCESSOR:
        return copied(m, act, 0)
    new = m.act_new[act]
    m.act_new[act] = NO_PAGE
    folio_set_anon(m, page_folio(m, new))
    set_page_anon_exclusive(m, new)
    folio_add_rmap_entire(m, child, page_folio(m, new))
    entry = hugetlb_entry(m, dst_vma, new, 1)
    if m.rule_fork_hugetlb_copy_writable == HUGETLB_COPY_ALWAYS:
        entry = pte_mkdirty(m, entry) | PTE_RW
    m.pte[pt_walk(m, child, m.act_addr[act], level)] = entry
    return copied(m, act, level_pages(m, level))
