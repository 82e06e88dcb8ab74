"""Whether a transfer to or from the swap device is over at once: mm/page_io.c."""

from __future__ import annotations

from pinhold.mm.folio import folio_nr_pages
from pinhold.mm.huge_memory import page_zero_filled
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.rules.swap import ZERO_FILLED_NOTED
from pinhold.mm.state import State


@kernel(needs=Part.SWAP)
def swap_io_waits(m: State, folio: int) -> bool:
    """Whether the device takes its time: one that is not synchronous, and there is something to transfer."""
    return not m.config_swap_sync and not swap_zero_filled(m, folio)


@kernel(needs=Part.SWAP)
def swap_zero_filled(m: State, folio: int) -> bool:
    """Whether a note takes the place of the folio's content.

    Linux: swap_writepage() (swap_writeout() since 6.17), is_folio_zero_filled(), swap_read_folio_zeromap();
    0ca0c24e3211 (6.12).
    """
    if m.rule_swap_zero_filled != ZERO_FILLED_NOTED:
        return False
    for page in range(folio, folio + folio_nr_pages(m, folio)):
        if not page_zero_filled(m, page):
            return False
    return True
