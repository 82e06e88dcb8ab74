"""Folios and pages by frame number, read as raw words: what the kernel counts, and how many pins that makes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.layout import Layout

if TYPE_CHECKING:
    from pinhold.inspect.view import View

GUP_PIN_COUNTING_BIAS = 1024
MAPPING_ANON, MAPPING_MOVABLE = 1, 2
"""Low bits of `mapping` (PAGE_MAPPING_FLAGS, later FOLIO_MAPPING_FLAGS): both: KSM."""

MAX_ORDER = 18
"""Of a folio: 1 GiB; more is a torn or damaged one."""

ENTIRELY_MAPPED = 0x80_0000
"""Of _nr_pages_mapped; below it: how many pages entries map (FOLIO_PAGES_MAPPED)."""

_MASKS_FROM = 0xFFFF_FFFF_0000_0000
"""No struct page lies so high: what does is a mask (compound_info_has_mask(), 7.x)."""

HEAD_PAGES = 4
"""Struct pages that have what is kept of a large folio."""


class Torn(CannotLook):
    """What was read contradicts itself: the kernel changed it meanwhile, or the memory is damaged."""


@dataclass(frozen=True, slots=True)
class Folio:
    """pfn: of the head page; flags: those of the head, by name; kind: see kind_of().

    refcount: with what the LRU batch holds (`batched`).
    mapcount: of a small folio; of a large one how often it is mapped as a whole (entire mapcount).
    large_mapcount: all entries that map it or a part of it; None: this kernel does not count it.
    pincount: as the kernel counts it, exact; None: it has none, and pins are in the refcount.
    mapping: without its low bits, the address of an anon_vma (where it is anon), of a struct address_space, or of KSM's
    stable node; 0: none.
    index: in pages, but see rmap.index_of().
    """

    pfn: int
    order: int
    kind: str
    flags: frozenset[str]
    refcount: int
    mapcount: int
    large_mapcount: int | None
    pincount: int | None
    mapping: int
    anon: bool
    index: int
    private: int

    @property
    def pages(self) -> int:
        return 1 << self.order

    @property
    def size(self) -> int:
        """In bytes."""
        return 4096 << self.order

    @property
    def batched(self) -> bool:
        """Whether it waits in a processor's batch for an LRU list, which holds a reference on it."""
        return self.kind in ("anon", "file", "ksm") and "lru" not in self.flags

    @property
    def taken_for_pinned(self) -> bool:
        """folio_maybe_dma_pinned(): of small folios many other references look the same."""
        if self.pincount is not None:
            return self.pincount > 0
        return self.refcount & 0xFFFF_FFFF >= GUP_PIN_COUNTING_BIAS

    @property
    def pins(self) -> int:
        """How many there are: without what else holds the refcount of a small folio up.

        Each of its entries holds one reference, and so do page cache or swap cache, buffers, and the LRU batch.
        """
        if self.pincount is not None:
            return max(self.pincount, 0)
        cached = self.kind == "file" or ("swapcache" in self.flags and self.kind in ("anon", "ksm"))
        others = self.mapcount + cached + ("private" in self.flags) + self.batched
        return max(0, self.refcount - others) // GUP_PIN_COUNTING_BIAS


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a folio.  mapcount: entries that map it, by itself or with the folio; exclusive: PageAnonExclusive of
    this page itself, which of a folio that one entry maps is the head's; None: this kernel has no such flag."""

    pfn: int
    folio: Folio
    mapcount: int
    exclusive: bool | None


def folio_at(view: View, pfn: int) -> Folio:
    """The folio that a frame belongs to.  Raises Torn, drgn.FaultError."""
    head = head_of(view, pfn)
    return decode(view.layout, head, view.struct_pages(head, HEAD_PAGES), view.zero_pfns)


def head_of(view: View, pfn: int) -> int:
    """The frame number of its folio's head.  Raises Torn, drgn.FaultError."""
    (info,) = struct.unpack_from("<Q", view.struct_pages(pfn, 1), view.layout.head)
    address = head_address(view.struct_page(pfn), info)
    head, rest = divmod(address - view.vmemmap, view.layout.size)
    if rest or not 0 <= pfn - head < 1 << MAX_ORDER:
        raise Torn(f"the page {pfn:#x} belongs to no folio that can be")
    return int(head)


def head_address(page: int, info: int) -> int:
    """Of the struct page that `info`, the word of the one at `page`, tells: itself, an address, or by a mask."""
    if not info & 1:
        return page
    return page & (info - 1) if info >= _MASKS_FROM else info - 1


def page_at(view: View, pfn: int) -> Page:
    """Raises Torn, drgn.FaultError."""
    folio = folio_at(view, pfn)
    if not 0 <= pfn - folio.pfn < folio.pages:
        raise Torn(f"the page {pfn:#x} lies outside of its folio")
    layout = view.layout
    page = view.struct_pages(pfn, 1)
    (flags,) = struct.unpack_from("<Q", page, layout.page_flags)
    bit = layout.flags.get("PG_anon_exclusive")
    exclusive = None if bit is None else folio.anon and bool(flags >> bit & 1)
    if not folio.order or folio.kind == "hugetlb":
        return Page(pfn, folio, folio.mapcount, exclusive)
    (alone,) = struct.unpack_from("<i", page, layout.mapcount)
    return Page(pfn, folio, alone + 1 + folio.mapcount - _double_mapped(view, folio), exclusive)


def _double_mapped(view: View, folio: Folio) -> int:
    """One too many that each page's count has while a folio is mapped both as a whole and in parts (PG_double_map, a
    flag of the second page; up to 6.1)."""
    bit = view.layout.flags.get("PG_double_map")
    if bit is None or folio.kind != "anon":
        return 0
    (flags,) = struct.unpack_from("<Q", view.struct_pages(folio.pfn + 1, 1), view.layout.page_flags)
    return int(flags >> bit & 1)


def decode(layout: Layout, pfn: int, pages: bytes, zeros: frozenset[int] = frozenset()) -> Folio:
    """A folio of its head's struct page and those after it.  Raises Torn."""
    (word,) = struct.unpack_from("<Q", pages, layout.page_flags)
    flags = frozenset(name.removeprefix("PG_") for name, bit in layout.flags.items() if bit < 32 and word >> bit & 1)
    mapping, index, private = (
        struct.unpack_from("<Q", pages, at)[0] for at in (layout.mapping, layout.index, layout.private)
    )
    mapcount, refcount = (struct.unpack_from("<i", pages, at)[0] for at in (layout.mapcount, layout.refcount))
    large = "head" in flags
    order = pages[layout.order] if large else 0
    if order > MAX_ORDER:
        raise Torn(f"the folio at {pfn:#x} has the order {order}")
    kind = "zero" if pfn in zeros else kind_of(layout, pages, flags, mapping)
    pincount = entire = large_mapcount = None
    if large and order:
        (entire,) = struct.unpack_from("<i", pages, layout.entire_mapcount)
        if layout.large_mapcount is not None:
            large_mapcount = struct.unpack_from("<i", pages, layout.large_mapcount)[0] + 1
        if 1 << order > layout.pincount_page:
            (pincount,) = struct.unpack_from("<i", pages, layout.pincount)
    # What is no count of entries is a page type: below -1 as a number (page_has_type(), page_type_has_type()).
    own = mapcount + 1 if mapcount >= -1 else 0
    return Folio(
        pfn=pfn,
        order=order,
        kind=kind,
        flags=flags,
        refcount=refcount,
        mapcount=own if entire is None else max(entire + 1, 0),
        large_mapcount=large_mapcount,
        pincount=pincount,
        mapping=mapping & ~3,
        anon=bool(mapping & MAPPING_ANON),
        index=index,
        private=private,
    )


def kind_of(layout: Layout, pages: bytes, flags: frozenset[str], mapping: int) -> str:
    """ "anon", "ksm", "file", "hugetlb", "slab", "free", or "other": what a driver or the kernel itself has."""
    (refcount,) = struct.unpack_from("<i", pages, layout.refcount)
    (word,) = struct.unpack_from("<I", pages, layout.mapcount)
    if refcount <= 0:
        return "free"
    if "slab" in flags or ("slab" in layout.types and layout.types["slab"].has(word)):
        return "slab"
    if "head" in flags and _hugetlb(layout, pages, word):
        return "hugetlb"
    if mapping & MAPPING_ANON:
        return "ksm" if mapping & MAPPING_MOVABLE else "anon"
    return "file" if mapping and not mapping & MAPPING_MOVABLE else "other"


def _hugetlb(layout: Layout, pages: bytes, word: int) -> bool:
    if "hugetlb" in layout.types:
        return layout.types["hugetlb"].has(word)
    if layout.dtor is not None and layout.hugetlb_dtor is not None:
        return pages[layout.dtor] == layout.hugetlb_dtor
    bit = layout.flags.get("PG_hugetlb")
    return bit is not None and bool(struct.unpack_from("<Q", pages, layout.size + layout.page_flags)[0] >> bit & 1)
