"""Structural invariants: what holds after every step under every rule row, good or bad.

The refcount equation, written out per kind: a folio's references are its PTE mappings, its PMD or hugetlb mappings,
the page cache's and the swap cache's one each, FOLL_GET references, pins (a bias each, or one each beside the
pincount), the LRU batch's, what tasks hold in flight, and one that keeps the zero page and the huge zero folio for
ever.
"""

from __future__ import annotations

from pinhold.mm.coalesce import pin_coalesced, run_pins
from pinhold.mm.file import FOLIO_CLEAN, cache_refs, hweight
from pinhold.mm.flags import (
    FOLIO_ANON,
    FOLIO_LAZYFREE,
    FOLIO_LOCKED,
    FOLIO_RESTORE_RESERVE,
    FOLIO_SWAPCACHE,
    FOLL_GET,
    FOLL_PIN,
    NO_PAGE,
    PIN_FREE,
    PTE_PSE,
    PTE_RW,
    USER_VFIO,
    ZERO_PFN,
)
from pinhold.mm.folio import folio_nr_pages, is_huge_zero_page, page_folio, page_index
from pinhold.mm.gup_fast import FAST_CHECK
from pinhold.mm.kernel import kernel
from pinhold.mm.khugepaged import COLLAPSE_READS_FROM
from pinhold.mm.ksm import KSM_LOCKS_FOLIO_UP_TO, KSM_LOCKS_MMAP
from pinhold.mm.madvise import MADVISE_DISCARDING
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn, pte_present, pte_special
from pinhold.mm.pin import GUP_PIN_COUNTING_BIAS, folio_has_pincount
from pinhold.mm.rules.pin import ZERO_PIN_NO
from pinhold.mm.state import State
from pinhold.mm.task import (
    FN_ACCESS,
    FN_ACCESS_REMOTE,
    FN_COLLAPSE,
    FN_FAULT,
    FN_FORK,
    FN_GUP_FAST,
    FN_GUP_SLOW,
    FN_KSM_MERGE,
    FN_KSM_UNMERGE,
    FN_MADVISE,
    FN_MREMAP,
    FN_PAGEOUT,
    FN_PROT_NUMA,
    FN_UFFDIO_CONTINUE,
    current,
)
from pinhold.mm.unused import unused_is_clean
from pinhold.mm.vma import vma_needs_dirty_tracking
from pinhold.mm.vmscan import PAGEOUT_UNMAP, PAGEOUT_WRITE

(
    INVARIANT_OK,
    BAD_REFCOUNT,
    BAD_PINCOUNT,
    BAD_PAGE_MAPCOUNT,
    BAD_ENTIRE_MAPCOUNT,
    BAD_LARGE_MAPCOUNT,
    BAD_SWAP_COUNT,
    BAD_SWAP_CACHE,
    BAD_STRAY_ENTRY,
    BAD_HUGETLB_POOL,
    BAD_HUGETLB_RESERVE,
    BAD_LOCKS,
    BAD_FILE_USERS,
    BAD_CHARGE,
    BAD_UNUSED,
    BAD_DIRTY,
    BAD_LAZYFREE,
) = range(17)

INVARIANTS = (
    "all invariants hold",
    "a folio's reference count is not what refers to it",
    "a folio's pin count is not what pins it",
    "a page's mapcount is not the number of its PTEs",
    "a folio's entire mapcount is not the number of its huge entries",
    "a large folio's mapcount is not the sum of its mappings",
    "a swap slot's count is not the number of its entries",
    "the swap cache and its folio disagree",
    "a page table has an entry outside every VMA",
    "the hugetlb pool has lost or gained a page",
    "the hugetlb reserve is not the sum of the VMAs' reserves and of what was lost, less what pages give back",
    "a lock is not held by those who took it",
    "a file has fewer users than mappings",
    "the locked memory charged is not what the pins were charged",
    "something that is not in use remembers what it was",
    "a page of a file that tracks dirtying is clean and mapped writable",
    "a lazyfree page is not anonymous, or in the swap cache",
)


@kernel
def check_invariants(m: State) -> int:
    """INVARIANT_OK, or the number of the first invariant that is broken."""
    clear_scratch(m)
    leaves = count_mappings(m)
    count_caches(m)
    count_pins(m)
    count_in_flight(m)
    bad = check_tables(m, leaves)
    if bad == INVARIANT_OK:
        bad = check_folios(m)
    if bad == INVARIANT_OK:
        bad = check_swap(m)
    if bad == INVARIANT_OK:
        bad = check_hugetlb(m)
    if bad == INVARIANT_OK:
        bad = check_locks(m)
    if bad == INVARIANT_OK:
        bad = check_files(m)
    if bad == INVARIANT_OK:
        bad = check_charges(m)
    if bad == INVARIANT_OK and not unused_is_clean(m):
        bad = BAD_UNUSED
    if bad == INVARIANT_OK:
        bad = check_dirty_tracking(m)
    if bad == INVARIANT_OK:
        bad = check_lazyfree(m)
    return bad


@kernel
def clear_scratch(m: State) -> None:
    for i in range(len(m.folio_refcount)):
        m.scratch_refs[i] = 0
        m.scratch_maps[i] = 0
        m.scratch_entire[i] = 0
        m.scratch_pins[i] = 0
    for i in range(len(m.swap_count)):
        m.scratch_swap[i] = 0


@kernel
def count_mappings(m: State) -> int:
    """Walk every VMA; the number of leaves found."""
    leaves = 0
    for vma in range(len(m.vma_end)):
        mm = vma // m.vmas_per_mm
        addr = m.vma_start[vma]
        while addr < m.vma_end[vma]:
            slot, level = pt_leaf(m, mm, addr)
            entry = m.pte[slot]
            if entry:
                leaves += 1
                count_entry(m, entry)
            addr = (addr // level_pages(m, level) + 1) * level_pages(m, level)
    return leaves


@kernel
def count_entry(m: State, entry: int) -> None:
    if not pte_present(entry):
        m.scratch_swap[pte_pfn(entry)] += 1
    elif not pte_special(entry) and not is_huge_zero_page(m, pte_pfn(entry)):
        folio = page_folio(m, pte_pfn(entry))
        m.scratch_refs[folio] += 1
        if entry & PTE_PSE:
            m.scratch_entire[folio] += 1
        else:
            m.scratch_maps[page_index(m, pte_pfn(entry))] += 1


@kernel
def count_caches(m: State) -> None:
    """The page cache, the swap cache, the LRU batch, and the references that never go."""
    for slot in range(len(m.cache_page)):
        if m.cache_page[slot] != NO_PAGE:
            folio = page_folio(m, m.cache_page[slot])
            m.scratch_refs[folio] += cache_refs(m, folio)
    for folio in range(len(m.folio_flags)):
        if m.folio_flags[folio] & FOLIO_SWAPCACHE:
            m.scratch_refs[folio] += folio_nr_pages(m, folio)
    for i in range(m.lru_batch[0]):
        m.scratch_refs[m.lru_batch_page[i]] += 1
    m.scratch_refs[ZERO_PFN] += 1
    if m.huge_zero_page[0] != NO_PAGE:
        m.scratch_refs[m.huge_zero_page[0]] += 1


@kernel
def count_pins(m: State) -> None:
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] != PIN_FREE:
            base = pin * m.runs_per_pin
            coalesced = pin_coalesced(m, pin)
            for run in range(base, base + m.pin_runs[pin]):
                count = run_pins(m, pin, run) if coalesced else m.run_count[run]
                count_grab(m, m.run_page[run], count, m.pin_flags[pin])


@kernel
def count_grab(m: State, page: int, count: int, flags: int) -> None:
    folio = page_folio(m, page)
    if flags & FOLL_GET:
        m.scratch_refs[folio] += count
    elif flags & FOLL_PIN and not (page == ZERO_PFN and m.rule_zero_page_pin_exempt != ZERO_PIN_NO):
        if folio_has_pincount(m, folio):
            m.scratch_refs[folio] += count
            m.scratch_pins[folio] += count
        else:
            m.scratch_refs[folio] += count * GUP_PIN_COUNTING_BIAS


@kernel
def count_in_flight(m: State) -> None:
    """What the activation records of running tasks hold."""
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            function = m.act_function[act]
            page = m.act_page[act]
            if function == FN_GUP_FAST and m.act_pc[act] == FAST_CHECK:
                count_grab(m, page, m.act_new[act], m.act_flags[act])
            if function == FN_ACCESS_REMOTE and page != NO_PAGE:
                m.scratch_refs[page_folio(m, page)] += 1
            if function in (FN_FAULT, FN_PAGEOUT, FN_FORK, FN_KSM_MERGE) and page not in (NO_PAGE, ZERO_PFN):
                m.scratch_refs[page_folio(m, page)] += 1
            if function in (FN_FAULT, FN_FORK, FN_KSM_MERGE, FN_COLLAPSE) and m.act_new[act] != NO_PAGE:
                m.scratch_refs[page_folio(m, m.act_new[act])] += 1


@kernel
def check_tables(m: State, leaves: int) -> int:
    """Every entry is a leaf inside a VMA or names one of the tables below the processes' top tables."""
    entries = 0
    for slot in range(len(m.pte)):
        if m.pte[slot]:
            entries += 1
    tables = 0
    for table in range(len(m.table_used)):
        tables += m.table_used[table]
    for mm in range(len(m.mm_alive)):
        tables -= m.mm_alive[mm]
    return INVARIANT_OK if entries == leaves + tables else BAD_STRAY_ENTRY


@kernel
def check_folios(m: State) -> int:
    sum_of_maps = 0
    for page in range(len(m.folio_refcount)):
        if m.page_mapcount[page] != m.scratch_maps[page]:
            return BAD_PAGE_MAPCOUNT
        if page < m.nr_pages and m.page_offset[page]:
            sum_of_maps += m.scratch_maps[page]
        else:
            sum_of_maps = m.scratch_maps[page]
        if m.folio_refcount[page] != m.scratch_refs[page]:
            return BAD_REFCOUNT
        if m.folio_pincount[page] != m.scratch_pins[page]:
            return BAD_PINCOUNT
        if m.folio_entire_mapcount[page] != m.scratch_entire[page]:
            return BAD_ENTIRE_MAPCOUNT
        last = page == m.nr_pages - 1 or page >= m.nr_pages or m.page_offset[page + 1] == 0
        if last and not large_mapcount_right(m, page, sum_of_maps):
            return BAD_LARGE_MAPCOUNT
    return INVARIANT_OK


@kernel
def large_mapcount_right(m: State, last: int, sum_of_maps: int) -> bool:
    folio = last - m.page_offset[last] if last < m.nr_pages else last
    if m.folio_order[folio] == 0:
        return m.folio_large_mapcount[folio] == 0
    return m.folio_large_mapcount[folio] == sum_of_maps + m.folio_entire_mapcount[folio]


@kernel
def check_swap(m: State) -> int:
    for slot in range(len(m.swap_count)):
        if m.swap_count[slot] != m.scratch_swap[slot]:
            return BAD_SWAP_COUNT
        page = m.swap_page[slot]
        if page != NO_PAGE:
            folio = page_folio(m, page)
            if m.folio_swap[folio] + page - folio != slot or not m.folio_flags[folio] & FOLIO_SWAPCACHE:
                return BAD_SWAP_CACHE
    return INVARIANT_OK


@kernel
def check_hugetlb(m: State) -> int:
    reserved = 0
    for vma in range(len(m.vma_end)):
        reserved += hweight(m.vma_reserve[vma])
    for file in range(len(m.file_reserve)):
        reserved += hweight(m.file_reserve[file])
    lost = m.hugetlb_lost[0] + m.hugetlb_lost[1]
    for folio in range(m.nr_pages, m.nr_pages + m.nr_hugetlb):
        if m.folio_flags[folio] & FOLIO_RESTORE_RESERVE:
            reserved -= 1
    if reserved + lost != m.hugetlb_reserved[0] + m.hugetlb_reserved[1]:
        return BAD_HUGETLB_RESERVE
    free = m.hugetlb_free[0] + m.hugetlb_free[1]
    for folio in range(m.nr_pages, m.nr_pages + m.nr_hugetlb):
        if m.folio_refcount[folio]:
            free += 1
    if free != m.nr_hugetlb:
        return BAD_HUGETLB_POOL
    for hstate in range(2):
        if m.hugetlb_reserved[hstate] > m.hugetlb_free[hstate]:
            return BAD_HUGETLB_POOL
    return INVARIANT_OK


@kernel
def check_locks(m: State) -> int:
    """Who has mmap_lock, write_protect_seq and folio locks is known from where each task is."""
    locked = 0
    for task in range(len(m.task_depth)):
        fast = m.task_depth[task] > 0 and m.act_function[current(m, task)] == FN_GUP_FAST
        if m.task_irqs_off[task] and not fast:
            return BAD_LOCKS
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            function = m.act_function[act]
            pc = m.act_pc[act]
            if function == FN_PAGEOUT and pc in (PAGEOUT_UNMAP, PAGEOUT_WRITE):
                locked += 1
            if function == FN_KSM_MERGE and KSM_LOCKS_MMAP <= pc <= KSM_LOCKS_FOLIO_UP_TO:
                locked += 1
    for mm in range(len(m.mm_alive)):
        if not mmap_lock_right(m, mm):
            return BAD_LOCKS
    for folio in range(len(m.folio_flags)):
        if m.folio_flags[folio] & FOLIO_LOCKED:
            locked -= 1
    return INVARIANT_OK if locked == 0 else BAD_LOCKS


@kernel
def mmap_lock_right(m: State, mm: int) -> bool:
    """Whether mmap_lock is held by as many as are where it is held, and write_protect_seq by those in fork()."""
    readers = m.mm_readers[mm]
    writers = m.mm_writer[mm]
    forks = m.mm_write_protect_seq[mm]
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            if m.act_mm[act] == mm and m.act_pc[act] != 0:
                function = m.act_function[act]
                if function == FN_FORK:
                    forks -= 1
                    writers -= 1
                elif function in (FN_KSM_UNMERGE, FN_MREMAP):
                    writers -= 1
                elif reads_mm(function, m.act_pc[act]):
                    readers -= 1
    return readers == 0 and writers == 0 and forks == 0


@kernel
def reads_mm(function: int, pc: int) -> bool:
    """Whether an operation that has begun holds mmap_lock for reading there."""
    if function == FN_KSM_MERGE:
        return pc >= KSM_LOCKS_MMAP
    if function == FN_MADVISE:
        return pc == MADVISE_DISCARDING
    if function == FN_COLLAPSE:
        return pc >= COLLAPSE_READS_FROM
    if function in (FN_UFFDIO_CONTINUE, FN_PROT_NUMA):
        return True
    return function in (FN_ACCESS, FN_GUP_SLOW, FN_PAGEOUT, FN_ACCESS_REMOTE)


@kernel
def check_files(m: State) -> int:
    for file in range(len(m.file_users)):
        users = m.file_users[file]
        for vma in range(len(m.vma_end)):
            if m.vma_end[vma] and m.vma_file[vma] == file:
                users -= 1
        if users < 0:
            return BAD_FILE_USERS
    return INVARIANT_OK


@kernel
def check_charges(m: State) -> int:
    """RLIMIT_MEMLOCK's counters are the sums of what the pins were charged."""
    total = m.user_locked_vm[0]
    for pin in range(len(m.pin_state)):
        total -= m.pin_user_charge[pin]
    if total:
        return BAD_CHARGE
    for mm in range(len(m.mm_alive)):
        locked = m.mm_locked_vm[mm]
        pinned = m.mm_pinned_vm[mm]
        for pin in range(len(m.pin_state)):
            if m.pin_mm[pin] == mm:
                if m.pin_user[pin] == USER_VFIO:
                    locked -= m.pin_charge[pin]
                else:
                    pinned -= m.pin_charge[pin]
        if locked or pinned:
            return BAD_CHARGE
    return INVARIANT_OK


@kernel
def check_dirty_tracking(m: State) -> int:
    """What can be written through a shared mapping without a fault is dirty already."""
    for vma in range(len(m.vma_end)):
        if m.vma_end[vma] and vma_needs_dirty_tracking(m, vma):
            for addr in range(m.vma_start[vma], m.vma_end[vma]):
                slot, level = pt_leaf(m, vma // m.vmas_per_mm, addr)
                entry = m.pte[slot]
                if (
                    level == 0
                    and pte_present(entry)
                    and entry & PTE_RW
                    and m.folio_dirty[pte_pfn(entry)] == FOLIO_CLEAN
                ):
                    return BAD_DIRTY
    return INVARIANT_OK


@kernel
def check_lazyfree(m: State) -> int:
    for folio in range(len(m.folio_flags)):
        flags = m.folio_flags[folio]
        if flags & FOLIO_LAZYFREE and flags & (FOLIO_ANON | FOLIO_SWAPCACHE) != FOLIO_ANON:
            return BAD_LAZYFREE
    return INVARIANT_OK
