"""Swap: slots, the swap cache, and what frees them.

A slot is in use while swap entries (swap_count) or the swap cache (swap_page) name it.  The swap cache holds one
reference on its folio.  Large folios are split before they are swapped out.
"""

from __future__ import annotations

from pinhold.mm.flags import FOLIO_LOCKED, FOLIO_SWAPCACHE, NO_PAGE
from pinhold.mm.folio import folio_get, folio_put, folio_test_swapcache
from pinhold.mm.kernel import kernel
from pinhold.mm.state import State


@kernel
def swap_alloc(m: State) -> int:
    """A free slot, or 0 where swap is off or full."""
    if not m.config_swap:
        return 0
    slots = len(m.swap_count) - 1
    start = m.next_swap[0]
    for i in range(slots):
        slot = (start - 1 + i) % slots + 1
        if m.swap_count[slot] == 0 and m.swap_page[slot] == NO_PAGE:
            if m.next_fit:
                m.next_swap[0] = slot % slots + 1
            return slot
    return 0


@kernel
def add_to_swap_cache(m: State, folio: int, slot: int) -> None:
    """Linux: add_to_swap_cache() (mm/swap_state.c)."""
    folio_get(m, folio)
    m.folio_flags[folio] |= FOLIO_SWAPCACHE
    m.folio_swap[folio] = slot
    m.swap_page[slot] = folio


@kernel
def delete_from_swap_cache(m: State, folio: int) -> None:
    """Linux: delete_from_swap_cache() (mm/swap_state.c)."""
    m.swap_page[m.folio_swap[folio]] = NO_PAGE
    if m.swap_count[m.folio_swap[folio]] == 0:
        m.swap_content[m.folio_swap[folio]] = 0
    m.folio_flags[folio] &= ~FOLIO_SWAPCACHE
    m.folio_swap[folio] = 0
    folio_put(m, folio)


@kernel
def folio_free_swap(m: State, folio: int) -> bool:
    """Drop the swap cache's reference unless a swap entry still names the slot.

    Linux: folio_free_swap() (try_to_free_swap() up to 5.19), mm/swapfile.c.
    """
    if not folio_test_swapcache(m, folio) or m.swap_count[m.folio_swap[folio]]:
        return False
    delete_from_swap_cache(m, folio)
    return True


@kernel
def free_swap_cache(m: State, folio: int) -> None:
    """A mapping of the folio went: with the last one the swap cache's reference goes too.

    Linux: free_swap_cache() (mm/swap_state.c), of a mapping that was zapped or copied away from.
    """
    if m.page_mapcount[folio] == 0 and not m.folio_flags[folio] & FOLIO_LOCKED:
        folio_free_swap(m, folio)


@kernel
def swap_free(m: State, slot: int) -> None:
    """One swap entry less."""
    m.swap_count[slot] -= 1
    if m.swap_count[slot] == 0 and m.swap_page[slot] == NO_PAGE:
        m.swap_content[slot] = 0


@kernel
def free_swap_and_cache(m: State, slot: int) -> None:
    """A swap entry was zapped: free the slot, and the cached page too if nothing else wants it."""
    swap_free(m, slot)
    if m.swap_count[slot] == 0 and m.swap_page[slot] != NO_PAGE:
        folio = m.swap_page[slot]
        if m.page_mapcount[folio] == 0:
            delete_from_swap_cache(m, folio)
