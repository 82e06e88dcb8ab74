"""MADV_COLLAPSE: what base pages hold is copied into a fresh THP, which is mapped in their place: mm/khugepaged.c.

For each PMD of the range: the entries are looked at with mmap_lock held for reading; the THP is allocated without it;
pages that are swapped out come in; and with mmap_lock held for writing the entries are looked at once more, and the
pages are copied.  Pages of which anybody but their mappings has a reference stay where they are: a pin makes it fail,
whether it was there at first or came between.  Pages that other processes map as well are copied like others.

Not specified: khugepaged, which does the same unasked; file memory (a trap); memory registered with userfaultfd; and up
to 6.1.7 that it goes on to the VMA's end, beyond the range, once it has let go of mmap_lock.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EAGAIN,
    EINVAL,
    ENOMEM,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_RETRY,
    FOLIO_LOCKED,
    FOLIO_LRU_BATCH,
    NO_PAGE,
    NO_VMA,
    PTE_PSE,
    PTE_RW,
    VM_HUGETLB,
    VM_NOHUGEPAGE,
)
from pinhold.mm.folio import (
    folio_alloc,
    folio_copy,
    folio_nr_pages,
    folio_put,
    folio_test_ksm,
    folio_test_swapcache,
    lru_add_drain,
    page_folio,
)
from pinhold.mm.huge_memory import map_anon_folio_pmd
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pt_walk, pte_pfn, pte_present, pte_special, pte_swapped, table_free
from pinhold.mm.rmap import folio_mapcount, folio_remove_rmap_pte
from pinhold.mm.rules.khugepaged import (
    COLLAPSE_ANY,
    COLLAPSE_GAP_STOPS,
    COLLAPSE_HELD_EINVAL,
    COLLAPSE_PART_EINVAL,
)
from pinhold.mm.sites.khugepaged import (
    COLLAPSE_COPIES,
    COLLAPSE_HELD_KEPT,
    COLLAPSE_PART_REFUSED,
    COLLAPSE_READ_ONLY_KEPT,
    COLLAPSE_STOPS_AT_GAP,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.swap import free_swap_cache
from pinhold.mm.task import (
    FN_FAULT,
    call,
    current,
    finish,
    goto,
    gup_fast_running,
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
    returned,
)
from pinhold.mm.trap import TRAP_COLLAPSE, TRAP_STAGE, trap
from pinhold.mm.vma import find_vma, vma_is_anonymous, vma_within

(
    COLLAPSE_LOCK,
    COLLAPSE_ALLOC,
    COLLAPSE_REVALIDATE,
    COLLAPSE_WRITE,
    COLLAPSE_RELOCK,
    COLLAPSE_SCAN,
    COLLAPSE_SWAPPED,
) = range(7)
COLLAPSE_READS_FROM = COLLAPSE_SCAN
"""From this stage on mmap_lock is held for reading."""

(
    SCAN_SUCCEED,
    SCAN_PMD_MAPPED,
    SCAN_FAIL,
    SCAN_PMD_NULL,
    SCAN_PMD_NONE,
    SCAN_PTE_NON_PRESENT,
    SCAN_PAGE_RO,
    SCAN_PAGE_COUNT,
    SCAN_PAGE_LRU,
    SCAN_PAGE_LOCK,
    SCAN_VMA_CHECK,
    SCAN_ALLOC_HUGE_PAGE_FAIL,
) = range(12)
"""What becomes of a PMD's memory: those of the kernel's results that can be met here.  SCAN_VMA_CHECK: it is not, or no
longer, a VMA's that is suitable."""


@kernel
def madvise_collapse(m: State, task: int) -> int:
    """One step of MADV_COLLAPSE of [act_addr, act_end), what is left.  0, or a negative errno.

    act_arg: where the VMA's part of the range ends; act_seq: why the last PMD of this VMA that failed did; act_new: the
    new THP.  Each VMA is a matter of its own, and the first of which a PMD failed ends the call.

    Linux: madvise_collapse(), 7d8faaf15545 (6.1).
    """
    act = current(m, task)
    pc = m.act_pc[act]
    if pc in (COLLAPSE_LOCK, COLLAPSE_REVALIDATE, COLLAPSE_RELOCK) and mmap_read_lock(m, m.act_mm[act]) == BLOCKED:
        return BLOCKED
    if pc == COLLAPSE_LOCK:
        return collapse_next_vma(m, task, act)
    if pc == COLLAPSE_SCAN:
        return collapse_single_pmd(m, task, act)
    if pc == COLLAPSE_ALLOC:
        return alloc_charge_folio(m, task, act)
    if pc == COLLAPSE_REVALIDATE:
        return collapse_revalidate(m, task, act)
    if pc == COLLAPSE_SWAPPED:
        return collapse_swapped(m, task, act)
    if pc == COLLAPSE_WRITE:
        return collapse_huge_page(m, task, act)
    if pc == COLLAPSE_RELOCK:
        return collapse_relocked(m, task, act)
    return trap(m, TRAP_STAGE)


@kernel
def collapse_next_vma(m: State, task: int, act: int) -> int:
    """The next VMA of the range begins, mmap_lock being held: only whole PMDs of it are meant.

    Of a part within one PMD that touches neither of its ends, up to 6.18 the count of PMDs is below 0, which is not the
    number of THPs made.
    """
    span = level_pages(m, 1)
    vma = vma_within(m, m.act_mm[act], m.act_addr[act], m.act_end[act])
    while vma != NO_VMA:
        if not collapse_possible(m, vma):
            return collapse_end(m, task, act, -EINVAL)
        start = (max(m.act_addr[act], m.vma_start[vma]) + span - 1) // span * span
        end = min(m.act_end[act], m.vma_end[vma])
        if start > end // span * span and m.rule_madv_collapse_part == COLLAPSE_PART_EINVAL:
            decided(m, COLLAPSE_PART_REFUSED)
            return collapse_end(m, task, act, -EINVAL)
        if start < end // span * span:
            lru_add_drain(m)
            m.act_addr[act] = start
            m.act_arg[act] = end
            return goto(m, act, COLLAPSE_SCAN)
        m.act_addr[act] = end
        vma = vma_within(m, m.act_mm[act], end, m.act_end[act])
    return collapse_end(m, task, act, 0)


@kernel
def collapse_end(m: State, task: int, act: int, err: int) -> int:
    """The call ends, mmap_lock being held for reading."""
    mmap_read_unlock(m, m.act_mm[act])
    return finish(m, task, err)


@kernel
def collapse_possible(m: State, vma: int) -> bool:
    """Whether the VMA's memory may be THPs, whatever the machine's setting is: it has room for one, and pages.

    Linux: thp_vma_allowable_order() (hugepage_vma_check() up to 6.6); collapse_possible() (7.3).
    """
    span = level_pages(m, 1)
    if m.levels == 1 or m.vma_flags[vma] & (VM_NOHUGEPAGE | VM_HUGETLB):
        return False
    if m.vma_end[vma] // span * span - span < m.vma_start[vma]:
        return False
    return m.vma_anon[vma] != 0 or not vma_is_anonymous(m, vma)


@kernel
def hugepage_vma_revalidate(m: State, vma: int, addr: int) -> bool:
    """Whether, mmap_lock having been let go, the address is still that of a whole PMD of a suitable VMA."""
    if vma == NO_VMA or addr < m.vma_start[vma] or addr + level_pages(m, 1) > m.vma_end[vma]:
        return False
    return collapse_possible(m, vma)


@kernel
def collapse_single_pmd(m: State, task: int, act: int) -> int:
    """Look at the PMD at act_addr, or come to the end of the VMA's part.  mmap_lock is held for reading."""
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA or addr + level_pages(m, 1) > min(m.act_arg[act], m.vma_end[vma]):
        if m.act_seq[act]:
            return collapse_end(m, task, act, madvise_collapse_errno(m, m.act_seq[act]))
        m.act_addr[act] = m.act_arg[act]
        return collapse_next_vma(m, task, act)
    if not vma_is_anonymous(m, vma):
        return trap(m, TRAP_COLLAPSE)
    result = collapse_scan_pmd(m, mm, addr)
    if result == SCAN_SUCCEED:
        mmap_read_unlock(m, mm)
        return goto(m, act, COLLAPSE_ALLOC)
    if collapse_stops(m, act, result):
        return collapse_end(m, task, act, madvise_collapse_errno(m, result))
    m.act_addr[act] += level_pages(m, 1)
    return AGAIN


@kernel
def collapse_scan_pmd(m: State, mm: int, addr: int) -> int:
    """Whether the PMD's pages can be collapsed, as far as is seen without any lock but that of the page table.

    Linux: collapse_scan_pmd() (khugepaged_scan_pmd(), hpage_collapse_scan_pmd() in between).
    """
    result = check_pmd_state(m, pt_walk(m, mm, addr, 1))
    if result != SCAN_SUCCEED:
        return result
    first = pt_walk(m, mm, addr, 0)
    for slot in range(first, first + level_pages(m, 1)):
        if has_page(m.pte[slot]):
            folio = page_folio(m, pte_pfn(m.pte[slot]))
            if m.folio_flags[folio] & FOLIO_LRU_BATCH:
                return SCAN_PAGE_LRU
            result = folio_suits(m, folio)
            if result != SCAN_SUCCEED:
                return result
    return SCAN_SUCCEED if writable_enough(m, first) else SCAN_PAGE_RO


@kernel
def has_page(entry: int) -> bool:
    """Whether the entry maps anything but the zero page."""
    return pte_present(entry) and not pte_special(entry)


@kernel
def check_pmd_state(m: State, slot: int) -> int:
    """Whether there is a table of PTEs, or else what there is.  Linux: check_pmd_state()."""
    if slot < 0:
        return SCAN_PMD_NULL
    if m.pte[slot] == 0:
        return SCAN_PMD_NONE
    return SCAN_PMD_MAPPED if m.pte[slot] & PTE_PSE else SCAN_SUCCEED


@kernel
def folio_suits(m: State, folio: int) -> int:
    """Whether nobody has locked the folio, and nothing but its mappings and the swap cache has a reference.

    Linux: folio_expected_ref_count(); is_refcount_suitable() up to 6.18.
    """
    if m.folio_flags[folio] & FOLIO_LOCKED:
        return SCAN_PAGE_LOCK
    cached = folio_nr_pages(m, folio) if folio_test_swapcache(m, folio) else 0
    if m.folio_refcount[folio] == folio_mapcount(m, folio) + cached:
        return SCAN_SUCCEED
    decided(m, COLLAPSE_HELD_KEPT)
    return SCAN_PAGE_COUNT


@kernel
def writable_enough(m: State, first: int) -> bool:
    """Whether one of the table's pages is mapped writable, where the kernel asks for that."""
    if m.rule_madv_collapse == COLLAPSE_ANY:
        return True
    for slot in range(first, first + level_pages(m, 1)):
        if has_page(m.pte[slot]) and m.pte[slot] & PTE_RW:
            return True
    decided(m, COLLAPSE_READ_ONLY_KEPT)
    return False


@kernel
def collapse_stops(m: State, act: int, result: int) -> bool:
    """Note why a PMD could not be collapsed, if so; whether the rest is not tried either."""
    if result in (SCAN_SUCCEED, SCAN_PMD_MAPPED):
        return False
    m.act_seq[act] = result
    if result == SCAN_PMD_NONE and m.rule_madv_collapse_gap == COLLAPSE_GAP_STOPS:
        decided(m, COLLAPSE_STOPS_AT_GAP)
        return True
    return result in (SCAN_FAIL, SCAN_VMA_CHECK, SCAN_ALLOC_HUGE_PAGE_FAIL)


@kernel
def madvise_collapse_errno(m: State, result: int) -> int:
    """What the caller is told.  Linux: madvise_collapse_errno()."""
    if result == SCAN_ALLOC_HUGE_PAGE_FAIL:
        return -ENOMEM
    if result == SCAN_PAGE_COUNT:
        return -EINVAL if m.rule_madv_collapse_held == COLLAPSE_HELD_EINVAL else -EAGAIN
    return -EAGAIN if result in (SCAN_PAGE_LRU, SCAN_PAGE_LOCK) else -EINVAL


@kernel
def alloc_charge_folio(m: State, task: int, act: int) -> int:
    """Allocate the THP; nothing is locked.  Linux: alloc_charge_folio() (alloc_charge_hpage() up to 6.9)."""
    m.act_new[act] = folio_alloc(m, m.bits)
    if m.act_new[act] == NO_PAGE:
        return collapse_done(m, task, act, SCAN_ALLOC_HUGE_PAGE_FAIL)
    return goto(m, act, COLLAPSE_REVALIDATE)


@kernel
def collapse_done(m: State, task: int, act: int, result: int) -> int:
    """The PMD at act_addr is done with, mmap_lock not being held; a THP that was not needed goes."""
    if result != SCAN_SUCCEED and m.act_new[act] != NO_PAGE:
        folio_put(m, m.act_new[act])
    m.act_new[act] = NO_PAGE
    if collapse_stops(m, act, result):
        return finish(m, task, madvise_collapse_errno(m, result))
    m.act_addr[act] = (m.act_addr[act] // level_pages(m, 1) + 1) * level_pages(m, 1)
    return goto(m, act, COLLAPSE_RELOCK)


@kernel
def collapse_revalidate(m: State, task: int, act: int) -> int:
    """mmap_lock is held for reading again: is it still the same memory?  Then what is swapped out comes in."""
    mm = m.act_mm[act]
    vma = find_vma(m, mm, m.act_addr[act])
    result = SCAN_VMA_CHECK
    if hugepage_vma_revalidate(m, vma, m.act_addr[act]) and vma_is_anonymous(m, vma):
        result = check_pmd_state(m, pt_walk(m, mm, m.act_addr[act], 1))
    if result == SCAN_SUCCEED:
        return collapse_swapin(m, task, act, m.act_addr[act])
    mmap_read_unlock(m, mm)
    return collapse_done(m, task, act, result)


@kernel
def collapse_swapped(m: State, task: int, act: int) -> int:
    """The page at act_addr has been faulted in, or could not be: of one that has to be waited for, as a disk is to be
    read, the PMD is given up; by the next try it is there."""
    result = returned(m, task)
    if result < 0 or result == FAULT_RETRY:
        mmap_read_unlock(m, m.act_mm[act])
        return collapse_done(m, task, act, SCAN_FAIL if result < 0 else SCAN_PAGE_LOCK)
    return collapse_swapin(m, task, act, m.act_addr[act] + 1)


@kernel
def collapse_swapin(m: State, task: int, act: int, start: int) -> int:
    """Fault in the next page from `start` on that is swapped out, up to the end of the PMD that act_addr is in.

    What came in leaves the CPU's batch at the end, which would hold it.  Linux: __collapse_huge_page_swapin().
    """
    mm = m.act_mm[act]
    first = m.act_addr[act] // level_pages(m, 1) * level_pages(m, 1)
    for addr in range(start, first + level_pages(m, 1)):
        slot = pt_walk(m, mm, addr, 0)
        if slot < 0:
            mmap_read_unlock(m, mm)
            return collapse_done(m, task, act, SCAN_PMD_NULL)
        if pte_swapped(m.pte[slot]):
            m.act_addr[act] = addr
            m.act_pc[act] = COLLAPSE_SWAPPED
            return call(m, task, FN_FAULT, mm, addr, 0, FAULT_FLAG_ALLOW_RETRY, 0)
    if m.act_pc[act] == COLLAPSE_SWAPPED:
        lru_add_drain(m)
    m.act_addr[act] = first
    mmap_read_unlock(m, mm)
    return goto(m, act, COLLAPSE_WRITE)


@kernel
def collapse_huge_page(m: State, task: int, act: int) -> int:
    """With mmap_lock held for writing: look again, copy, and map the THP.

    The kernel takes the page table out of reach first (pmdp_collapse_flush()), so that GUP-fast in the middle of its
    walk backs off, and waits for it.  Here it is let finish before: whether it has its pin or not, one of the two gives
    way, and nothing is seen of the table in between.  Copying, too, is one step.
    """
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    if gup_fast_running(m, mm) or mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    vma = find_vma(m, mm, addr)
    result = SCAN_VMA_CHECK
    if hugepage_vma_revalidate(m, vma, addr) and vma_is_anonymous(m, vma):
        upper = pt_walk(m, mm, addr, 1)
        result = check_pmd_state(m, upper)
        if result == SCAN_SUCCEED:
            result = collapse_isolate(m, pt_walk(m, mm, addr, 0))
        if result == SCAN_SUCCEED:
            collapse_copy(m, mm, pt_walk(m, mm, addr, 0), m.act_new[act])
            table_free(m, pte_pfn(m.pte[upper]))
            map_anon_folio_pmd(m, mm, vma, upper, m.act_new[act])
    mmap_write_unlock(m, mm)
    return collapse_done(m, task, act, result)


@kernel
def collapse_isolate(m: State, first: int) -> int:
    """Whether all that the table maps can be taken, now that its process cannot get at it any more.

    Each folio is locked; only a large one is known again where another entry maps it, too.  Linux:
    __collapse_huge_page_isolate().
    """
    for slot in range(first, first + level_pages(m, 1)):
        entry = m.pte[slot]
        if pte_swapped(entry):
            return SCAN_PTE_NON_PRESENT
        if has_page(entry):
            if mapped_before(m, first, slot):
                return SCAN_PAGE_LOCK
            result = folio_suits(m, page_folio(m, pte_pfn(entry)))
            if result != SCAN_SUCCEED:
                return result
    return SCAN_SUCCEED if writable_enough(m, first) else SCAN_PAGE_RO


@kernel
def mapped_before(m: State, first: int, slot: int) -> bool:
    """Whether an earlier entry of the table maps the same page, as only a KSM page can be."""
    page = pte_pfn(m.pte[slot])
    if folio_test_ksm(m, page_folio(m, page)):
        for other in range(first, slot):
            if has_page(m.pte[other]) and pte_pfn(m.pte[other]) == page:
                return True
    return False


@kernel
def collapse_copy(m: State, mm: int, first: int, new: int) -> None:
    """Copy what the table maps, and unmap it; what was not mapped, and the zero page, are zeros in the THP.

    Linux: __collapse_huge_page_copy().
    """
    decided(m, COLLAPSE_COPIES)
    for i in range(level_pages(m, 1)):
        entry = m.pte[first + i]
        m.pte[first + i] = 0
        if has_page(entry):
            page = pte_pfn(entry)
            folio = page_folio(m, page)
            folio_copy(m, page, new + i, 1)
            folio_remove_rmap_pte(m, mm, page)
            free_swap_cache(m, folio)
            folio_put(m, folio)


@kernel
def collapse_relocked(m: State, task: int, act: int) -> int:
    """On with the next PMD, if the range has one, and it is still the VMA's."""
    addr = m.act_addr[act]
    more = addr + level_pages(m, 1) <= m.act_arg[act]
    if more and not hugepage_vma_revalidate(m, find_vma(m, m.act_mm[act], addr), addr):
        return collapse_end(m, task, act, -EINVAL)
    return goto(m, act, COLLAPSE_SCAN)
