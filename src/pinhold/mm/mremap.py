"""mremap(): move a range to another place, entries and all: mm/mremap.c."""

from __future__ import annotations

from pinhold.mm.flags import (
    BLOCKED,
    EFAULT,
    EINVAL,
    ENOMEM,
    NO_VMA,
    PTE_PSE,
    PTE_SOFT_DIRTY,
    SWP_SOFT_DIRTY,
    VM_SHARED,
)
from pinhold.mm.huge_memory import split_huge_pmd, split_huge_range
from pinhold.mm.hugetlb import clear_vma_resv_huge_pages, hugetlb_level
from pinhold.mm.interval_tree import (
    anon_vma_interval_tree_insert,
    vma_interval_tree_insert,
    vma_interval_tree_remove,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.ksm import break_ksm, next_ksm
from pinhold.mm.mmap import vma_split_range
from pinhold.mm.pgtable import free_pgtables, level_pages, pt_alloc, pt_walk, pte_present
from pinhold.mm.pin import pins_moved
from pinhold.mm.rules.vma import REALIGNS_NO
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import MREMAP_MOVES_TABLE, MREMAP_REALIGNS
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, gup_fast_running, mmap_write_lock, mmap_write_unlock, returned
from pinhold.mm.vma import find_vma, vma_is_anonymous, vma_is_hugetlb, vma_within
from pinhold.mm.zap import munmap_locked

MREMAP_START, MREMAP_NEXT, MREMAP_BREAKING = 0, 1, 2


@kernel
def mremap(m: State, task: int) -> int:
    """One step of moving [act_addr, act_end), what is left, to act_arg; what is mapped there goes.  mmap_lock is held
    for writing all the while; KSM pages are broken first, each by a fault.  0, or a negative errno.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if gup_fast_running(m, mm):
        return BLOCKED
    if m.act_pc[act] == MREMAP_START:
        if mmap_write_lock(m, mm) == BLOCKED:
            return BLOCKED
        err = mremap_check(m, mm, m.act_addr[act], m.act_end[act], m.act_arg[act])
    else:
        err = min(returned(m, task), 0)
    while err == 0 and m.act_addr[act] < m.act_end[act]:
        addr = m.act_addr[act]
        vma = find_vma(m, mm, addr)
        if vma == NO_VMA:
            remapped(m, act, addr + 1)
            continue
        stop = min(m.act_end[act], m.vma_end[vma])
        if vma_is_hugetlb(m, vma) and m.act_arg[act] % (1 << m.vma_order[vma]):
            err = -EINVAL
        elif m.act_pc[act] != MREMAP_BREAKING:
            err = munmap_locked(m, mm, m.act_arg[act], m.act_arg[act] + stop - addr)
        if err == 0:
            merged = next_ksm(m, mm, vma, addr, stop)
            if merged < stop:
                m.act_pc[act] = MREMAP_BREAKING
                return break_ksm(m, task, mm, merged)
            err = move_vma(m, mm, addr, stop, m.act_arg[act])
            remapped(m, act, stop)
    mmap_write_unlock(m, mm)
    return finish(m, task, err)


@kernel
def remapped(m: State, act: int, addr: int) -> None:
    """All is moved up to `addr`."""
    m.act_arg[act] += addr - m.act_addr[act]
    m.act_addr[act] = addr
    m.act_pc[act] = MREMAP_NEXT


@kernel
def mremap_check(m: State, mm: int, start: int, end: int, to: int) -> int:
    """Whether the range may be moved there.  0, or a negative errno.

    hugetlb can be moved since 550a7d60bd5e (5.16).  The range lies in one VMA; since 6.17 in several, with holes
    between them if need be.  Parts that the kernel would have merged to one VMA count as one.
    """
    vma = find_vma(m, mm, start)
    if vma == NO_VMA:
        return -EFAULT
    if vma_is_hugetlb(m, vma):
        if not m.rule_mremap_hugetlb or (start | end | to) % (1 << m.vma_order[vma]):
            return -EINVAL
    if to < end and start < to + end - start:
        return -EINVAL
    if end > m.vma_end[vma] and not m.rule_mremap_several_vmas:
        return -EFAULT
    return 0


@kernel
def move_vma(m: State, mm: int, start: int, end: int, to: int) -> int:
    """Move [start, end), a part of one VMA, to a place where nothing is mapped.  0, or a negative errno.

    Anonymous memory that was never faulted in goes on where it is now, not where it was: it merges with no other part
    of what it was mapped with (copy_vma(), mm/vma.c).
    """
    whole = find_vma(m, mm, start)
    first = m.vma_start[whole]
    behind = m.vma_end[whole]
    err = vma_split_range(m, mm, start, end)
    if err:
        return err
    vma = find_vma(m, mm, start)
    if move_page_tables(m, mm, vma, start, end, to) < 0:
        move_page_tables(m, mm, vma, to, to + end - start, start)
        free_pgtables(m, mm, to, to + end - start)
        return -ENOMEM
    m.vma_start[vma] = to
    m.vma_end[vma] = to + end - start
    if vma_is_anonymous(m, vma) and m.vma_anon[vma] == 0:
        m.vma_pgoff[vma] = to
    if vma_is_hugetlb(m, vma):
        vma_interval_tree_remove(m, vma)
        vma_interval_tree_insert(m, vma)
    anon_vma_interval_tree_insert(m, vma)
    if vma_is_hugetlb(m, vma) and not m.vma_flags[vma] & VM_SHARED:
        if first < start:
            clear_vma_resv_huge_pages(m, find_vma(m, mm, start - 1))
        if behind > end:
            clear_vma_resv_huge_pages(m, find_vma(m, mm, end))
    pins_moved(m, mm, start, end, to)
    free_pgtables(m, mm, start, end)
    return 0


@kernel
def move_page_tables(m: State, mm: int, vma: int, start: int, end: int, to: int) -> int:
    """Move every entry of [start, end), the VMA's.  0, or -ENOMEM where only some are moved: moving them back cannot
    fail.
    """
    if vma_is_hugetlb(m, vma):
        level = hugetlb_level(m, m.vma_order[vma])
        for addr in range(start, end, 1 << m.vma_order[vma]):
            if move_entry(m, mm, addr, to + addr - start, level, 0) < 0:
                return -ENOMEM
        return 0
    if split_huge_range(m, mm, start, end) < 0:
        return -ENOMEM
    span = level_pages(m, 1)
    addr = realigned(m, mm, start, end, to)
    while addr < end:
        target = to + addr - start
        extent = min(span - addr % span, span - target % span, end - addr)
        if move_extent(m, mm, addr, addr + extent, target) < 0:
            return -ENOMEM
        addr += extent
    return 0


@kernel
def realigned(m: State, mm: int, start: int, end: int, to: int) -> int:
    """Where moving [start, end) begins: with the page table that `start` is in, where nothing else is mapped in that
    part of it, nor in that of the target.  Linux: try_realign_addr()."""
    span = level_pages(m, 1)
    before = start % span
    if m.rule_mremap_realigns == REALIGNS_NO or before == 0 or before != to % span or end - start < span - before:
        return start
    if vma_within(m, mm, start - before, start) != NO_VMA or vma_within(m, mm, to - before, to) != NO_VMA:
        return start
    decided(m, MREMAP_REALIGNS)
    return start - before


@kernel
def move_extent(m: State, mm: int, start: int, end: int, to: int) -> int:
    """Move the entries of [start, end), which are of one page table, to one other.  The huge entry or the table of a
    whole PMD is moved as it is; where there is a table, the target gets one for however few entries.  0, or -ENOMEM.

    Linux: the loop of move_page_tables(); move_normal_pmd().
    """
    if m.levels > 1:
        upper = pt_walk(m, mm, start, 1)
        if upper < 0 or m.pte[upper] == 0:
            return 0
        whole = end - start == level_pages(m, 1)
        if m.pte[upper] & PTE_PSE:
            if whole:
                return move_entry(m, mm, start, to, 1, m.config_soft_dirty)
            if split_huge_pmd(m, mm, start, 0) < 0:
                return -ENOMEM
        elif whole:
            target = pt_alloc(m, mm, to, 1)
            if target < 0:
                return -ENOMEM
            if m.pte[target] == 0:
                decided(m, MREMAP_MOVES_TABLE)
                m.pte[target] = m.pte[upper]
                m.pte[upper] = 0
                return 0
        if pt_alloc(m, mm, to, 0) < 0:
            return -ENOMEM
    for addr in range(start, end):
        if move_entry(m, mm, addr, to + addr - start, 0, m.config_soft_dirty) < 0:
            return -ENOMEM
    return 0


@kernel
def move_entry(m: State, mm: int, addr: int, to: int, level: int, soft_dirty: int) -> int:
    """Move one entry; soft_dirty: it is so afterwards, which is for all but hugetlb.  0, or -ENOMEM.

    Linux: move_ptes(), move_huge_pmd() (move_soft_dirty_pte()); move_huge_pte() (mm/hugetlb.c).
    """
    source = pt_walk(m, mm, addr, level)
    if source < 0 or m.pte[source] == 0:
        return 0
    target = pt_alloc(m, mm, to, level)
    if target < 0:
        return -ENOMEM
    entry = m.pte[source]
    m.pte[source] = 0
    if soft_dirty:
        entry |= PTE_SOFT_DIRTY if pte_present(entry) else SWP_SOFT_DIRTY
    m.pte[target] = entry
    return 0
