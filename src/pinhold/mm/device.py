"""What a device does through a pin: it writes to the frames, and no page table is asked."""

from __future__ import annotations

from pinhold.mm.access import store
from pinhold.mm.file import FOLIO_CLEAN, FOLIO_DIRTY, FOLIO_WRITTEN_CLEAN, folio_dirty_tracked
from pinhold.mm.flags import FOLL_LONGTERM
from pinhold.mm.folio import page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.state import State


@kernel
def device_write(m: State, pin: int, byte: int) -> None:
    """The device fills every page that the pin holds.

    A file system that tracks dirtying expects to hear of a write to a clean page before it is done.  Behind a short pin
    somebody waits who marks the page dirty when the write is done; a long-term pin's device goes on for ever, and what
    it writes after the page was written back may be lost.  Linux: Documentation/core-api/pin_user_pages.rst;
    unpin_user_pages_dirty_lock().
    """
    written = FOLIO_WRITTEN_CLEAN if m.pin_flags[pin] & FOLL_LONGTERM else FOLIO_DIRTY
    for run in range(pin * m.runs_per_pin, pin * m.runs_per_pin + m.pin_runs[pin]):
        first = m.run_page[run]
        if first < m.nr_pages:
            for page in range(first, first + m.run_count[run]):
                folio = page_folio(m, page)
                if m.folio_dirty[folio] == FOLIO_CLEAN and folio_dirty_tracked(m, folio):
                    m.folio_dirty[folio] = written
                    if written == FOLIO_WRITTEN_CLEAN:
                        stored = m.folio_file[folio] * m.file_pages + m.folio_index[folio]
                        m.cache_stored[stored] = m.page_content[page]
        store(m, first, m.run_count[run], byte)
