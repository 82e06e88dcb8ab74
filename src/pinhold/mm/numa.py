"""NUMA balancing, as far as entries go: the scan that makes them inaccessible, and the hinting faults that follow:
mm/mprotect.c, mm/memory.c, mm/huge_memory.c.

Each hinting fault is taken to find the page on the wrong node and to try to move it.  What nothing else holds would
move; here it stays where it is (migration is left out), mapped as the moved one would be.
"""

from __future__ import annotations

from pinhold.mm.file import FOLIO_CLEAN
from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    FAULT_DONE,
    NO_FILE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_PRESENT,
    PTE_PROTNONE,
    PTE_PSE,
    PTE_RW,
    VM_READ,
    VM_WRITE,
)
from pinhold.mm.folio import folio_test_anon, folio_test_ksm, folio_test_lazyfree, is_huge_zero_page, page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.mprotect import can_change_writable, wants_write_upgrade
from pinhold.mm.pgtable import leaf_modify, level_pages, pt_leaf, pte_pfn, pte_special
from pinhold.mm.pin import folio_maybe_dma_pinned
from pinhold.mm.rmap import folio_maybe_mapped_shared, page_mapped_count
from pinhold.mm.rules.numa import (
    NUMA_HUGE_READ_ONLY,
    NUMA_SKIPS_ANY_PINNED,
    NUMA_SKIPS_MAPPED_TWICE,
    NUMA_SKIPS_REFERENCED,
    NUMA_WRITE_SAVED,
)
from pinhold.mm.sites.numa import NUMA_HINTS, NUMA_LEFT_READ_ONLY, NUMA_RESTORES, NUMA_SKIPS
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, mmap_read_lock, mmap_read_unlock
from pinhold.mm.vma import find_vma, is_cow_mapping, vm_page_prot, vma_is_accessible, vma_is_hugetlb

NUMA_START, NUMA_TABLE = 0, 1


@kernel
def change_prot_numa(m: State, task: int) -> int:
    """One step, one page table, of making the entries of [act_addr, act_end) inaccessible, so that the next access says
    who uses the page.  Result: 0.

    Linux: task_numa_work() (kernel/sched/fair.c), change_prot_numa(), under mmap_lock for reading.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == NUMA_START:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        m.act_pc[act] = NUMA_TABLE
    left = m.batch
    while left > 0 and m.act_addr[act] < m.act_end[act]:
        span = level_pages(m, 1)
        end = min(m.act_end[act], (m.act_addr[act] // span + 1) * span)
        change_prot_table(m, mm, m.act_addr[act], end)
        m.act_addr[act] = end
        left -= 1
    if m.act_addr[act] < m.act_end[act]:
        return AGAIN
    mmap_read_unlock(m, mm)
    return finish(m, task, 0)


@kernel
def change_prot_table(m: State, mm: int, start: int, end: int) -> None:
    """What one page table maps of [start, end), or the huge page there, under the page-table lock."""
    addr = start
    while addr < end:
        vma = find_vma(m, mm, addr)
        slot, level = pt_leaf(m, mm, addr)
        if vma != NO_VMA and numa_scans(m, vma) and m.pte[slot] & PTE_PRESENT:
            numa_hint(m, vma, slot, level)
        span = 1 << (m.bits * level)
        addr = (addr // span + 1) * span


@kernel
def numa_scans(m: State, vma: int) -> bool:
    """Not hugetlb, nothing inaccessible, no read-only mapping of a file, which is likely shared code."""
    if vma_is_hugetlb(m, vma) or not vma_is_accessible(m, vma):
        return False
    return m.vma_file[vma] == NO_FILE or m.vma_flags[vma] & (VM_READ | VM_WRITE) != VM_READ


@kernel
def numa_hint(m: State, vma: int, slot: int, level: int) -> None:
    """One entry becomes inaccessible.

    Up to 6.1 it keeps the write bit, which on x86 is there for the asking (b191f9b106ea, 3.15, "savedwrite").
    Linux: change_pte_range(), change_huge_pmd() with MM_CP_PROT_NUMA.
    """
    entry = m.pte[slot]
    page = pte_pfn(entry)
    if pte_special(entry) or (entry & PTE_PSE and is_huge_zero_page(m, page)):
        return
    if numa_skips(m, vma, page, level):
        decided(m, NUMA_SKIPS)
        return
    decided(m, NUMA_HINTS)
    saved = entry & PTE_RW if m.rule_numa_write == NUMA_WRITE_SAVED else 0
    m.pte[slot] = leaf_modify(m, entry, level, PTE_PROTNONE | PTE_ACCESSED) | saved


@kernel
def numa_skips(m: State, vma: int, page: int, level: int) -> bool:
    """Whether the scan leaves the page alone: one of KSM, or that others share, or hold, and that could not be moved.

    80d47f5de5e3 (5.17), d2136d749d76 (6.10).  THPs are asked for since 6.19 alone.  Linux: folio_can_map_prot_numa().
    """
    folio = page_folio(m, page)
    cow = is_cow_mapping(m.vma_flags[vma])
    if level > 0 and m.rule_numa_skips != NUMA_SKIPS_ANY_PINNED:
        return False
    file_lru = folio_test_lazyfree(m, folio) or not folio_test_anon(m, folio)
    if (file_lru and m.folio_dirty[folio] != FOLIO_CLEAN) or folio_test_ksm(m, folio):
        return True
    if m.rule_numa_skips == NUMA_SKIPS_MAPPED_TWICE:
        return cow and page_mapped_count(m, page) != 1
    if m.rule_numa_skips == NUMA_SKIPS_REFERENCED:
        return cow and m.folio_refcount[folio] != 1
    if cow and folio_maybe_mapped_shared(m, folio, page):
        return True
    return (cow or m.rule_numa_skips == NUMA_SKIPS_ANY_PINNED) and folio_maybe_dma_pinned(m, folio)


@kernel
def numa_hinted(m: State, vma: int, entry: int) -> bool:
    """Whether an access to the entry is a hinting fault."""
    return entry & (PTE_PRESENT | PTE_PROTNONE) == PTE_PROTNONE and vma_is_accessible(m, vma)


@kernel
def do_numa_page(m: State, vma: int, slot: int, level: int) -> int:
    """A hinting fault: the entry is accessible again, and writable as it was or, since 6.2, as it may be.

    Up to 5.13 a THP that cannot be moved, because something else holds it, is left read-only.
    Linux: do_numa_page(), do_huge_pmd_numa_page(); the failure path of migrate_misplaced_transhuge_page(), gone with
    c5b5a3dd2c1f (5.14); 6a56ccbcf6c6 (6.2).
    """
    old = m.pte[slot]
    entry = leaf_modify(m, old, level, vm_page_prot(m, vma)) | PTE_ACCESSED
    if m.rule_numa_write == NUMA_WRITE_SAVED:
        entry |= old & PTE_RW
    elif not entry & PTE_RW and wants_write_upgrade(m, vma) and can_change_writable(m, vma, entry, level):
        entry |= PTE_RW
    if (
        level > 0
        and m.rule_numa_huge_fails == NUMA_HUGE_READ_ONLY
        and m.folio_refcount[page_folio(m, pte_pfn(old))] != 1
    ):
        decided(m, NUMA_LEFT_READ_ONLY)
        entry &= ~PTE_RW
    else:
        decided(m, NUMA_RESTORES)
    m.pte[slot] = entry
    return FAULT_DONE
