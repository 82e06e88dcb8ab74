"""Writing the page cache back: msync(), and write-protecting what is clean again: mm/msync.c, mm/page-writeback.c."""

from __future__ import annotations

from pinhold.mm.file import FOLIO_CLEAN, FOLIO_DIRTY, cache_lookup
from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    ENOMEM,
    FILE_PAGECACHE,
    FOLIO_READAHEAD,
    NO_FILE,
    NO_PAGE,
    NO_VMA,
    PTE_DIRTY,
    PTE_RW,
    VM_SHARED,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import pt_walk, pte_pfn, pte_present
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import WRITEBACK_CLEANS
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, mmap_read_lock, mmap_read_unlock
from pinhold.mm.vma import find_vma


@kernel
def msync(m: State, task: int) -> int:
    """One step, one page, of msync(MS_SYNC) of [act_addr, act_end).  act_arg: what it will return.

    Result: 0, or -ENOMEM where a part is not mapped (the rest is done all the same).  Linux: msync(); mmap_lock is held
    to look for the mapping and not while the file is written.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    left = m.batch
    while left > 0 and m.act_addr[act] < m.act_end[act]:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        vma = find_vma(m, mm, m.act_addr[act])
        mmap_read_unlock(m, mm)
        if vma == NO_VMA:
            m.act_arg[act] = 1
        elif vma_needs_writing_back(m, vma):
            write_cache_page(m, m.vma_file[vma], m.vma_pgoff[vma] + m.act_addr[act] - m.vma_start[vma])
        m.act_addr[act] += 1
        left -= 1
    if m.act_addr[act] < m.act_end[act]:
        return AGAIN
    return finish(m, task, -ENOMEM if m.act_arg[act] else 0)


@kernel
def vma_needs_writing_back(m: State, vma: int) -> bool:
    """A shared mapping of a file that has a device behind it, as shmem and hugetlbfs have none."""
    file = m.vma_file[vma]
    return m.vma_flags[vma] & VM_SHARED != 0 and file != NO_FILE and m.file_kind[file] == FILE_PAGECACHE


@kernel
def write_cache_page(m: State, file: int, index: int) -> None:
    """Write the page if it is dirty; it is clean from here on, and the next store will fault.

    The kernel does this under the folio's lock, as it does page_mkwrite() faults.  Its end clears PG_reclaim, which is
    PG_readahead.  Linux: write_cache_pages(), folio_clear_dirty_for_io(), folio_mkclean(), folio_end_writeback().
    """
    page = cache_lookup(m, file, index)
    if page == NO_PAGE or m.folio_dirty[page] != FOLIO_DIRTY:
        return
    decided(m, WRITEBACK_CLEANS)
    for vma in range(len(m.vma_end)):
        addr = m.vma_start[vma] + index - m.vma_pgoff[vma]
        if m.vma_file[vma] == file and m.vma_flags[vma] & VM_SHARED and m.vma_start[vma] <= addr < m.vma_end[vma]:
            page_mkclean_one(m, vma, addr, page)
    m.folio_dirty[page] = FOLIO_CLEAN
    m.folio_flags[page] &= ~FOLIO_READAHEAD


@kernel
def page_mkclean_one(m: State, vma: int, addr: int, page: int) -> None:
    """Write-protect one shared mapping of the page, accessible or not.  Linux: page_mkclean_one() (mm/rmap.c)."""
    slot = pt_walk(m, vma // m.vmas_per_mm, addr, 0)
    if slot >= 0 and pte_present(m.pte[slot]) and pte_pfn(m.pte[slot]) == page:
        m.pte[slot] &= ~(PTE_RW | PTE_DIRTY)
