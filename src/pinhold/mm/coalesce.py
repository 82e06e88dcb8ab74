"""io_uring's buffers of large folios: one pin of each folio is kept, instead of one of each page: io_uring/rsrc.c.

A folio that is pinned is not split: what a buffer kept when it was registered can be told from its pages as long as it
lives.
"""

from __future__ import annotations

from pinhold.mm.flags import PIN_LIVE, USER_IO_URING
from pinhold.mm.folio import folio_nr_pages, folio_page, page_folio
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.rules.pin import COALESCES_EACH_PAGE, COALESCES_ONE_FOLIO
from pinhold.mm.state import State


@kernel(without={Part.LARGE: False})
def pin_coalesced(m: State, pin: int) -> bool:
    """Whether a live pin is a buffer that keeps one pin of each folio."""
    if m.pin_user[pin] != USER_IO_URING or m.pin_state[pin] != PIN_LIVE:
        return False
    return m.rule_io_uring_coalesces != COALESCES_EACH_PAGE and runs_coalesce(m, pin)


@kernel
def runs_coalesce(m: State, pin: int) -> bool:
    """Whether all that the pin holds is of large folios of one size, each from its first page to its last but for the
    buffer's ends.  Linux: io_check_coalesce_buffer(), io_try_coalesce_buffer() up to 6.13."""
    first = pin * m.runs_per_pin
    pages = folio_nr_pages(m, page_folio(m, m.run_page[first]))
    if pages == 1:
        return False
    for run in range(first + 1, first + m.pin_runs[pin]):
        page = m.run_page[run]
        folio = page_folio(m, page)
        before = m.run_page[run - 1] + m.run_count[run - 1]
        if folio_page(m, folio) != page:
            if before != page:
                return False
            continue
        if m.rule_io_uring_coalesces == COALESCES_ONE_FOLIO or folio_nr_pages(m, folio) != pages:
            return False
        if before != folio_page(m, page_folio(m, before - 1)) + pages:
            return False
    return True


@kernel
def run_pins(m: State, pin: int, run: int) -> int:
    """How many pins one of the runs of a coalesced pin stands for: one where a folio begins."""
    page = m.run_page[run]
    return 1 if run == pin * m.runs_per_pin or folio_page(m, page_folio(m, page)) == page else 0
