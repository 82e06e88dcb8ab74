"""Taking mappings away: zap_page_range(), munmap(), the end of a process."""

from __future__ import annotations

from pinhold.mm.file import file_put
from pinhold.mm.flags import BLOCKED, NO_FILE, PTE_PSE
from pinhold.mm.folio import folio_put, lru_add_drain, page_folio
from pinhold.mm.huge_memory import split_huge_range, zap_huge_pmd
from pinhold.mm.hugetlb import hugetlb_level, hugetlb_unreserve, zap_hugetlb
from pinhold.mm.interval_tree import vma_interval_tree_remove
from pinhold.mm.kernel import kernel
from pinhold.mm.mmap import vma_split_range
from pinhold.mm.pgtable import (
    free_all_tables,
    free_pgtables,
    level_pages,
    pt_is_table,
    pt_walk,
    pte_pfn,
    pte_present,
    pte_special,
    pte_swapped,
    table_free,
)
from pinhold.mm.pin import pins_detach, pins_disown
from pinhold.mm.rmap import folio_remove_rmap_pte
from pinhold.mm.rules.vma import ZAP_DRAINS_YES
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import DONTNEED_FREES_TABLE, ZAP_LEAVES_BATCH
from pinhold.mm.state import State
from pinhold.mm.swap import free_swap_and_cache, free_swap_cache
from pinhold.mm.task import current, finish, gup_fast_running, mm_in_use, mmap_write_lock, mmap_write_unlock
from pinhold.mm.vma import vma_free, vma_is_hugetlb


@kernel
def zap_begin(m: State) -> None:
    """Mappings are about to be taken away for good, or for the next touch to make anew."""
    if m.rule_zap_drains == ZAP_DRAINS_YES:
        lru_add_drain(m)
    elif m.lru_batch[0]:
        decided(m, ZAP_LEAVES_BATCH)


@kernel
def zap_pte(m: State, mm: int, slot: int) -> None:
    """Remove one base-page entry: its mapping and reference, or its swap slot's use."""
    entry = m.pte[slot]
    m.pte[slot] = 0
    if pte_present(entry):
        if not pte_special(entry):
            folio = page_folio(m, pte_pfn(entry))
            folio_remove_rmap_pte(m, mm, pte_pfn(entry))
            free_swap_cache(m, folio)
            folio_put(m, folio)
    elif pte_swapped(entry):
        free_swap_and_cache(m, pte_pfn(entry))


@kernel
def zap_page_range(m: State, mm: int, vma: int, start: int, end: int) -> int:
    """Remove what is mapped in [start, end) of one VMA; partly covered THPs are split first.  0, or a negative
    errno."""
    if vma_is_hugetlb(m, vma):
        step = 1 << m.vma_order[vma]
        for addr in range(start, end, step):
            slot = pt_walk(m, mm, addr, hugetlb_level(m, m.vma_order[vma]))
            if slot >= 0 and m.pte[slot]:
                zap_hugetlb(m, vma, addr, slot)
        return 0
    err = split_huge_range(m, mm, start, end)
    if err:
        return err
    addr = start
    while addr < end:
        slot = pt_walk(m, mm, addr, 0)
        if slot >= 0:
            if m.pte[slot]:
                zap_pte(m, mm, slot)
            addr += 1
            continue
        upper = pt_walk(m, mm, addr, 1)
        if upper >= 0 and m.pte[upper] & PTE_PSE:
            zap_huge_pmd(m, mm, upper)
        span = level_pages(m, 1)
        addr = (addr // span + 1) * span
    return 0


@kernel
def zap_empty_pte_tables(m: State, mm: int, start: int, end: int) -> None:
    """[start, end) of one VMA has been zapped: free the tables of base pages all of whose entries it covers.

    GUP-fast may be inside: it finds the entry that it came by gone, and the kernel frees the table by RCU.
    Linux: zap_pte_range(), zap_empty_pte_table() (mm/pt_reclaim.c at first), 6375e95f381e (6.14).
    """
    span = level_pages(m, 1)
    if not m.rule_dontneed_frees_tables or not m.config_pt_reclaim or m.levels == 1:
        return
    for addr in range(-(-start // span) * span, end // span * span, span):
        slot = pt_walk(m, mm, addr, 1)
        if slot >= 0 and pt_is_table(m.pte[slot]):
            decided(m, DONTNEED_FREES_TABLE)
            table_free(m, pte_pfn(m.pte[slot]))
            m.pte[slot] = 0


@kernel
def do_munmap(m: State, task: int) -> int:
    """munmap() of [act_addr, act_end), under mmap_lock; waits for GUP-fast, which walks the tables that go.

    Linux: do_vmi_align_munmap().
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if gup_fast_running(m, mm) or mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    err = munmap_locked(m, mm, m.act_addr[act], m.act_end[act])
    mmap_write_unlock(m, mm)
    return finish(m, task, err)


@kernel
def munmap_locked(m: State, mm: int, start: int, end: int) -> int:
    """The work of munmap() with mmap_lock held.  0, or a negative errno."""
    first = mm * m.vmas_per_mm
    err = vma_split_range(m, mm, start, end)
    if err:
        return err
    zap_begin(m)
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma] and m.vma_start[vma] >= start and m.vma_end[vma] <= end:
            err = zap_page_range(m, mm, vma, m.vma_start[vma], m.vma_end[vma])
            if err:
                return err
            remove_vma(m, vma)
    pins_detach(m, mm, start, end)
    free_pgtables(m, mm, start, end)
    return 0


@kernel
def remove_vma(m: State, vma: int) -> None:
    """Forget a VMA whose pages are gone: its reserve, its use of the file.  Linux: remove_vma()."""
    if m.vma_reserve[vma]:
        hugetlb_unreserve(m, vma)
    if vma_is_hugetlb(m, vma):
        vma_interval_tree_remove(m, vma)
    file = m.vma_file[vma]
    vma_free(m, vma)
    if file != NO_FILE:
        file_put(m, file)


@kernel
def exit_mmap(m: State, task: int) -> int:
    """The process's memory goes, once no other task works on it.  Its pins stay: they belong to file descriptors and
    devices, and whoever holds those drops them.

    Linux: mmput(), exit_mmap() (mm/mmap.c).
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if mm_in_use(m, task, mm) or mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    mm_teardown(m, mm)
    mmap_write_unlock(m, mm)
    return finish(m, task, 0)


@kernel
def mm_teardown(m: State, mm: int) -> None:
    """Unmap everything, free the tables, and leave the slot as if it had never been used."""
    zap_begin(m)
    first = mm * m.vmas_per_mm
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma]:
            zap_page_range(m, mm, vma, m.vma_start[vma], m.vma_end[vma])
            remove_vma(m, vma)
    free_all_tables(m, mm)
    pins_disown(m, mm)
    m.mm_huge_zero[mm] = 0
    m.mm_has_pinned[mm] = 0
    m.mm_locked_vm[mm] = 0
    m.mm_pinned_vm[mm] = 0
    m.mm_memlock[mm] = 0
    m.mm_ipc_lock[mm] = 0
    m.mm_alive[mm] = 0
