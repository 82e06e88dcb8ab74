"""GUP-fast: pin without mmap_lock, walking the tables with interrupts off: mm/gup.c.

Per leaf: load the entry, grab the folio, look whether the entry is still the same, ask gup_must_unshare without a VMA.
Any "no" ends the walk and the slow path does the rest.  A fork that write-protects meanwhile is seen by
write_protect_seq, and everything is let go again.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    AGAIN,
    FILE_PAGECACHE,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_WRITE,
    NO_FILE,
    NO_PAGE,
    NO_VMA,
    PTE_PRESENT,
    PTE_RW,
    PTE_SPECIAL,
)
from pinhold.mm.folio import folio_test_anon, page_folio
from pinhold.mm.follow import gup_must_unshare
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn
from pinhold.mm.pin import gup_put_folio, pin_drop, pin_record, try_grab_folio
from pinhold.mm.rules.gup import DIRTY_TRACKED_ALLOWED
from pinhold.mm.sites.gup import (
    FAST_DIRTY_TRACKED_REFUSED,
    FAST_ENTRY_CHANGED,
    FAST_FALLS_BACK,
    FAST_FORK_SEEN,
    FAST_PINNED,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.task import current, finish
from pinhold.mm.trap import TRAP_LEVEL, TRAP_STAGE, trap

FAST_START, FAST_LOAD, FAST_GRAB, FAST_CHECK, FAST_END = 0, 1, 2, 3, 4


@kernel
def gup_fast(m: State, task: int) -> int:
    """One step of the lockless walk.  act_addr … act_end: what is left; act_entry: the entry that was loaded;
    act_page, act_new: what was grabbed from it (page and count); act_arg: the pin.  Result: the address up to which
    pages are held.

    Linux: gup_fast() (lockless_pages_from_mm(), internal_get_user_pages_fast() up to 6.9).
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == FAST_START:
        if m.rule_write_protect_seq and m.act_flags[act] & FOLL_PIN and m.mm_write_protect_seq[mm]:
            decided(m, FAST_FORK_SEEN)
            return finish(m, task, m.act_addr[act])
        m.task_irqs_off[task] = 1
        m.act_pc[act] = FAST_LOAD
        return AGAIN
    left = m.batch
    while left > 0 and m.act_pc[act] != FAST_END:
        fast_walk(m, act)
        left -= 1
    if m.act_pc[act] != FAST_END:
        return AGAIN
    m.task_irqs_off[task] = 0
    return fast_end(m, task, act)


@kernel
def fast_walk(m: State, act: int) -> None:
    """The next atomic piece of the walk."""
    pc = m.act_pc[act]
    if pc == FAST_LOAD:
        if m.act_addr[act] >= m.act_end[act]:
            m.act_pc[act] = FAST_END
        else:
            fast_load(m, act)
    elif pc == FAST_GRAB:
        fast_grab(m, act)
    elif pc == FAST_CHECK:
        fast_check(m, act)
    else:
        trap(m, TRAP_STAGE)


@kernel
def fast_load(m: State, act: int) -> None:
    """Read the entry once."""
    addr = m.act_addr[act]
    slot, level = pt_leaf(m, m.act_mm[act], addr)
    entry = m.pte[slot]
    if not fast_entry_allowed(entry, m.act_flags[act]):
        decided(m, FAST_FALLS_BACK)
        m.act_pc[act] = FAST_END
        return
    pages = level_pages(m, level)
    offset = addr & (pages - 1)
    m.act_entry[act] = entry
    m.act_page[act] = pte_pfn(entry) + offset
    m.act_new[act] = min(pages - offset, m.act_end[act] - addr)
    m.act_pc[act] = FAST_GRAB


@kernel
def fast_entry_allowed(entry: int, flags: int) -> bool:
    """Not accessible, not writable for a write, or special: the slow path's business.

    The 4 KiB zero page is always special, the huge zero folio since d82d09e48219 (6.18).
    """
    if not entry & PTE_PRESENT or entry & PTE_SPECIAL:
        return False
    return entry & PTE_RW != 0 or not flags & FOLL_WRITE


@kernel
def fast_grab(m: State, act: int) -> None:
    """Take references, unless the folio was freed since the entry was read: what has none is not revived.

    Linux: try_grab_folio_fast() (try_grab_folio() up to 6.9), folio_ref_try_add().
    """
    if m.folio_refcount[page_folio(m, m.act_page[act])] == 0:
        decided(m, FAST_FALLS_BACK)
        m.act_page[act] = NO_PAGE
        m.act_new[act] = NO_PAGE
        m.act_pc[act] = FAST_END
        return
    try_grab_folio(m, m.act_page[act], m.act_new[act], m.act_flags[act])
    m.act_pc[act] = FAST_CHECK


@kernel
def fast_check(m: State, act: int) -> None:
    """Grabbed: is the entry still what it was, and may the page be pinned without more ado?"""
    page = m.act_page[act]
    count = m.act_new[act]
    slot, level = pt_leaf(m, m.act_mm[act], m.act_addr[act])
    good = False
    if m.pte[slot] != m.act_entry[act]:
        decided(m, FAST_ENTRY_CHANGED)
    else:
        good = gup_fast_leaf_allowed(m, level, m.pte[slot], page, m.act_flags[act])
    if good and pin_record(m, m.act_arg[act], m.act_addr[act], page, count):
        decided(m, FAST_PINNED)
        m.act_addr[act] += count
        m.act_entry[act] = 0
        m.act_pc[act] = FAST_LOAD
    else:
        decided(m, FAST_FALLS_BACK)
        gup_put_folio(m, page, count, m.act_flags[act])
        m.act_pc[act] = FAST_END
    m.act_page[act] = NO_PAGE
    m.act_new[act] = NO_PAGE


@kernel
def gup_fast_leaf_allowed(m: State, level: int, entry: int, page: int, flags: int) -> bool:
    """Whether the fast path may pin `page`, which the entry of that level maps; asked when its folio is grabbed."""
    if not gup_fast_folio_allowed(m, page, flags):
        decided(m, FAST_DIRTY_TRACKED_REFUSED)
        return False
    if level == 0:
        return gup_fast_pte_range(m, entry, flags)
    if level == 1:
        return gup_fast_pmd_leaf(m, entry, flags)
    if level == 2:
        return gup_fast_pud_leaf(m, entry, flags)
    trap(m, TRAP_LEVEL)
    return False


@kernel
def gup_fast_pte_range(m: State, entry: int, flags: int) -> bool:
    """Whether what a PTE maps is pinned without unsharing it; there is no VMA to ask.

    Linux: gup_fast_pte_range() (gup_pte_range() up to 6.9), the last that it asks of each entry.
    """
    return entry & PTE_RW != 0 or not gup_must_unshare(m, NO_VMA, flags, pte_pfn(entry))


@kernel
def gup_fast_pmd_leaf(m: State, entry: int, flags: int) -> bool:
    """The same of what a PMD maps: a THP, the huge zero folio, or hugetlb.

    Linux: gup_fast_pmd_leaf() (gup_huge_pmd() up to 6.9).  gup_hugepte(), which the seed's patch changes alike, is for
    huge pages of sizes that no level has: it is not built on x86-64.
    """
    return entry & PTE_RW != 0 or not gup_must_unshare(m, NO_VMA, flags, pte_pfn(entry))


@kernel
def gup_fast_pud_leaf(m: State, entry: int, flags: int) -> bool:
    """The same of what a PUD maps: hugetlb.  Linux: gup_fast_pud_leaf() (gup_huge_pud() up to 6.9)."""
    return entry & PTE_RW != 0 or not gup_must_unshare(m, NO_VMA, flags, pte_pfn(entry))


@kernel
def gup_fast_folio_allowed(m: State, page: int, flags: int) -> bool:
    """A writable long-term pin of a page of a file that tracks dirtying needs the VMA: slow path.

    Linux: gup_gup_fast_folio_allowed() (folio_fast_pin_allowed()), a6e79df92e4a (6.5).
    """
    wanted = FOLL_PIN | FOLL_LONGTERM | FOLL_WRITE
    folio = page_folio(m, page)
    if m.rule_longterm_dirty_tracked == DIRTY_TRACKED_ALLOWED or flags & wanted != wanted or folio_test_anon(m, folio):
        return True
    file = m.folio_file[folio]
    return file == NO_FILE or m.file_kind[file] != FILE_PAGECACHE


@kernel
def fast_end(m: State, task: int, act: int) -> int:
    """Interrupts on again.  If fork write-protected meanwhile, none of the pins can be trusted."""
    pin = m.act_arg[act]
    if m.rule_write_protect_seq and m.act_flags[act] & FOLL_PIN and m.act_seq[act]:
        decided(m, FAST_FORK_SEEN)
        pin_drop(m, pin)
        return finish(m, task, m.pin_addr[pin])
    return finish(m, task, m.act_addr[act])
