"""Folios on struct pages made by hand: each place and form in which some kernel keeps a count."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("drgn", reason="needs drgn: pip install 'pinhold[inspect]'")

from pinhold.inspect.folio import Folio, Torn, decode, folio_at, head_address, page_at
from pinhold.inspect.layout import Layout
from struct_pages import ANON, FILE, FLAGS, NEW, OLD, VMEMMAP, large, page


def small(flags: str = "lru", layout: Layout = NEW, **words: int) -> Folio:
    return decode(layout, 100, bytes(page(layout, flags, **words) + bytes(3 * layout.size)))


def view(layout: Layout, pages: bytes, first: int) -> Any:
    """What of a View a folio needs, where there are only these struct pages."""

    def struct_pages(pfn: int, count: int) -> bytes:
        return pages[(pfn - first) * layout.size :][: count * layout.size]

    return SimpleNamespace(
        layout=layout, vmemmap=VMEMMAP, zero_pfns=frozenset({7}), struct_pages=struct_pages,
        struct_page=lambda pfn: VMEMMAP + pfn * layout.size,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("folio", "pins", "taken"),
    [
        (small(refcount=1025, mapcount=0, mapping=ANON), 1, True),
        (small(refcount=1025, mapcount=-1, mapping=FILE), 1, True),
        (small(refcount=1101, mapcount=1099, mapping=FILE), 0, True),
        (small(refcount=4098, mapcount=0, mapping=ANON, flags="lru swapcache"), 4, True),
        (small(refcount=1026, mapcount=0, mapping=ANON, flags=""), 1, True),
        (small(refcount=1025, mapcount=0, mapping=ANON, flags=""), 0, True),
        (small(refcount=2 + 1024, mapcount=-1, mapping=FILE, flags="lru private"), 1, True),
        (small(refcount=3, mapcount=1, mapping=ANON), 0, False),
        (small(refcount=1024 + 1000, mapcount=-1), 1, True),
    ],
    ids=[
        "anon",
        "stale file",
        "mapped 1,100 times",
        "four",
        "batched",
        "batched, 1,024 of others",
        "buffers",
        "none",
        "other",
    ],
)
def test_pins_of_a_small_folio_are_what_its_other_references_leave(folio: Folio, pins: int, taken: bool) -> None:
    """Entries, page and swap cache, buffers and the LRU batch hold references; the kernel takes any 1,024 for a pin."""
    assert (folio.pins, folio.taken_for_pinned) == (pins, taken)


@pytest.mark.parametrize("layout", [NEW, OLD], ids=["new", "old"])
def test_a_large_folio_has_an_exact_count(layout: Layout) -> None:
    """Wherever it is kept; the references beside it do not matter."""
    folio = decode(layout, 512, bytes(large(layout, 9, 3, 1, refcount=1 + 2048, mapping=ANON)))
    assert (folio.order, folio.pages, folio.pincount, folio.pins, folio.mapcount) == (9, 512, 3, 3, 1)
    assert decode(layout, 512, bytes(large(layout, 9, 0, 1, refcount=2049, mapping=ANON))).taken_for_pinned is False


def test_what_is_too_small_for_a_pincount_has_none() -> None:
    """A folio of two pages, where the pincount is kept in the third: that is another page's."""
    folio = decode(OLD, 512, bytes(large(OLD, 1, 760, 1, refcount=2, mapping=ANON)))
    assert folio.pincount is None and folio.pins == 0
    assert decode(NEW, 512, bytes(large(NEW, 1, 2, 1, refcount=2, mapping=ANON))).pins == 2


def test_kinds() -> None:
    """By mapping, flags and page type, each as some kernel has it."""
    assert small(refcount=1, mapping=ANON).kind == "anon"
    assert small(refcount=1, mapping=ANON | 2).kind == "ksm"
    assert small(refcount=1, mapping=FILE).kind == "file"
    assert small(refcount=1).kind == "other"
    assert small(refcount=0, mapping=FILE).kind == "free"
    assert small(refcount=1, flags="slab", layout=OLD).kind == "slab"
    assert small(refcount=1, mapcount=0xF500_0000 - (1 << 32)).kind == "slab"
    hugetlb = page(NEW, "head", refcount=1, mapping=FILE, mapcount=0xF400_0000 - (1 << 32)) + bytes(192)
    assert decode(NEW, 0, bytes(hugetlb)).kind == "hugetlb"
    hugetlb = page(OLD, "head", refcount=1, mapping=FILE) + bytes(192)
    hugetlb[OLD.dtor or 0] = 2
    assert decode(OLD, 0, bytes(hugetlb)).kind == "hugetlb"
    assert decode(NEW, 7, bytes(page(NEW, refcount=1) + bytes(192)), frozenset({7})).kind == "zero"


def test_a_page_type_is_no_count_of_entries() -> None:
    """The word of _mapcount is something else for hugetlb from 6.12 on, and for slabs."""
    assert small(refcount=1, mapcount=0xF400_0000 - (1 << 32)).mapcount == 0
    assert small(refcount=1, mapcount=4).mapcount == 5


@pytest.mark.parametrize("order", [1, 9, 18])
def test_a_tail_page_tells_its_head_by_address_or_by_mask(order: int) -> None:
    """7.x keeps a mask that makes the head's address of the tail's own; before that it is the head's address."""
    head = VMEMMAP + (3 << 18) * 64
    mask = ((1 << 64) - (64 << order)) | 1
    assert head_address(head + 64, mask) == head_address(head + 64, head | 1) == head
    assert head_address(head, 0) == head


@pytest.mark.parametrize("by_mask", [True, False])
def test_a_page_in_the_middle_belongs_to_its_folio(by_mask: bool) -> None:
    """Its own entries and those of the folio as a whole are its mapcount; exclusive is its own flag."""
    pages = large(NEW, 2, 1, 1, refcount=2, mapping=ANON)
    for tail in range(1, 4):
        info = ((1 << 64) - (64 << 2)) | 1 if by_mask else VMEMMAP + 8 * 64 | 1
        struct.pack_into("<Q", pages, 64 * tail + NEW.head, info)
    struct.pack_into("<Q", pages, 64 * 3, 1 << FLAGS["PG_anon_exclusive"])
    struct.pack_into("<i", pages, 64 * 3 + NEW.mapcount, 0)
    looked = view(NEW, bytes(pages), 8)
    assert folio_at(looked, 11).pfn == 8
    assert [(page_at(looked, pfn).mapcount, page_at(looked, pfn).exclusive) for pfn in (10, 11)] == [
        (1, False),
        (2, True),
    ]


def test_a_double_mapped_page_counts_one_too_many() -> None:
    """Up to 6.1: while a folio is mapped as a whole and in parts, each of its pages has one entry more than it has."""
    pages = large(OLD, 9, 0, 1, refcount=2, mapping=ANON)
    struct.pack_into("<Q", pages, 64 + OLD.head, VMEMMAP + 512 * 64 | 1)
    struct.pack_into("<i", pages, 64 + OLD.mapcount, 0)
    assert page_at(view(OLD, bytes(pages), 512), 513).mapcount == 2
    struct.pack_into("<Q", pages, 64, 1 << OLD.flags["PG_double_map"])
    assert page_at(view(OLD, bytes(pages), 512), 513).mapcount == 1
    assert page_at(view(OLD, bytes(pages), 512), 513).exclusive is None


def test_what_contradicts_itself_is_torn() -> None:
    """A tail whose head is elsewhere, an impossible order, a page beyond its folio: said, and not followed."""
    pages = page(NEW, head=0xDEAD_BEEF_0000_0001) + bytes(192)
    with pytest.raises(Torn):
        folio_at(view(NEW, bytes(pages), 8), 8)
    with pytest.raises(Torn):
        decode(NEW, 8, bytes(large(NEW, 60, 0, 0, refcount=1)))
    pages = large(NEW, 1, 0, 0, refcount=1, mapping=ANON)
    struct.pack_into("<Q", pages, 64 * 3 + NEW.head, VMEMMAP + 8 * 64 | 1)
    with pytest.raises(Torn):
        page_at(view(NEW, bytes(pages), 8), 11)
