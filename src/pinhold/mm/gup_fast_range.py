"""GUP-fast as one loop, for a task that nobody interrupts: what the walk of gup_fast.py comes to when all its atomic
pieces follow each other.

It is here to be fast: 1 GiB is 262,144 pages.  Tests show that it leaves the state that the pieces leave.
"""

from __future__ import annotations

from pinhold.mm.flags import FOLIO_ANON, FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE, PTE_PRESENT, PTE_RW, PTE_SPECIAL
from pinhold.mm.folio import page_folio
from pinhold.mm.gup_fast import fast_entry_allowed, gup_fast_leaf_allowed
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn
from pinhold.mm.pin import GUP_PIN_COUNTING_BIAS, pin_record, try_grab_folio
from pinhold.mm.rules.gup import DIRTY_TRACKED_ALLOWED
from pinhold.mm.sites.gup import FAST_FALLS_BACK, FAST_FORK_SEEN, FAST_PINNED
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.task import current, finish


@kernel
def gup_fast_whole(m: State, task: int) -> int:
    """All steps of gup_fast() at once.  Result: the address up to which pages are held.

    Linux: gup_fast() (lockless_pages_from_mm(), internal_get_user_pages_fast() up to 6.9).
    """
    act = current(m, task)
    mm = m.act_mm[act]
    flags = m.act_flags[act]
    if m.rule_write_protect_seq and flags & FOLL_PIN and m.mm_write_protect_seq[mm]:
        decided(m, FAST_FORK_SEEN)
        return finish(m, task, m.act_addr[act])
    return finish(m, task, gup_fast_pgd_range(m, mm, m.act_addr[act], m.act_end[act], flags, m.act_arg[act]))


@kernel
def gup_fast_pgd_range(m: State, mm: int, addr: int, end: int, flags: int, pin: int) -> int:
    """Pin [addr, end) up to the first page that the slow path has to look at; gives its address.

    Linux: gup_fast_pgd_range() and its kin for each level (gup_pgd_range() up to 6.9).
    """
    while addr < end:
        slot, level = pt_leaf(m, mm, addr)
        pages = level_pages(m, level)
        if level > 0:
            offset = addr & (pages - 1)
            wanted = min(pages - offset, end - addr)
            held = wanted if gup_fast_leaf(m, addr, m.pte[slot], level, offset, wanted, flags, pin) else 0
        else:
            wanted = min((1 << m.bits) - (slot & ((1 << m.bits) - 1)), end - addr)
            held = gup_fast_table(m, addr, slot, wanted, flags, pin)
        addr += held
        if held < wanted:
            break
    return addr


@kernel
def gup_fast_table(m: State, addr: int, slot: int, count: int, flags: int, pin: int) -> int:
    """Pin what `count` entries of one table map; gives how many."""
    held = 0
    while held < count:
        held += gup_fast_small(m, addr + held, slot + held, count - held, flags, pin)
        if held < count:
            if not gup_fast_leaf(m, addr + held, m.pte[slot + held], 0, 0, 1, flags, pin):
                break
            held += 1
    return held


@kernel
def gup_fast_small(m: State, addr: int, slot: int, count: int, flags: int, pin: int) -> int:
    """Pin what the first of `count` entries map, as long as each maps a folio of one page, writable; gives how many.

    That is most memory, and of it nothing has to be asked page by page that the flags and the rules do not say before:
    every page begins a run of the pin's, and counts as any other.
    """
    if not flags & FOLL_PIN:
        return 0
    wanted = FOLL_PIN | FOLL_LONGTERM | FOLL_WRITE
    tracked = m.rule_longterm_dirty_tracked != DIRTY_TRACKED_ALLOWED and flags & wanted == wanted
    kind = FOLIO_ANON if tracked else 0
    run = pin * m.runs_per_pin + m.pin_runs[pin]
    room = min(count, m.runs_per_pin - m.pin_runs[pin])
    held = 0
    while held < room:
        entry = m.pte[slot + held]
        page = pte_pfn(entry)
        if entry & (PTE_PRESENT | PTE_RW | PTE_SPECIAL) != PTE_PRESENT | PTE_RW or page >= m.nr_pages:
            break
        if m.page_offset[page] or m.folio_order[page] or m.folio_flags[page] & kind != kind:
            break
        if m.folio_refcount[page] <= 0:
            break
        m.folio_refcount[page] += GUP_PIN_COUNTING_BIAS
        m.run_page[run + held] = page
        m.run_count[run + held] = 1
        m.run_addr[run + held] = addr + held
        held += 1
    m.pin_runs[pin] += held
    m.pin_count[pin] += held
    if held:
        decided(m, FAST_PINNED)
    return held


@kernel
def gup_fast_leaf(m: State, addr: int, entry: int, level: int, offset: int, count: int, flags: int, pin: int) -> bool:
    """Pin `count` pages of what the entry maps, from its page number `offset` on, or none of them."""
    page = pte_pfn(entry) + offset
    good = fast_entry_allowed(entry, flags) and m.folio_refcount[page_folio(m, page)] > 0
    good = good and gup_fast_leaf_allowed(m, level, entry, page, flags)
    if not good or not pin_record(m, pin, addr, page, count):
        decided(m, FAST_FALLS_BACK)
        return False
    try_grab_folio(m, page, count, flags)
    decided(m, FAST_PINNED)
    return True
