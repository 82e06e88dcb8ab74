"""The state of what is held, by what is mapped where it should be: made-up folios, entries and places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from pinhold.inspect import state
from pinhold.inspect.folio import Folio
from pinhold.inspect.holders.kept import Run
from pinhold.inspect.records import State
from pinhold.inspect.rmap import Place
from pinhold.inspect.state import COPIED_NEXT, EVERYBODYS, IN_SWAP_CACHE, MERGED, MOVING, NOT_A_USERS, ONE_OF_SEVERAL
from pinhold.inspect.tables import PRESENT, Entry
from pinhold.inspect.vma import Vma

AT, PFN = 0x7F0000001000, 100
ANON = Folio(PFN, 0, "anon", frozenset({"lru"}), 1025, 1, None, None, 0x1000, True, 0, 0)
FILE = replace(ANON, kind="file", anon=False)
HUGETLB = replace(FILE, kind="hugetlb", order=9, pincount=512)
ZERO = replace(ANON, kind="zero", anon=False, mapping=0)
KSM = replace(ANON, kind="ksm")
SWAPPED = replace(ANON, flags=frozenset({"swapcache"}), private=77)
ME, OTHER = 0x5000, 0x6000


def entry(pfn: int) -> Entry:
    """A mapping of that frame."""
    return Entry(AT, 1, pfn << 12 | PRESENT)


def swap(offset: int, type_: int = 0) -> Entry:
    """A swap entry, with the offset inverted as the kernel has it."""
    return Entry(AT, 1, type_ << 59 | (~offset & (1 << 45) - 1) << 14)


@dataclass
class Mapping:
    """A struct vm_area_struct, as far as it is asked."""

    shared: bool
    vm_file: int = 1

    @property
    def vm_flags(self) -> SimpleNamespace:
        return SimpleNamespace(value_=lambda: 8 if self.shared else 0)


@pytest.mark.parametrize(
    ("folio", "there", "mapping", "found"),
    [
        (ANON, entry(PFN), None, (State.SAME, "")),
        (ANON, entry(PFN + 1), None, (State.STALE, "")),
        (ANON, None, Mapping(False), (State.UNMAPPED, "")),
        (ANON, None, None, (State.UNMAPPED, "")),
        (KSM, entry(PFN), None, (State.SAME, MERGED)),
        (KSM, entry(PFN + 1), None, (State.STALE, "")),
        (ZERO, entry(PFN), None, (State.ZERO, "")),
        (ZERO, entry(PFN + 1), None, (State.STALE, "")),
        (FILE, entry(PFN), Mapping(True), (State.SHARED, "")),
        (FILE, entry(PFN), Mapping(False), (State.SAME, COPIED_NEXT)),
        (FILE, entry(PFN + 1), Mapping(False), (State.STALE, "")),
        (FILE, None, Mapping(True), (State.SHARED, "")),
        (FILE, None, Mapping(False), (State.UNMAPPED, "")),
        (FILE, None, Mapping(True, vm_file=0), (State.UNMAPPED, "")),
        (ANON, None, Mapping(True), (State.UNMAPPED, "")),
        (HUGETLB, entry(PFN), Mapping(False), (State.SAME, COPIED_NEXT)),
        (replace(HUGETLB, anon=True), entry(PFN), Mapping(False), (State.SAME, "")),
        (SWAPPED, swap(77), None, (State.SAME, IN_SWAP_CACHE)),
        (SWAPPED, swap(78), None, (State.STALE, "")),
        (replace(SWAPPED, pfn=PFN - 3, order=2), swap(80), None, (State.SAME, IN_SWAP_CACHE)),
        (ANON, swap(77), None, (State.STALE, "")),
        (ANON, swap(77, type_=30), None, (State.UNKNOWN, MOVING)),
    ],
)
def test_by_the_address_that_is_kept(
    monkeypatch: pytest.MonkeyPatch,
    folio: Folio,
    there: Entry | None,
    mapping: Mapping | None,
    found: tuple[State, str],
) -> None:
    """What is mapped there: this page, another, nothing, or what brings it back."""
    monkeypatch.setattr(state, "vma_find", lambda mm, at: mapping)
    assert state._state(None, None, AT, PFN, folio, there) == found  # type: ignore[arg-type]


def place(mm: int, pfn: int | None, shared: bool = False) -> Place:
    return Place(mm, AT, Vma(AT, AT + 4096, 8 if shared else 0, 0, 0, 1, 1, mm, 0), pfn)


@pytest.mark.parametrize(
    ("folio", "places", "found"),
    [
        (ANON, [place(ME, PFN)], (State.SAME, "")),
        (ANON, [place(ME, PFN + 1), place(OTHER, PFN)], (State.STALE, "")),
        (ANON, [place(OTHER, PFN)], (State.SAME, "")),
        (ANON, [place(ME, None)], (State.UNMAPPED, "")),
        (ANON, [], (State.UNMAPPED, "")),
        (SWAPPED, [place(ME, None)], (State.SAME, IN_SWAP_CACHE)),
        (FILE, [place(ME, PFN)], (State.SAME, COPIED_NEXT)),
        (FILE, [place(ME, PFN, shared=True)], (State.SHARED, "")),
        (FILE, [place(ME, PFN + 1)], (State.STALE, "")),
        (FILE, [place(ME, None, shared=True)], (State.SHARED, "")),
        (replace(FILE, mapping=0), [], (State.UNKNOWN, NOT_A_USERS)),
        (KSM, [place(ME, PFN)], (State.SAME, MERGED)),
        (KSM, [place(OTHER, PFN), place(ME, PFN)], (State.SAME, MERGED)),
        (KSM, [place(ME, PFN + 1), place(ME, PFN)], (State.UNKNOWN, ONE_OF_SEVERAL)),
        (KSM, [place(ME, PFN + 1), place(OTHER, PFN)], (State.STALE, "")),
        (KSM, [place(ME, PFN), place(OTHER, PFN + 1)], (State.SAME, MERGED)),
        (KSM, [], (State.UNMAPPED, "")),
        (ZERO, [], (State.UNKNOWN, EVERYBODYS)),
    ],
)
def test_by_the_reverse_mapping(
    monkeypatch: pytest.MonkeyPatch, folio: Folio, places: list[Place], found: tuple[State, str]
) -> None:
    """Where the process that has the holder open has a place for the page, that one tells."""
    monkeypatch.setattr(state, "places", lambda view, folio, page: iter(places))
    assert state._by_rmap(None, folio, PFN, False, ME)[:2] == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("folio", "found"), [(FILE, State.SHARED), (replace(FILE, mapping=0, kind="other"), State.STALE)]
)
def test_what_is_held_of_a_file(monkeypatch: pytest.MonkeyPatch, folio: Folio, found: State) -> None:
    """The file's as long as it is in the file, whatever private mappings have copied; what was cut off is stale."""
    monkeypatch.setattr(state, "places", lambda view, folio, page: iter([place(ME, PFN + 1)]))
    assert state._by_rmap(None, folio, PFN, True, ME) == (found, "", [] if found is State.SHARED else ())  # type: ignore[arg-type]


PAGES = 4096
HEAD = 1024
LARGE = replace(ANON, pfn=HEAD, order=3, pincount=8)


class Large:
    """Every frame is one of a folio of 8 pages, but those that were freed."""

    def __init__(self, view: object, pages: int) -> None:
        self.freed: frozenset[int] = view.freed  # type: ignore[attr-defined]

    def at(self, pfn: int) -> Folio:
        return replace(ANON, pfn=pfn - 8) if pfn in self.freed else replace(LARGE, pfn=pfn & -8)


def parts(
    monkeypatch: pytest.MonkeyPatch, there: list[Entry], pages: int, freed: frozenset[int] = frozenset()
) -> object:
    """A run from HEAD + 2 and AT on: of each part the page of the run, its frame, its pages, and whether an entry is
    there."""
    view = SimpleNamespace(words=None, levels=(), top=lambda mm: 0, freed=freed)
    monkeypatch.setattr(state, "entries", lambda *_: iter(there))
    monkeypatch.setattr(state, "Folios", Large)
    monkeypatch.setattr(state, "_state", lambda view, mm, at, pfn, folio, entry: (State.SAME, "" if entry else "hole"))
    run = Run(HEAD + 2, pages, AT, ME)
    return [
        ((part.run.address or 0) - AT >> 12, part.run.pfn - HEAD, part.run.pages, part.reason != "hole")
        for part in state.judge(view, None, run)  # type: ignore[arg-type]
    ]


def at(page: int, level: int = 1) -> Entry:
    """An entry that begins so many pages behind AT."""
    return Entry(AT + page * PAGES, level, HEAD << 12 | PRESENT)


def test_a_run_is_cut_where_entries_begin_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole before, between and behind entries is a part by itself."""
    found = parts(monkeypatch, [at(1), at(3)], 5)
    assert found == [(0, 2, 1, False), (1, 3, 1, True), (2, 4, 1, False), (3, 5, 1, True), (4, 6, 1, False)]


def test_a_run_is_cut_at_its_ends_and_where_folios_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a huge entry that begins before the run and goes on behind it only what the run has; a folio is one part."""
    assert parts(monkeypatch, [at(-1, 2)], 20) == [(0, 2, 6, True), (6, 8, 8, True), (14, 16, 6, True)]


def test_a_page_that_is_in_no_folio_any_more_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frame lies behind the folio that it is said to be of: the next page is looked at by itself."""
    found = parts(monkeypatch, [at(0, 2)], 3, freed=frozenset({HEAD + 2, HEAD + 3}))
    assert found == [(0, 2, 1, True), (1, 3, 1, True), (2, 4, 1, True)]
