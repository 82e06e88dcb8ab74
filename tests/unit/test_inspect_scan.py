"""The scan of all struct pages, on pages made by hand: what it tells, what it leaves out, and what it costs."""

from __future__ import annotations

import random
import struct
import tracemalloc
from dataclasses import replace

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")
pytest.importorskip("numpy", reason="needs numpy: pip install 'pinhold[inspect]'")

import drgn

from pinhold.inspect.folio import Torn, decode
from pinhold.inspect.layout import Layout
from pinhold.inspect.scan import CHUNK, scan
from struct_pages import ANON, CLEARED, FILE, NEW, OLD, large, page


class Machine:
    """Struct pages of so many frames; absent: frames that have none."""

    def __init__(self, layout: Layout, frames: int, absent: range = range(0)) -> None:
        self.layout, self.absent = layout, absent
        self.pages = bytearray(bytes(page(layout)) * frames)
        self.most = 0

    def put(self, pfn: int, pages: bytes) -> None:
        at = pfn * self.layout.size
        self.pages[at : at + len(pages)] = pages

    def read(self, pfn: int, count: int) -> bytes:
        """As View.struct_pages()."""
        self.most = max(self.most, count)
        size = self.layout.size
        if not 0 <= pfn <= pfn + count <= len(self.pages) // size or range(
            max(pfn, self.absent.start), min(pfn + count, self.absent.stop)
        ):
            raise drgn.FaultError("no struct page", pfn)
        return bytes(self.pages[pfn * size : (pfn + count) * size])

    def pinned(self, frames: range | None = None) -> list[tuple[int, str, int, bool]]:
        found = scan(self.read, self.layout, frames or range(len(self.pages) // self.layout.size))
        return [(folio.pfn, folio.kind, folio.pins, folio.taken_for_pinned) for folio in found]


layouts = pytest.mark.parametrize("layout", [NEW, OLD], ids=["new", "old"])


@layouts
def test_small_and_large_folios_with_pins(layout: Layout) -> None:
    """Wherever they lie, also across the end of a chunk; and those that the kernel takes for pinned, with no pin."""
    machine = Machine(layout, 2 * CHUNK)
    machine.put(3, page(layout, "lru", refcount=1025, mapcount=0, mapping=ANON))
    machine.put(4, page(layout, "lru", refcount=1101, mapcount=1099, mapping=FILE))
    machine.put(5, page(layout, "lru", refcount=30, mapcount=28, mapping=FILE))
    machine.put(512, large(layout, 9, 2, 1, refcount=3, mapping=ANON))
    machine.put(1024, large(layout, 9, 0, 1, refcount=3000, mapping=ANON))
    machine.put(CHUNK - 1, page(layout, "lru", refcount=2049, mapcount=-1, mapping=FILE))
    machine.put(2 * CHUNK - 512, large(layout, 9, 7, 1, refcount=8, mapping=ANON))
    assert machine.pinned() == [
        (3, "anon", 1, True), (4, "file", 0, True), (512, "anon", 2, True), (CHUNK - 1, "file", 2, True),
        (2 * CHUNK - 512, "anon", 7, True),
    ]  # fmt: skip
    assert machine.most == CHUNK


@layouts
def test_a_pincount_beyond_the_end_of_a_chunk(layout: Layout) -> None:
    """A folio whose first struct page is the last of a chunk is looked at all the same."""
    machine = Machine(layout, 2 * CHUNK)
    machine.put(CHUNK - 1, large(layout, 2, 1, 1, refcount=2, mapping=ANON))
    assert machine.pinned() == [(CHUNK - 1, "anon", 1, True)]
    assert machine.pinned(range(CHUNK)) == [(CHUNK - 1, "anon", 1, True)]


def test_what_only_looks_like_pins() -> None:
    """Slabs by flag and by page type, free pages, tail pages, folios too small for a pincount: other words."""
    machine = Machine(OLD, 4096)
    machine.put(0, large(OLD, 3, 760, 0, refcount=1))
    struct.pack_into("<Q", machine.pages, 0, 1 << OLD.flags["PG_head"] | 1 << OLD.flags["PG_slab"])
    machine.put(64, large(OLD, 1, 760, 1, refcount=2, mapping=ANON))
    machine.put(128, page(OLD, "lru", refcount=-5, mapping=FILE) + large(OLD, 9, 3, 0, refcount=0))
    machine.put(200, page(OLD, refcount=2000, head=0xFFFF_EA00_0000_0001))
    assert machine.pinned() == []
    machine = Machine(NEW, 4096)
    machine.put(0, large(NEW, 3, 760, 0, refcount=1, mapcount=0xF500_0000 - (1 << 32)))
    machine.put(100, page(NEW, refcount=5000, mapcount=0xF500_0000 - (1 << 32)))
    assert machine.pinned() == []


@pytest.mark.parametrize(("release", "slab", "hugetlb"), [("6.10", 0x1000, 0x800), ("6.11", 1 << 25, 1 << 26)])
def test_page_types_that_are_cleared_bits(release: str, slab: int, hugetlb: int) -> None:
    """A slab is left out, with whatever has the place of a pincount there; hugetlb is told as that."""
    layout = CLEARED[release]
    machine = Machine(layout, 4096)
    machine.put(0, large(layout, 3, 760, 0, refcount=1, mapcount=-1 - slab))
    machine.put(100, page(layout, refcount=5000, mapcount=-1 - slab))
    machine.put(512, large(layout, 9, 2, 1, refcount=3, mapcount=-1 - hugetlb, mapping=FILE))
    machine.put(1024, large(layout, 9, 2, 1, refcount=3, mapping=FILE))
    assert machine.pinned() == [(512, "hugetlb", 2, True), (1024, "file", 2, True)]


def test_a_large_folio_without_a_pincount_counts_as_a_small_one() -> None:
    """Two pages, where the pincount is in the third: its pins are in its refcount."""
    machine = Machine(OLD, 1024)
    machine.put(64, large(OLD, 1, 0, 1, refcount=1025, mapping=ANON))
    assert machine.pinned() == [(64, "anon", 1, True)]


def test_memory_that_is_not_there_is_passed_over() -> None:
    """A hole, in parts of 512 pages; what lies beside it is found."""
    machine = Machine(NEW, CHUNK, absent=range(1024, 4096))
    for pfn in (1023, 4096, CHUNK - 1):
        machine.put(pfn, page(NEW, "lru", refcount=1025, mapcount=0, mapping=ANON))
    assert [found[0] for found in machine.pinned()] == [1023, 4096, CHUNK - 1]


def test_a_larger_struct_page() -> None:
    """80 bytes, as with debugging: columns are words of that many, and the second page begins there."""
    wide = replace(NEW, size=80, order=80, pincount=108, entire_mapcount=104, large_mapcount=96, nr_pages_mapped=100)
    machine = Machine(wide, 1024)
    machine.put(10, page(wide, "lru", refcount=1025, mapcount=0, mapping=ANON))
    machine.put(512, large(wide, 9, 4, 1, refcount=5, mapping=ANON))
    assert machine.pinned() == [(10, "anon", 1, True), (512, "anon", 4, True)]


def test_of_noise_the_same_is_told_as_page_by_page() -> None:
    """Struct pages of random bytes, their orders and counts often such as there are: nothing fails, and whether a page
    is told does not depend on what lies around it."""
    dice = random.Random(14)
    for layout in (NEW, OLD):
        machine = Machine(layout, 0)
        machine.pages = bytearray(dice.randbytes(4096 * layout.size))
        for pfn in range(4090):
            at = pfn * layout.size
            machine.pages[at + layout.order] = dice.choice([0, 1, 2, 9, 18, 19, dice.randrange(256)])
            struct.pack_into("<i", machine.pages, at + layout.refcount, dice.choice([0, 1, 1023, 1024, -7, 1 << 30]))
            machine.pages[at + layout.head] &= dice.choice([0xFE, 0xFF])
            if dice.random() < 0.5:
                struct.pack_into("<i", machine.pages, at + layout.pincount, 0)
        told = machine.pinned()
        assert told == [one for pfn in range(4096) for one in alone(machine, pfn)]
        assert len(told) > 300


def alone(machine: Machine, pfn: int) -> list[tuple[int, str, int, bool]]:
    """What is told of one page, by its own words and those behind it."""
    layout, at = machine.layout, pfn * machine.layout.size
    pages = bytes(machine.pages[at : at + 4 * layout.size]).ljust(4 * layout.size, b"\0")
    try:
        folio = decode(layout, pfn, pages)
    except Torn:
        return []
    tail, head = pages[layout.head] & 1, "head" in folio.flags
    if tail or (head and not folio.order) or folio.kind in ("slab", "free"):
        return []
    counted = (folio.pins or folio.taken_for_pinned) and (pfn, folio.kind, folio.pins, folio.taken_for_pinned)
    return [counted] if counted else []


def test_memory_is_bounded() -> None:
    """Eight times as many frames take no more memory at a time: a chunk is read, looked through and let go."""
    chunk = bytes(page(NEW, "lru", refcount=2, mapcount=0, mapping=ANON)) * CHUNK
    peaks = []
    for chunks in (2, 16):
        tracemalloc.start()
        assert list(scan(lambda pfn, count: chunk[: count * NEW.size], NEW, range(chunks * CHUNK))) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 8 << 20
