"""Runs of page frames in parts: folios read many at a time, holes of any size, each page by its own places."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

import drgn

from pinhold.inspect import state
from pinhold.inspect.folio import Folio, folio_at
from pinhold.inspect.holders.kept import Run
from pinhold.inspect.records import State
from pinhold.inspect.rmap import Place
from pinhold.inspect.state import Folios
from pinhold.inspect.tables import PRESENT, Entry
from pinhold.inspect.vma import Vma
from struct_pages import ANON, FILE, NEW, VMEMMAP, large, page

PAGES = 4096
AT, ME = 0x7F00_0000_0000, 0x5000
LAST = 2200
"""Struct pages end there."""


class Memory:
    """Struct pages of a small machine: large folios, small pages, pages that belong nowhere, a folio that cannot be."""

    layout, vmemmap, zero_pfns = NEW, VMEMMAP, frozenset({7})

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []
        self.pages = bytearray()
        for pfn in range(LAST):
            self.pages += page(NEW, "lru", refcount=pfn % 50 + 1, mapcount=0, mapping=ANON, index=pfn)
        self.large(16, 3)
        self.large(24, 3)
        self.large(500, 2)  # its head before the end of a window, its tails behind it
        self.large(512, 10)
        self.put(1600, page(NEW, head=self.struct_page(1700) | 1))
        self.put(1610, page(NEW, head=self.struct_page(1605) + 9))
        self.put(1620, large(NEW, 77, 0, 1, refcount=2, mapping=FILE))

    def put(self, pfn: int, pages: bytes) -> None:
        self.pages[pfn * NEW.size : pfn * NEW.size + len(pages)] = pages

    def large(self, pfn: int, order: int) -> None:
        for tail in range(1, 1 << order):
            self.put(pfn + tail, page(NEW, head=self.struct_page(pfn) | 1))
        made = large(NEW, order, pfn, 1, refcount=2, mapping=FILE, index=pfn)
        for tail in range(1, 4):  # they have words of the folio beside that of their head
            at = tail * NEW.size + NEW.head
            made[at : at + 8] = (self.struct_page(pfn) | 1).to_bytes(8, "little")
        self.put(pfn, made)

    def struct_page(self, pfn: int) -> int:
        return VMEMMAP + pfn * NEW.size

    def struct_pages(self, pfn: int, count: int) -> bytes:
        self.reads.append((pfn, count))
        if not 0 <= pfn <= pfn + count <= LAST:
            raise drgn.FaultError("no struct page", pfn)
        return bytes(self.pages[pfn * NEW.size :][: count * NEW.size])

    def fault(self, pfn: int) -> str:
        """What reading one folio by itself fails with."""
        try:
            folio_at(self, pfn)  # type: ignore[arg-type]
        except (state.Torn, drgn.FaultError) as wrong:
            return str(wrong)
        return ""


def read(folios: Folios, pfn: int) -> Folio | str:
    try:
        return folios.at(pfn)
    except (state.Torn, drgn.FaultError) as wrong:
        return str(wrong)


@pytest.mark.parametrize("pages", [1, 3, 8, 700, 5000])
def test_folios_are_what_each_is_by_itself(pages: int) -> None:
    """From whichever page they are asked for, and however many are read at a time: heads before the first that was
    read, the last of memory, and pages that belong to no folio too."""
    memory = Memory()
    for first in (0, 5, 17, 490, 500, 505, 513, 1023, 1530, 1590, LAST - 5):
        folios = Folios(memory, pages)  # type: ignore[arg-type]
        for pfn in range(first, min(first + pages, LAST - 4)):
            assert read(folios, pfn) == (memory.fault(pfn) or folio_at(memory, pfn)), pfn  # type: ignore[arg-type]


def test_struct_pages_of_a_run_are_read_once() -> None:
    """Five hundred at a time, with those that the last folio goes on in; those of one page alone are few."""
    memory = Memory()
    folios = Folios(memory, 1500)  # type: ignore[arg-type]
    for pfn in (*range(30, 480), *range(1050, 1100), 30):
        folios.at(pfn)
    assert [read for read in memory.reads if read[1] > 4] == [(0, 516), (1024, 516), (0, 516)]
    memory.reads.clear()
    Folios(memory, 1).at(40)  # type: ignore[arg-type]
    assert memory.reads == [(40, 5)]


def test_a_folio_that_was_torn_is_read_again() -> None:
    """Of a kernel that runs on it may be whole by then."""
    memory = Memory()
    folios = Folios(memory, 100)  # type: ignore[arg-type]
    folios.at(1619)
    memory.put(1620, page(NEW, "lru", refcount=1, mapcount=0, mapping=ANON))
    assert folios.at(1620).kind == "anon"


def entry(page: int, level: int = 1) -> Entry:
    """An entry that begins so many pages behind AT."""
    return Entry(AT + page * PAGES, level, PRESENT)


def judged(monkeypatch: pytest.MonkeyPatch, there: list[Entry], run: Run) -> list[tuple[Any, ...]]:
    """Of each part its run, whose memory it is, and whether an entry is there."""
    view = SimpleNamespace(words=None, levels=4, top=lambda mm: 0)
    monkeypatch.setattr(state, "entries", lambda *_: iter(there))
    monkeypatch.setattr(state, "Folios", Large)
    monkeypatch.setattr(state, "_state", lambda view, mm, at, pfn, folio, entry: (State.SAME, "" if entry else "hole"))
    return [(part.run, part.places, not part.reason) for part in state.judge(view, None, run)]  # type: ignore[arg-type]


class Large:
    """Every frame is one of a folio of a thousand pages."""

    def __init__(self, view: object, pages: int) -> None:
        pass

    def at(self, pfn: int) -> Folio:
        return Folio(pfn & -1024, 10, "file", frozenset(), 2, 1, 1, 1, FILE, False, 0, 0)


@pytest.mark.parametrize("pinned", [True, False])
def test_holes_of_many_pages_are_one_part_each(monkeypatch: pytest.MonkeyPatch, pinned: bool) -> None:
    """Before, between and behind entries; each part with its own address, and held as the whole run is."""
    run = Run(2048, 1000, AT, ME, pinned)
    parts = judged(monkeypatch, [entry(10), entry(512, 2)], replace(run, pages=1100))
    assert parts == [
        (Run(2048 + page, pages, AT + page * PAGES, ME, pinned), ((ME, AT + page * PAGES),), mapped)
        for page, pages, mapped in [
            (0, 10, False), (10, 1, True), (11, 501, False), (512, 512, True), (1024, 76, False),
        ]
    ]  # fmt: skip
    assert judged(monkeypatch, [], replace(run, pages=7)) == [(replace(run, pages=7), ((ME, AT),), False)]


@pytest.mark.parametrize(("pinned", "of_file"), [(True, False), (False, False), (True, True)])
def test_each_page_of_a_run_without_an_address_has_its_own_places(
    monkeypatch: pytest.MonkeyPatch, pinned: bool, of_file: bool
) -> None:
    """Those of its place within the folio, of the process that holds it first; and is held as the whole run is."""
    asked: list[int] = []

    def places(view: object, folio: Folio, page: int) -> list[Place]:
        asked.append(page)
        area = Vma(AT, AT + 8 * PAGES, 0, 0, 0, 1, 1, ME, 0)
        return [Place(mm, AT + page * PAGES, area, folio.pfn + page) for mm in (0x9000, ME)]

    monkeypatch.setattr(state, "Folios", Large)
    monkeypatch.setattr(state, "places", places)
    found = list(state.by_rmap(None, Run(2050, 3, None, ME, pinned, of_file), ME))  # type: ignore[arg-type]
    assert asked == [2, 3, 4]
    assert [part.run for part in found] == [Run(2048 + page, 1, None, ME, pinned, of_file) for page in asked]
    both = ((0x9000, AT), (ME, AT)) if of_file else ((ME, AT),)
    assert [part.places for part in found] == [tuple((mm, at + page * PAGES) for mm, at in both) for page in asked]
