"""Swap: slots, the swap cache, and what frees them.

A slot is in use while swap entries (swap_count) or the swap cache (swap_page) name it.  A folio in the swap cache has a
run of slots, one a page, and the cache holds a reference for each.
"""

from __future__ import annotations

from pinhold.mm.chance import choose
from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import FOLIO_LOCKED, FOLIO_SWAPCACHE, NO_PAGE
from pinhold.mm.folio import folio_nr_pages, folio_put_refs, folio_test_swapcache, page_folio
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.state import State


@kernel
def swap_alloc(m: State, count: int) -> int:
    """The first of `count` free slots in a row, or 0 where swap is off or has no such row."""
    if not m.config_swap:
        return 0
    return next_free_slots(m, count) if m.next_fit else any_free_slots(m, count)


@kernel
def next_free_slots(m: State, count: int) -> int:
    """The next such row behind the one taken last, or 0."""
    slots = len(m.swap_count) - 1
    start = m.next_swap[0]
    for i in range(slots):
        slot = (start - 1 + i) % slots + 1
        if slot + count - 1 <= slots and swap_slots_free(m, slot, count):
            m.next_swap[0] = (slot + count - 1) % slots + 1
            return slot
    return 0


@kernel
def any_free_slots(m: State, count: int) -> int:
    """Such a row, whichever (see chance.py), or 0."""
    last = len(m.swap_count) - count
    total = 0
    for slot in range(1, last + 1):
        if swap_slots_free(m, slot, count):
            total += 1
    picked = choose(m, total)
    for slot in range(1, last + 1):
        if swap_slots_free(m, slot, count):
            if picked == 0:
                return slot
            picked -= 1
    return 0


@kernel
def swap_slots_free(m: State, slot: int, count: int) -> bool:
    for i in range(slot, slot + count):
        if m.swap_count[i] or m.swap_page[i] != NO_PAGE:
            return False
    return True


@kernel
def add_to_swap_cache(m: State, folio: int, slot: int) -> None:
    """Linux: add_to_swap_cache() (mm/swap_state.c)."""
    pages = folio_nr_pages(m, folio)
    m.folio_refcount[folio] += pages
    m.folio_flags[folio] |= FOLIO_SWAPCACHE
    m.folio_swap[folio] = slot
    for i in range(pages):
        m.swap_page[slot + i] = folio + i


@kernel
def delete_from_swap_cache(m: State, folio: int) -> None:
    """Linux: delete_from_swap_cache() (mm/swap_state.c)."""
    pages = folio_nr_pages(m, folio)
    for slot in range(m.folio_swap[folio], m.folio_swap[folio] + pages):
        m.swap_page[slot] = NO_PAGE
        if m.swap_count[slot] == 0:
            m.swap_content[slot] = 0
    m.folio_flags[folio] &= ~FOLIO_SWAPCACHE
    m.folio_swap[folio] = 0
    folio_put_refs(m, folio, pages)


@kernel
def folio_free_swap(m: State, folio: int) -> bool:
    """Drop the swap cache's references unless a swap entry still names one of the slots.  The folio is dirty then.

    Linux: folio_free_swap() (try_to_free_swap() up to 5.19), mm/swapfile.c.
    """
    if not folio_test_swapcache(m, folio):
        return False
    for slot in range(m.folio_swap[folio], m.folio_swap[folio] + folio_nr_pages(m, folio)):
        if m.swap_count[slot]:
            return False
    folio_mark_dirty(m, folio)
    delete_from_swap_cache(m, folio)
    return True


@kernel
def reuse_swap_page(m: State, folio: int) -> bool:
    """Whether no page of the folio has more than one mapping and swap entry together: it is then one process's alone,
    whoever else holds it, and leaves the swap cache.

    A large folio stays there while another of its pages has a swap entry.  Linux: reuse_swap_page(),
    page_trans_huge_map_swapcount() (mm/swapfile.c), up to 5.17.
    """
    return reuse_counted_page(m, folio, page_map_swapcount(m, folio))


@kernel
def page_map_swapcount(m: State, folio: int) -> int:
    """The most PTE mappings and swap entries that a page of the folio has; mappings of the whole are not counted."""
    users = 0
    for page in range(folio, folio + folio_nr_pages(m, folio)):
        users = max(users, m.page_mapcount[page] + page_swapcount(m, folio, page))
    return users


@kernel
def page_swapcount(m: State, folio: int, page: int) -> int:
    """The swap entries that name this page of the folio, which the swap cache has."""
    return m.swap_count[m.folio_swap[folio] + page - folio] if folio_test_swapcache(m, folio) else 0


@kernel
def reuse_counted_page(m: State, folio: int, users: int) -> bool:
    """The rest of reuse_swap_page(): `users` are counted, the mappings of the whole folio are now."""
    if users + m.folio_entire_mapcount[folio] > 1:
        return False
    if folio_test_swapcache(m, folio):
        swapped = 0
        for page in range(folio, folio + folio_nr_pages(m, folio)):
            swapped += page_swapcount(m, folio, page)
        if m.folio_order[folio] == 0 or swapped == 0:
            folio_mark_dirty(m, folio)
            delete_from_swap_cache(m, folio)
    return True


@kernel(without={Part.SWAP: None})
def free_swap_cache(m: State, folio: int) -> None:
    """A mapping or a swap entry went: with the last one the swap cache's references go too, unless somebody
    has the folio locked.

    Linux: free_swap_cache() (mm/swap_state.c), of a mapping that was zapped or copied away from; free_swap_and_cache().
    """
    if folio_unmapped(m, folio) and not m.folio_flags[folio] & FOLIO_LOCKED:
        folio_free_swap(m, folio)


@kernel
def folio_unmapped(m: State, folio: int) -> bool:
    """Whether no entry maps any page of the folio."""
    if m.folio_order[folio] > 0:
        return m.folio_large_mapcount[folio] == 0
    return m.page_mapcount[folio] == 0


@kernel(needs=Part.SWAP)
def swap_duplicate(m: State, slot: int) -> None:
    """One swap entry more."""
    m.swap_count[slot] += 1


@kernel
def swap_free(m: State, slot: int) -> None:
    """One swap entry less."""
    m.swap_count[slot] -= 1
    if m.swap_count[slot] == 0 and m.swap_page[slot] == NO_PAGE:
        m.swap_content[slot] = 0


@kernel(needs=Part.SWAP)
def free_swap_and_cache(m: State, slot: int) -> None:
    """A swap entry was zapped: free the slot, and the cached folio too if nothing else wants it."""
    swap_free(m, slot)
    if m.swap_count[slot] == 0 and m.swap_page[slot] != NO_PAGE:
        free_swap_cache(m, page_folio(m, m.swap_page[slot]))
