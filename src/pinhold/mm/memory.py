"""Page faults: where one starts, and those on entries that map nothing yet: mm/memory.c.

Write-protect faults are in wp.py, swap entries in swapin.py, huge pages in huge_memory.py and hugetlb.py.

One fault is one activation of `handle_mm_fault`.  Under the page-table lock it decides; a copy is made outside the
lock and installed only if the entry is still the one that was seen.  Results: FAULT_DONE, FAULT_WROTE (a write fault
was resolved, VM_FAULT_WRITE up to 6.1), or a negative errno (VM_FAULT_OOM, VM_FAULT_SIGBUS and VM_FAULT_SIGSEGV as
GUP reports them).
"""

from __future__ import annotations

from pinhold.mm.file import cache_get_page, cache_lookup, filemap_read_folio, folio_mark_dirty
from pinhold.mm.flags import (
    BLOCKED,
    EFAULT,
    ENOMEM,
    FAULT_ALLOCATED,
    FAULT_COUNTED,
    FAULT_DONE,
    FAULT_FALLBACK,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FILE_PAGECACHE,
    FOLIO_FALLOCATED,
    FOLIO_READAHEAD,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_PSE,
    PTE_RW,
    PTE_SPECIAL,
    VM_MAYWRITE,
    VM_SHARED,
    VM_WRITE,
    ZERO_PFN,
)
from pinhold.mm.folio import page_folio
from pinhold.mm.huge_memory import (
    do_huge_pmd_anonymous_page,
    do_huge_pmd_wp_page,
    huge_install,
    huge_wp_counted,
    thp_suitable,
)
from pinhold.mm.hugetlb import hugetlb_fault, hugetlb_file_index, hugetlb_install
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.numa import do_numa_page, numa_hinted
from pinhold.mm.pgtable import level_pages, mk_pte, pt_alloc, pt_walk, pte_mkdirty, pte_present
from pinhold.mm.rmap import (
    folio_add_rmap_pte,
    map_folio_pte,
)
from pinhold.mm.rules.wp import BREAKS_NONE
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import READ_MAPS_DIRTY
from pinhold.mm.sites.wp import ANON_READ_ZERO_PAGE, FAULT_SANITY_CLEARED, FAULT_SANITY_SIGSEGV
from pinhold.mm.state import State
from pinhold.mm.swapin import do_swap_page, swapin_lookup, swapin_read
from pinhold.mm.task import FN_FAULT, current, finish, goto
from pinhold.mm.trap import TRAP_STAGE, trap
from pinhold.mm.vma import (
    anon_vma_prepare,
    find_vma,
    is_cow_mapping,
    vm_page_prot,
    vma_is_anonymous,
    vma_is_hugetlb,
)
from pinhold.mm.wp import (
    FAULT_COPY,
    FAULT_HUGE_COUNTED,
    FAULT_HUGE_INSTALL,
    FAULT_HUGETLB_INSTALL,
    FAULT_INSTALL,
    FAULT_START,
    FAULT_SWAP_MAP,
    FAULT_SWAP_READ,
    do_wp_page,
    fault_install,
    wp_page_copy,
)


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
    copy from, with a reference; act_new: the page to install; act_seq: the mappings that are counted.

    Linux: handle_mm_fault(), handle_pte_fault()."""
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
    if pc == FAULT_HUGE_COUNTED:
        return fault_pmd_done(m, task, act, huge_wp_counted(m, act))
    if pc == FAULT_HUGETLB_INSTALL:
        return finish(m, task, hugetlb_install(m, act))
    return trap(m, TRAP_STAGE)


@kernel
def fault_start(m: State, task: int, act: int) -> int:
    """Find the VMA and the level, and let the right handler decide."""
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA:
        return finish(m, task, -EFAULT)
    if vma_is_hugetlb(m, vma) and hugetlb_fault_mutex_held(m, task, vma, addr):
        return BLOCKED
    flags = sanitize_fault_flags(m, vma, m.act_flags[act])
    if flags < 0:
        return finish(m, task, flags)
    if m.rule_unshare_breaks == BREAKS_NONE:
        flags &= ~FAULT_FLAG_UNSHARE
    m.act_flags[act] = flags
    if vma_is_hugetlb(m, vma):
        result = hugetlb_fault(m, act, vma)
        if result == FAULT_ALLOCATED:
            return goto(m, act, FAULT_HUGETLB_INSTALL)
        return finish(m, task, result)
    return fault_pmd_done(m, task, act, fault_pmd(m, act, vma) if m.levels > 1 else FAULT_FALLBACK)


@kernel
def hugetlb_fault_mutex_held(m: State, task: int, vma: int, addr: int) -> bool:
    """Whether another task is in a fault on the same page of the same hugetlb file: these come one after the other.

    Linux: hugetlb_fault_mutex_table over all of hugetlb_fault() (5.10 to 7.3), by a hash of file and index, by which
    some other pages wait, too.
    """
    index = hugetlb_file_index(m, vma, addr)
    for other in range(len(m.task_depth)):
        if other != task and m.task_depth[other]:
            act = current(m, other)
            if m.act_function[act] == FN_FAULT and m.act_pc[act] == FAULT_HUGETLB_INSTALL:
                its = find_vma(m, m.act_mm[act], m.act_addr[act])
                if m.vma_file[its] == m.vma_file[vma] and hugetlb_file_index(m, its, m.act_addr[act]) == index:
                    return True
    return False


@kernel
def fault_pmd_done(m: State, task: int, act: int, result: int) -> int:
    """What comes after the PMD level: another step there, the base pages, or the end."""
    if result == FAULT_ALLOCATED:
        return goto(m, act, FAULT_HUGE_INSTALL)
    if result == FAULT_COUNTED:
        return goto(m, act, FAULT_HUGE_COUNTED)
    if result != FAULT_FALLBACK:
        return finish(m, task, result)
    slot = pt_alloc(m, m.act_mm[act], m.act_addr[act], 0)
    if slot < 0:
        return finish(m, task, -ENOMEM)
    vma = find_vma(m, m.act_mm[act], m.act_addr[act])
    return handle_pte_fault(m, task, act, vma, slot)


@kernel(needs=Part.THP)
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
    if numa_hinted(m, vma, entry):
        return do_numa_page(m, vma, slot, 1)
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
    if numa_hinted(m, vma, entry):
        return finish(m, task, do_numa_page(m, vma, slot, 0))
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
    anon_vma_prepare(m, vma)
    return goto(m, act, FAULT_COPY)


@kernel(needs=Part.FILE)
def do_fault(m: State, task: int, act: int, vma: int, slot: int) -> int:
    """Nothing there yet, file behind it.

    A page of an ordinary file that is away is read without mmap_lock, and the fault starts anew: then its neighbours
    are there for fault-around.  Linux: do_read_fault(), do_cow_fault(), do_shared_fault(); filemap_fault().
    """
    addr = m.act_addr[act]
    file = m.vma_file[vma]
    index = m.vma_pgoff[vma] + addr - m.vma_start[vma]
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    if m.file_kind[file] == FILE_PAGECACHE:
        filemap_read_folio(m, file, index)
    if not write:
        do_fault_around(m, act, vma)
    page = cache_get_page(m, file, index)
    if page == NO_PAGE:
        return finish(m, task, -ENOMEM)
    if write and not m.vma_flags[vma] & VM_SHARED:
        anon_vma_prepare(m, vma)
        m.act_page[act] = page
        return goto(m, act, FAULT_COPY)
    folio_add_rmap_pte(m, m.act_mm[act], page)
    if write:
        folio_mark_dirty(m, page_folio(m, page))
        entry = pte_mkdirty(m, mk_pte(page, vm_page_prot(m, vma))) | PTE_RW
    else:
        entry = mk_read_pte(m, vma, page)
    m.pte[slot] = entry | PTE_ACCESSED
    return finish(m, task, FAULT_WROTE if write else FAULT_DONE)


@kernel
def mk_read_pte(m: State, vma: int, page: int) -> int:
    """The entry by which a read fault maps a page of the page cache.

    One that is writable at once is of shmem, all of whose pages are dirty: shmem_fallocate() and shmem_swapin_folio()
    mark them.  An ordinary file's is not, before its file system was told.
    Linux: set_pte_range(), 4e92030c05dc (6.16).
    """
    entry = mk_pte(page, vm_page_prot(m, vma))
    if entry & PTE_RW and m.rule_read_fault_dirty:
        decided(m, READ_MAPS_DIRTY)
        entry = pte_mkdirty(m, entry)
    return entry


@kernel
def do_fault_around(m: State, act: int, vma: int) -> None:
    """A read fault first maps the cached neighbours in its window.  Linux: do_fault_around(), filemap_map_pages()."""
    mm = m.act_mm[act]
    start = max(m.act_addr[act] & ~(m.fault_around - 1), m.vma_start[vma])
    end = min(start + m.fault_around, m.vma_end[vma], (start // level_pages(m, 1) + 1) * level_pages(m, 1))
    for addr in range(start, end):
        if addr == m.act_addr[act]:
            continue
        slot = pt_walk(m, mm, addr, 0)
        page = cache_lookup(m, m.vma_file[vma], m.vma_pgoff[vma] + addr - m.vma_start[vma])
        if page == NO_PAGE or m.folio_flags[page_folio(m, page)] & (FOLIO_FALLOCATED | FOLIO_READAHEAD):
            continue
        if slot >= 0 and m.pte[slot] == 0:
            map_folio_pte(m, mm, page)
            m.pte[slot] = mk_read_pte(m, vma, page)
