"""What a kernel counts of the page at an address of one of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drgn import FaultError, Object

from pinhold.inspect.batches import Waiting, in_batches
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.folio import Folio, page_at
from pinhold.inspect.tables import NAMES, Entry
from pinhold.inspect.vma import task_of
from pinhold.scenario.counts import Counts

if TYPE_CHECKING:
    from pinhold.inspect.view import View

_OF_FOLIOS = ("anon", "ksm", "file", "hugetlb")
"""Kinds whose counts are those of the process's own doing; a zero page is everybody's."""


class Counting:
    """Looks at processes by pid while the kernel stands still; again() before each time that it has gone on."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._mms: dict[int, Object] = {}
        self._waiting = Waiting()

    def again(self) -> None:
        """Raises CannotLook."""
        try:
            self._waiting = in_batches(self._view)
        except FaultError as fault:
            raise CannotLook(f"the batches for the LRU lists cannot be read: {fault}") from None

    def at(self, pid: int, address: int) -> Counts:
        """Raises CannotLook where there is no such process."""
        try:
            if pid not in self._mms:
                task = task_of(self._view, pid)
                if task is None:
                    raise CannotLook(f"the kernel has no process {pid}")
                self._mms[pid] = task.mm.read_()
            return counts_at(self._view, self._mms[pid], address, self._waiting)
        except FaultError as fault:
            raise CannotLook(f"page {address:#x} of process {pid} cannot be read: {fault}") from None


def counts_at(view: View, mm: Object, address: int, waiting: Waiting) -> Counts:
    """mm: a struct mm_struct *; waiting: as of in_batches().  Raises Torn, drgn.FaultError."""
    entry = view.entry(mm, address)
    pfn = entry.pfn(address)
    if pfn is None:
        return _absent(view, entry)
    page = page_at(view, pfn)
    folio = page.folio
    of_entry = Counts(level=NAMES[entry.level], writable=entry.writable, dirty=entry.dirty, soft_dirty=entry.soft_dirty)
    if folio.kind not in _OF_FOLIOS:
        return of_entry
    return Counts(
        *(of_entry.level, of_entry.writable, of_entry.dirty, of_entry.soft_dirty),
        order=folio.order,
        refcount=folio.refcount - waiting.places[folio.pfn] - (folio.kind == "file" and "private" in folio.flags),
        pincount=folio.pincount,
        mapcount=page.mapcount,
        large_mapcount=folio.large_mapcount if folio.order else None,
        anon_exclusive=_exclusive(view, folio, entry, page.exclusive),
        swapcache=_swapcache(folio),
        swapbacked=_swapbacked(folio, waiting) if folio.kind in ("anon", "ksm") else None,
        folio_dirty="dirty" in folio.flags,
    )


def _absent(view: View, entry: Entry) -> Counts:
    if not entry.swapped:
        return Counts()
    keeps = "PG_anon_exclusive" in view.layout.flags
    return Counts(soft_dirty=entry.soft_dirty, swap_exclusive=entry.swap_exclusive if keeps else None)


def _exclusive(view: View, folio: Folio, entry: Entry, own: bool | None) -> bool | None:
    if own is None or folio.kind == "file":
        return None
    return page_at(view, folio.pfn).exclusive if entry.level > 1 else own


def _swapbacked(folio: Folio, waiting: Waiting) -> bool:
    """As it is once the batches are drained: until then MADV_FREE has changed nothing of a base page."""
    return "swapbacked" in folio.flags and (folio.pfn not in waiting.lazyfree or "swapcache" in folio.flags)


def _swapcache(folio: Folio) -> bool | None:
    """PG_swapcache is another flag's bit too (PG_owner_priv_1), which means this with PG_swapbacked alone."""
    if folio.kind == "hugetlb":
        return None
    return {"swapcache", "swapbacked"} <= folio.flags
