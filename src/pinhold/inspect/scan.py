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

_WORD, _HALF = np.dtype("<u8"), np.dtype("<i4")

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
    count = len(pages) // layout.size
    words = np.frombuffer(pages, _WORD, count * layout.size // 8).reshape(count, -1)
    halves = np.frombuffer(pages, _HALF, count * layout.size // 4).reshape(count, -1)
    flags, head_word = words[:, layout.page_flags // 8], words[:, layout.head // 8]
    references = halves[:, layout.refcount // 4]
    heads = flags & np.uint64(1 << layout.flags["PG_head"]) != 0
    tails = head_word & np.uint64(1) != 0
    others = tails | _slabs(layout, flags, halves)
    many = np.nonzero((references.view(np.uint32) >= GUP_PIN_COUNTING_BIAS) & ~heads & ~others)[0]
    large = np.nonzero(heads & (references > 0) & ~others)[0]
    found = {int(index) for index in many}
    octets = memoryview(pages)
    for index in large:
        # Heads are few: by one word each, which may lie beyond this chunk.
        at = int(index) * layout.size
        order = octets[at + layout.order] if at + layout.order < len(octets) else MAX_ORDER
        if not 0 < order <= MAX_ORDER:
            continue
        counted = 1 << order > layout.pincount_page
        if counted and at + layout.pincount + 4 <= len(octets):
            if any(octets[at + layout.pincount : at + layout.pincount + 4]):
                found.add(int(index))
        elif counted or references[index] >= GUP_PIN_COUNTING_BIAS:
            found.add(int(index))
    return sorted(found)


def _slabs(layout: Layout, flags: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """By their flag, or by their page type, the highest byte of _mapcount's word."""
    if "PGTY_slab" in layout.types:
        types = halves[:, layout.mapcount // 4].view(np.uint32) >> np.uint32(24)
        return np.asarray(types == layout.types["PGTY_slab"])
    bit = layout.flags.get("PG_slab")
    return np.asarray(flags & np.uint64(0 if bit is None else 1 << bit) != 0)
