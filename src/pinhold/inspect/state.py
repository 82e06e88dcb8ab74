"""Whether what is pinned is still the memory of its process.

By the address that the holder keeps, where it keeps one: what is mapped there?  Else by the folio's own reverse
mapping: is it mapped where it belongs, or has somebody another page there?
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drgn import FaultError, Object
from drgn.helpers.linux.mm import vma_find

from pinhold.inspect.folio import HEAD_PAGES, Folio, Torn, decode, folio_at, head_address
from pinhold.inspect.holders.kept import PAGE, Run
from pinhold.inspect.records import State
from pinhold.inspect.rmap import Place, places
from pinhold.inspect.tables import Entry, entries
from pinhold.inspect.view import View
from pinhold.inspect.vma import VM_SHARED

_SWAP_TYPES = 24
"""Swap areas are numbered below this; what is not is a migration, a device's page or a marker (MAX_SWAPFILES)."""
_SWAP_OFFSET = (1 << 58) - 1
"""Of a swp_entry_t."""

COPIED_NEXT = "a page of a file, mapped privately: the next write of the process goes to another page"
MERGED = "a page of KSM: the next write of the process goes to another page"
ONE_OF_SEVERAL = "a page of KSM: the process has it at an address, and at another one no more"
IN_SWAP_CACHE = "in the swap cache: a touch maps it again"
MOVING = "the entry is neither a mapping nor of swap: the page is perhaps being moved"
ENDED = "its process has ended"
NOT_A_USERS = "neither a page of a process nor of a file"
EVERYBODYS = "the zero page belongs to everybody"


@dataclass(frozen=True, slots=True)
class Judged:
    """A part of a run: one folio, or a part of one, in one state.  places: (struct mm_struct's address, user address)
    of whose memory it is, or was."""

    run: Run
    folio: Folio
    state: State
    reason: str = ""
    places: tuple[tuple[int, int], ...] = ()


class Folios:
    """Folios by frame, of struct pages that are read many at a time: runs are long, and each read takes its time.

    pages: how many of them will be asked for.
    """

    _MOST = 1 << 9

    def __init__(self, view: View, pages: int) -> None:
        self._view = view
        self._window = min(self._MOST, 1 << (pages - 1).bit_length())
        self._first = -1
        self._pages = b""

    def at(self, pfn: int) -> Folio:
        """Raises CannotLook, drgn.FaultError."""
        first = pfn & -self._window
        if first != self._first:
            try:
                self._pages, self._first = self._view.struct_pages(first, self._window + HEAD_PAGES), first
            except FaultError:  # at the end of memory
                return folio_at(self._view, pfn)
        layout = self._view.layout
        (info,) = struct.unpack_from("<Q", self._pages, (pfn - first) * layout.size + layout.head)
        head, rest = divmod(head_address(self._view.struct_page(pfn), info) - self._view.vmemmap, layout.size)
        if rest or not first <= head <= pfn:
            return folio_at(self._view, pfn)
        start = (head - first) * layout.size
        try:
            return decode(layout, head, self._pages[start : start + HEAD_PAGES * layout.size], self._view.zero_pfns)
        except Torn:
            return folio_at(self._view, pfn)


def judge(view: View, mm: Object, run: Run) -> Iterator[Judged]:
    """Every part of a run that keeps its address.  mm: struct mm_struct *.  Raises CannotLook, drgn.FaultError."""
    assert run.address is not None
    end = run.address + run.pages * PAGE
    folios = Folios(view, run.pages)
    for start, size, entry in _entries(view, mm, run.address, end):
        at = start
        while at < start + size:
            pfn = run.pfn + (at - run.address) // PAGE
            folio = folios.at(pfn)
            pages = min(start + size - at, (folio.pfn + folio.pages - pfn) * PAGE) // PAGE
            pages = max(pages, 1)  # a folio that was freed, and its frame with it
            state, reason = _state(view, mm, at, pfn, folio, entry)
            yield Judged(Run(pfn, pages, at, run.mm, run.pinned), folio, state, reason, ((run.mm, at),))
            at += pages * PAGE


def _entries(view: View, mm: Object, start: int, end: int) -> Iterator[tuple[int, int, Entry | None]]:
    """(address, bytes, entry) of each part of a range; None: nothing is there."""
    here = start
    for entry in entries(view.words, view.top(mm), view.levels, start, end):
        low, high = max(entry.address, start), min(entry.address + entry.size, end)
        if here < low:
            yield here, low - here, None
        yield low, high - low, entry
        here = high
    if here < end:
        yield here, end - here, None


def _state(view: View, mm: Object, at: int, pfn: int, folio: Folio, entry: Entry | None) -> tuple[State, str]:
    if entry is None:
        return _of_nothing(view, mm, at, folio), ""
    if not entry.present:
        return _of_swap(pfn, folio, entry)
    if entry.pfn(at) != pfn:
        return State.STALE, ""
    if folio.kind == "zero":
        return State.ZERO, ""
    if folio.kind in ("file", "hugetlb"):
        return _of_file(view, mm, at, folio)
    return State.SAME, MERGED if folio.kind == "ksm" else ""


def _of_nothing(view: View, mm: Object, at: int, folio: Folio) -> State:
    """Of an empty entry: the next touch brings a page of a file again, where the mapping is shared."""
    vma = vma_find(mm, at)
    shared = vma and folio.kind == "file" and vma.vm_file and vma.vm_flags.value_() & VM_SHARED
    return State.SHARED if shared else State.UNMAPPED


def _of_swap(pfn: int, folio: Folio, entry: Entry) -> tuple[State, str]:
    swap = entry.swap
    if swap is None or swap[0] >= _SWAP_TYPES:
        return State.UNKNOWN, MOVING
    here = "swapcache" in folio.flags and (folio.private & _SWAP_OFFSET) + pfn - folio.pfn == swap[1]
    return (State.SAME, IN_SWAP_CACHE) if here else (State.STALE, "")


def _of_file(view: View, mm: Object, at: int, folio: Folio) -> tuple[State, str]:
    """Of a page of a file, or of hugetlb, that is mapped where it should be."""
    vma = vma_find(mm, at)
    if vma and vma.vm_flags.value_() & VM_SHARED:
        return State.SHARED, ""
    return State.SAME, "" if folio.anon else COPIED_NEXT


def by_rmap(view: View, run: Run, mm: int = 0) -> Iterator[Judged]:
    """Every page of a run whose address is not kept, or nobody's.

    mm: of the process that has the holder open: where it has a place for the page, that place tells.  Raises as above.
    """
    folios = Folios(view, run.pages)
    for pfn in range(run.pfn, run.pfn + run.pages):
        folio = folios.at(pfn)
        state, reason, where = _by_rmap(view, folio, pfn, run.of_file, mm)
        found = tuple((place.mm, place.address) for place in where)
        yield Judged(Run(pfn, 1, None, run.mm, run.pinned, run.of_file), folio, state, reason, found)


def _by_rmap(view: View, folio: Folio, pfn: int, of_file: bool, mm: int) -> tuple[State, str, Sequence[Place]]:
    if folio.kind not in ("anon", "file", "hugetlb", "ksm") or not folio.mapping:
        # What was cut off a file has lost its mapping.
        nobodys = EVERYBODYS if folio.kind == "zero" else NOT_A_USERS
        return (State.STALE, "", ()) if of_file else (State.UNKNOWN, nobodys, ())
    found = list(places(view, folio, pfn - folio.pfn))
    if of_file:
        return State.SHARED, "", [place for place in found if place.pfn == pfn]
    found = [place for place in found if place.mm == mm] or found
    here = [place for place in found if place.pfn == pfn]
    if here and folio.kind == "ksm" and len(here) < len(found):
        return State.UNKNOWN, ONE_OF_SEVERAL, found
    if here:
        return *_mapped(folio, here), here
    return _not_mapped(folio, found)


def _not_mapped(folio: Folio, found: Sequence[Place]) -> tuple[State, str, Sequence[Place]]:
    if folio.anon and "swapcache" in folio.flags:
        return State.SAME, IN_SWAP_CACHE, found
    shared = [place for place in found if place.vma.shared and not folio.anon]
    if shared:
        return State.SHARED, "", shared
    other = [place for place in found if place.pfn is not None]
    return (State.STALE, "", other) if other else (State.UNMAPPED, "", found)


def _mapped(folio: Folio, here: Sequence[Place]) -> tuple[State, str]:
    if folio.anon:
        return State.SAME, MERGED if folio.kind == "ksm" else ""
    return (State.SHARED, "") if any(place.vma.shared for place in here) else (State.SAME, COPIED_NEXT)
