"""All struct pages of a machine, looked through by numpy in chunks: which folios have pins, or may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from drgn import FaultError

from pinhold.inspect.folio import GUP_PIN_COUNTING_BIAS, HEAD_PAGES, MAX_ORDER, Folio, Torn, decode
from pinhold.inspect.layout import Layout

if TYPE_CHECKING:
    from pinhold.inspect.view import View

CHUNK = 1 << 15
"""Struct pages read at a time: a section of memory, 2 MiB of vmemmap, as much as a processor's cache holds."""

_PART = 1 << 9
"""Struct pages of a subsection, the least that vmemmap has or has not (SUBSECTION_SIZE)."""

Read = Callable[[int, int], bytes]
"""So many struct pages from a frame number on; raises drgn.FaultError where there are none."""


def pinned(view: View, frames: range | None = None, told: Callable[[int], None] | None = None) -> Iterator[Folio]:
    """The folios with pins, and the small ones that the kernel takes for pinned, whose references are others.

    frames: those to look at; None: all.  told: hears how many frames have been looked at.  Of a kernel that runs, what
    changed while it was read is left out.
    """
    yield from scan(view.struct_pages, view.layout, frames or range(view.max_pfn), view.zero_pfns, told)


def scan(
    read: Read,
    layout: Layout,
    frames: range,
    zeros: frozenset[int] = frozenset(),
    told: Callable[[int], None] | None = None,
) -> Iterator[Folio]:
    """The same, by a layout alone.  A folio is told where its head is in `frames`."""
    for start in range(frames.start, frames.stop, CHUNK):
        size = min(CHUNK, frames.stop - start)
        for first, pages in _present(read, start, size):
            for index in _candidates(layout, pages):
                head = pages[index * layout.size : (index + HEAD_PAGES) * layout.size]
                try:
                    if len(head) < HEAD_PAGES * layout.size:
                        head = _few(read, first + index, head, layout)
                    folio = decode(layout, first + index, head, zeros)
                except Torn:
                    continue
                if folio.kind not in ("slab", "free") and (folio.pins or folio.taken_for_pinned):
                    yield folio
        if told is not None:
            told(start + size - frames.start)


def _present(read: Read, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    """What there is of a chunk: whole, or in parts where some are missing."""
    try:
        yield start, read(start, size)
    except FaultError:
        if size > _PART:
            for part in range(start, start + size, _PART):
                yield from _present(read, part, min(_PART, start + size - part))


def _few(read: Read, pfn: int, there: bytes, layout: Layout) -> bytes:
    """The first struct pages of a folio at the end of a chunk; zeros stand for what is not there."""
    try:
        return read(pfn, HEAD_PAGES)
    except FaultError:
        return there + bytes(HEAD_PAGES * layout.size - len(there))


def _candidates(layout: Layout, pages: bytes) -> list[int]:
    """Which of them are heads with a pincount, or small pages with as many references as a pin makes.

    Slabs are left out; and folios with fewer pages than a pincount needs count like small ones.
    """
    whole = memoryview(pages)[: len(pages) // layout.size * layout.size]
    octets = np.frombuffer(whole, np.uint8).reshape(-1, layout.size)
    words, halves = octets.view("<u8"), octets.view("<i4")
    references = halves[:, layout.refcount // 4]
    many = references.view(np.uint32) >= GUP_PIN_COUNTING_BIAS
    heads = words[:, layout.page_flags // 8] & np.uint64(1 << layout.flags["PG_head"]) != 0
    found = np.flatnonzero(many | heads & (references > 0))
    # All else is asked of these few alone.
    found = found[words[found, layout.head // 8] & np.uint64(1) == 0]
    found = found[~_slabs(layout, words[found], halves[found])]
    heads, many = heads[found], many[found]
    order = _of_tail(octets, found, layout.size, layout.order, MAX_ORDER)
    counted = heads & (np.left_shift(np.int64(1), np.minimum(order, MAX_ORDER)) > layout.pincount_page)
    pincount = _of_tail(halves, found, layout.size // 4, layout.pincount // 4, 1)
    can_be = ~heads | (order > 0) & (order <= MAX_ORDER)
    chosen: list[int] = found[can_be & np.where(counted, pincount != 0, many)].tolist()
    return chosen


def _of_tail(table: np.ndarray, heads: np.ndarray, columns: int, at: int, beyond: int) -> np.ndarray:
    """What stands at a place of folios, perhaps in a tail page; `beyond`: of those that go on beyond this chunk."""
    row, column = heads + at // columns, at % columns
    return np.where(row < len(table), table[np.minimum(row, len(table) - 1), column], beyond)


def _slabs(layout: Layout, words: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """By their flag, or by their page type, in _mapcount's word."""
    if type_ := layout.types.get("slab"):
        types = halves[:, layout.mapcount // 4].view(np.uint32)
        return np.asarray(types & np.uint32(type_.mask) == np.uint32(type_.value))
    bit = layout.flags.get("PG_slab")
    return np.asarray(words[:, layout.page_flags // 8] & np.uint64(0 if bit is None else 1 << bit) != 0)
