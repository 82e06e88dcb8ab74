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
)
from pinhold.mm.huge_memory import split_huge_pmd, split_huge_range
from pinhold.mm.hugetlb import hugetlb_level
from pinhold.mm.kernel import kernel
from pinhold.mm.mmap import vma_split_range
from pinhold.mm.pgtable import free_pgtables, level_pages, pt_alloc, pt_walk, pte_present
from pinhold.mm.pin import pins_moved
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, gup_fast_running, mmap_write_lock, mmap_write_unlock
from pinhold.mm.vma import find_vma, merged_end, vma_is_hugetlb
from pinhold.mm.zap import munmap_locked


@kernel
def mremap(m: State, task: int) -> int:
    """Move [act_addr, act_end) to act_arg; what is mapped there goes."""
    act = current(m, task)
    mm = m.act_mm[act]
    if gup_fast_running(m, mm) or mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    err = remap_move(m, mm, m.act_addr[act], m.act_end[act], m.act_arg[act])
    mmap_write_unlock(m, mm)
    return finish(m, task, err)


@kernel
def remap_move(m: State, mm: int, start: int, end: int, to: int) -> int:
    """The work of mremap().  0, or a negative errno.

    hugetlb can be moved since 550a7d60bd5e (5.16).  The range lies in one VMA; since 6.17 in several, not of hugetlb,
    with holes between them if need be.  Parts that the kernel would have merged to one VMA count as one.
    """
    vma = find_vma(m, mm, start)
    if vma == NO_VMA:
        return -EFAULT
    if vma_is_hugetlb(m, vma):
        if not m.rule_mremap_hugetlb or (start | end | to) % (1 << m.vma_order[vma]):
            return -EINVAL
    if to < end and start < to + end - start:
        return -EINVAL
    if end > m.vma_end[vma]:
        if not m.rule_mremap_several_vmas and merged_end(m, mm, vma) < end:
            return -EFAULT
        if vma_is_hugetlb(m, vma):
            return -EFAULT
    addr = start
    while addr < end:
        vma = find_vma(m, mm, addr)
        if vma == NO_VMA:
            addr += 1
            continue
        stop = min(end, m.vma_end[vma])
        if addr > start and vma_is_hugetlb(m, vma):
            return -EFAULT
        err = move_vma(m, mm, addr, stop, to + addr - start)
        if err:
            return err
        addr = stop
    return 0


@kernel
def move_vma(m: State, mm: int, start: int, end: int, to: int) -> int:
    """Move [start, end), a part of one VMA.  0, or a negative errno."""
    err = munmap_locked(m, mm, to, to + end - start)
    if err == 0:
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
    pins_moved(m, mm, start, end, to)
    free_pgtables(m, mm, start, end)
    return 0


@kernel
def move_page_tables(m: State, mm: int, vma: int, start: int, end: int, to: int) -> int:
    """Move every entry of [start, end), the VMA's.  Aligned on both sides, a PMD is moved whole.
    0, or -ENOMEM where only some are moved: moving them back cannot fail.
    """
    if vma_is_hugetlb(m, vma):
        level = hugetlb_level(m, m.vma_order[vma])
        for addr in range(start, end, 1 << m.vma_order[vma]):
            if move_entry(m, mm, addr, to + addr - start, level) < 0:
                return -ENOMEM
        return 0
    if split_huge_range(m, mm, start, end) < 0:
        return -ENOMEM
    span = level_pages(m, 1)
    addr = start
    while addr < end:
        upper = pt_walk(m, mm, addr, 1) if m.levels > 1 else -1
        if upper >= 0 and m.pte[upper] & PTE_PSE:
            if (to - start) % span == 0:
                if move_entry(m, mm, addr, to + addr - start, 1) < 0:
                    return -ENOMEM
                addr += span
                continue
            if split_huge_pmd(m, mm, addr) < 0:
                return -ENOMEM
        if move_entry(m, mm, addr, to + addr - start, 0) < 0:
            return -ENOMEM
        addr += 1
    return 0


@kernel
def move_entry(m: State, mm: int, addr: int, to: int, level: int) -> int:
    """Move one entry; base pages and THPs come out soft-dirty.  0, or -ENOMEM.  Linux: move_ptes(), move_huge_pmd()."""
    source = pt_walk(m, mm, addr, level)
    if source < 0 or m.pte[source] == 0:
        return 0
    target = pt_alloc(m, mm, to, level)
    if target < 0:
        return -ENOMEM
    entry = m.pte[source]
    m.pte[source] = 0
    if m.config_soft_dirty:
        entry |= PTE_SOFT_DIRTY if pte_present(entry) else SWP_SOFT_DIRTY
    m.pte[target] = entry
    return 0
