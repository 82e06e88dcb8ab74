"""Safety properties: what a bad rule violates.  They are verdicts, not invariants: a historic kernel may break them."""

from __future__ import annotations

from pinhold.mm.file import FOLIO_WRITTEN_CLEAN
from pinhold.mm.flags import (
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_WRITE,
    NO_ADDR,
    NO_PAGE,
    NO_VMA,
    PIN_LIVE,
    PTE_RW,
    VM_SHARED,
    ZERO_PFN,
)
from pinhold.mm.folio import folio_test_anon, is_huge_zero_page, is_zero_page, page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pt_leaf, pt_leaf_level, pte_pfn, pte_present, pte_swapped
from pinhold.mm.rmap import page_mapped_count
from pinhold.mm.state import State
from pinhold.mm.task import FN_ACCESS_REMOTE
from pinhold.mm.vma import find_vma

(
    EXCLUSIVE_MAPPED_ONCE,
    ZERO_PAGE_STAYS_ZERO,
    CACHE_UNTOUCHED_BY_PRIVATE,
    PRIVATE_WRITES_UNSEEN,
    LONGTERM_PIN_RELIABLE,
    FILE_WRITES_TOLD,
    WRITE_PIN_RELIABLE,
) = (1 << i for i in range(7))

PROPERTIES = {
    EXCLUSIVE_MAPPED_ONCE: "an exclusive page is mapped more than once",
    ZERO_PAGE_STAYS_ZERO: "the zero page is not zero any more",
    CACHE_UNTOUCHED_BY_PRIVATE: "the page cache can be written through a private mapping",
    PRIVATE_WRITES_UNSEEN: "a process's private writes can be seen by another",
    LONGTERM_PIN_RELIABLE: "a long-term pin no longer holds the page that its owner sees",
    FILE_WRITES_TOLD: "a device has written to a clean page of a file that tracks dirtying",
    WRITE_PIN_RELIABLE: "a short pin for writing no longer holds the page that its owner sees",
}

NAMES = {
    "exclusive_mapped_once": EXCLUSIVE_MAPPED_ONCE,
    "zero_page_stays_zero": ZERO_PAGE_STAYS_ZERO,
    "cache_untouched_by_private": CACHE_UNTOUCHED_BY_PRIVATE,
    "private_writes_unseen": PRIVATE_WRITES_UNSEEN,
    "longterm_pin_reliable": LONGTERM_PIN_RELIABLE,
    "file_writes_told": FILE_WRITES_TOLD,
    "write_pin_reliable": WRITE_PIN_RELIABLE,
}
"""What each is called where one is asked for."""


@kernel
def check_properties(m: State) -> int:
    """The violated properties, as a set of bits."""
    violated = check_zero_pages(m) | check_exclusive(m) | check_entries(m) | check_pins(m) | check_forced_writes(m)
    return violated | check_dirty(m)


def violated_properties(m: State) -> list[int]:
    """The violated properties, one by one."""
    violated = check_properties(m)
    return [bit for bit in PROPERTIES if violated & bit]


@kernel
def check_zero_pages(m: State) -> int:
    if m.page_content[ZERO_PFN]:
        return ZERO_PAGE_STAYS_ZERO
    if m.huge_zero_page[0] >= 0:
        for page in range(m.huge_zero_page[0], m.huge_zero_page[0] + level_pages(m, 1)):
            if m.page_content[page]:
                return ZERO_PAGE_STAYS_ZERO
    return 0


@kernel
def check_exclusive(m: State) -> int:
    for page in range(len(m.page_exclusive)):
        if m.page_exclusive[page]:
            folio = page_folio(m, page) if page < m.nr_pages else page
            if m.page_mapcount[page] + m.folio_entire_mapcount[folio] > 1:
                return EXCLUSIVE_MAPPED_ONCE
    return 0


@kernel
def check_entries(m: State) -> int:
    """Writable entries of private mappings: only of anonymous pages that nobody else maps."""
    violated = 0
    for vma in range(len(m.vma_end)):
        if m.vma_flags[vma] & VM_SHARED:
            continue
        mm = vma // m.vmas_per_mm
        addr = m.vma_start[vma]
        while addr < m.vma_end[vma]:
            slot, level = pt_leaf(m, mm, addr)
            entry = m.pte[slot]
            if pte_present(entry) and entry & PTE_RW:
                page = pte_pfn(entry)
                if not folio_test_anon(m, page_folio(m, page)):
                    violated |= CACHE_UNTOUCHED_BY_PRIVATE
                elif page_mapped_count(m, page) > 1:
                    violated |= PRIVATE_WRITES_UNSEEN
            addr = (addr // level_pages(m, level) + 1) * level_pages(m, level)
    return violated


@kernel
def check_forced_writes(m: State) -> int:
    """What a forced write through a private mapping is about to write to."""
    for act in range(len(m.act_function)):
        if m.act_function[act] == FN_ACCESS_REMOTE and m.act_page[act] != NO_PAGE:
            vma = find_vma(m, m.act_mm[act], m.act_addr[act])
            if vma != NO_VMA and not m.vma_flags[vma] & VM_SHARED:
                return written_by_private(m, m.act_page[act])
    return 0


@kernel
def written_by_private(m: State, page: int) -> int:
    """What it means that a page is to be written on behalf of a private mapping."""
    if is_zero_page(page) or is_huge_zero_page(m, page):
        return ZERO_PAGE_STAYS_ZERO
    return 0 if folio_test_anon(m, page_folio(m, page)) else CACHE_UNTOUCHED_BY_PRIVATE


@kernel
def check_pins(m: State) -> int:
    violated = 0
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] == PIN_LIVE:
            base = pin * m.runs_per_pin
            for run in range(base, base + m.pin_runs[pin]):
                violated |= check_run(m, pin, m.run_addr[run], m.run_page[run], m.run_count[run])
    return violated


@kernel
def check_run(m: State, pin: int, addr: int, page: int, left: int) -> int:
    """`left` pages of a folio that a pin holds, entry by entry; those that their owner has taken away, one by one,
    but for a hugetlb page, whose state is one."""
    violated = 0
    while left > 0:
        if addr == NO_ADDR:
            count = 1 if page < m.nr_pages else left
        else:
            span = level_pages(m, pt_leaf_level(m, m.pin_mm[pin], addr))
            count = min(left, span - (addr & (span - 1)))
        violated |= check_pinned_pages(m, pin, addr, page)
        left -= count
        page += count
        if addr != NO_ADDR:
            addr += count
    return violated


@kernel
def check_pinned_pages(m: State, pin: int, addr: int, page: int) -> int:
    """The pages of a pin under one entry: still the owner's, not writable by another process, not the file's if
    pinned for a private write.

    What is pinned for reading and not for long is a snapshot: the owner may have another page by now.  What is pinned
    for writing, for however long, is not, since 6c287605fd56 (5.19): an exclusive page stays so while it may be pinned.
    What FOLL_GET holds was never promised anything (Documentation/core-api/pin_user_pages.rst).
    """
    violated = 0
    anon = folio_test_anon(m, page_folio(m, page))
    mm = m.pin_mm[pin]
    if anon and written_by_another(m, mm, page):
        violated |= PRIVATE_WRITES_UNSEEN
    if addr == NO_ADDR:
        return violated
    if m.pin_flags[pin] & FOLL_PIN and mapped_page(m, mm, addr) != page:
        if m.pin_flags[pin] & FOLL_LONGTERM:
            violated |= LONGTERM_PIN_RELIABLE
        elif m.pin_flags[pin] & FOLL_WRITE:
            violated |= WRITE_PIN_RELIABLE
    vma = find_vma(m, mm, addr)
    if m.pin_flags[pin] & FOLL_WRITE and vma != NO_VMA and not m.vma_flags[vma] & VM_SHARED:
        violated |= written_by_private(m, page)
    return violated


@kernel
def mapped_page(m: State, mm: int, addr: int) -> int:
    """The page that the process sees at an address, or -1; of a swap entry what the swap cache still has, which a fault
    brings back."""
    slot, level = pt_leaf(m, mm, addr)
    if pte_swapped(m.pte[slot]):
        return m.swap_page[pte_pfn(m.pte[slot])]
    if not pte_present(m.pte[slot]):
        return -1
    return pte_pfn(m.pte[slot]) + (addr & (level_pages(m, level) - 1))


@kernel
def written_by_another(m: State, owner: int, page: int) -> bool:
    """Whether another process than the pin's owner has the page mapped writable."""
    if is_zero_page(page) or page_mapped_count(m, page) == 0:
        return False
    for vma in range(len(m.vma_end)):
        mm = vma // m.vmas_per_mm
        if mm == owner or m.vma_end[vma] == 0:
            continue
        addr = m.vma_start[vma]
        while addr < m.vma_end[vma]:
            slot, level = pt_leaf(m, mm, addr)
            entry = m.pte[slot]
            if pte_present(entry) and entry & PTE_RW and covers(m, entry, level, page):
                return True
            addr = (addr // level_pages(m, level) + 1) * level_pages(m, level)
    return False


@kernel
def covers(m: State, entry: int, level: int, page: int) -> bool:
    """Whether a leaf maps the page."""
    first = pte_pfn(entry)
    return first <= page < first + level_pages(m, level)


@kernel
def check_dirty(m: State) -> int:
    for folio in range(m.nr_pages):
        if m.folio_dirty[folio] == FOLIO_WRITTEN_CLEAN:
            return FILE_WRITES_TOLD
    return 0
