"""Clearing soft-dirty: writing 4 to /proc/PID/clear_refs: fs/proc/task_mmu.c."""

from __future__ import annotations

from pinhold.mm.flags import BLOCKED, PTE_PSE, PTE_RW, PTE_SOFT_DIRTY, SWP_SOFT_DIRTY, VM_SOFTDIRTY
from pinhold.mm.folio import page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pt_walk, pte_pfn, pte_present, pte_special
from pinhold.mm.pin import folio_maybe_dma_pinned
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import SOFT_DIRTY_PINNED_KEPT
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, mmap_write_lock, mmap_write_unlock
from pinhold.mm.vma import is_cow_mapping, vma_is_hugetlb


@kernel
def clear_refs_write(m: State, task: int) -> int:
    """Forget which pages were written: every VMA tracks from now on, and its entries are write-protected.

    Nothing happens where the kernel tracks no soft-dirty.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if not m.config_soft_dirty:
        return finish(m, task, 0)
    if mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    first = mm * m.vmas_per_mm
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma]:
            m.vma_flags[vma] &= ~VM_SOFTDIRTY
            if not vma_is_hugetlb(m, vma):
                clear_refs_vma(m, mm, vma)
    mmap_write_unlock(m, mm)
    return finish(m, task, 0)


@kernel
def clear_refs_vma(m: State, mm: int, vma: int) -> None:
    """Linux: clear_refs_pte_range()."""
    span = level_pages(m, 1)
    addr = m.vma_start[vma]
    while addr < m.vma_end[vma]:
        slot = pt_walk(m, mm, addr, 0)
        if slot >= 0:
            clear_soft_dirty(m, vma, slot)
            addr += 1
            continue
        upper = pt_walk(m, mm, addr, 1)
        if upper >= 0 and m.pte[upper] & PTE_PSE and pte_present(m.pte[upper]):
            m.pte[upper] &= ~(PTE_RW | PTE_SOFT_DIRTY)
        addr = (addr // span + 1) * span


@kernel
def clear_soft_dirty(m: State, vma: int, slot: int) -> None:
    """One base-page entry; a page of a COW mapping that may be pinned keeps its write permission.

    Linux: clear_soft_dirty(), pte_is_pinned(), 9348b73c2e1b (5.11); a PMD is not asked.
    """
    entry = m.pte[slot]
    if pte_present(entry):
        writable = entry & PTE_RW != 0 and is_cow_mapping(m.vma_flags[vma])
        if m.rule_soft_dirty_skips_pinned and writable and m.mm_has_pinned[vma // m.vmas_per_mm]:
            if not pte_special(entry) and folio_maybe_dma_pinned(m, page_folio(m, pte_pfn(entry))):
                decided(m, SOFT_DIRTY_PINNED_KEPT)
                return
        m.pte[slot] = entry & ~(PTE_RW | PTE_SOFT_DIRTY)
    elif entry:
        m.pte[slot] = entry & ~SWP_SOFT_DIRTY
