"""Which folio a frame is part of.

/proc/kpageflags tells that a page is the head of a folio or one of its tails, and not whose tail.  But a folio of 2^n
pages begins at a frame number that 2^n divides, as the buddy allocator gives it.  So of the places where the folio of a
tail may begin, the nearest that is a head is its own: those between are tails, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from pinhold.scenario.observation import FrameNames
from pinhold.targets.live.pagemap import KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL, FrameWords, bit

ORDERS = {"pte": 0, "pmd": 9, "pud": 18}
"""Of what one entry maps.  No folio is larger than the last."""

Told = Mapping[int, tuple[int | None, int | None]]
"""Flags and count of each frame."""

Place = tuple[int | None, int | None]
"""Name of a folio, and which of its pages it is; None where it cannot be told."""

UNKNOWN: Place = (None, None)


class Folios:
    """Names them as FrameNames does frames, of which they are independent."""

    def __init__(self, words: FrameWords) -> None:
        self._words = words
        self._names = FrameNames()
        self._told: Told = {}

    def begin(self, told: Told) -> None:
        """Start one observation.  told: what is known of frames already."""
        self._told = told
        self._names.begin()

    def end(self) -> None:
        """Forget what the observation did not show."""
        self._names.end()

    def place(self, frame: int | None, level: str = "pte") -> Place:
        """Of a frame.  level: of the entry that maps it; a huge one maps a folio whole."""
        flags = None if frame is None else self._flags(frame)
        if frame is None or flags is None:
            return UNKNOWN
        head = self._head(frame, ORDERS[level]) if bit(flags, KPF_COMPOUND_TAIL) else frame
        return UNKNOWN if head is None else (self._names.name(head), frame - head)

    def _flags(self, frame: int) -> int | None:
        return self._told[frame][0] if frame in self._told else self._words.flags(frame)

    def _head(self, tail: int, least: int) -> int | None:
        """least: its folio's order at least.  None: it is no tail any more."""
        begin = tail
        for order in range(least or 1, ORDERS["pud"] + 1):
            if tail & -(1 << order) != begin:
                begin = tail & -(1 << order)
                if bit(self._flags(begin) or 0, KPF_COMPOUND_HEAD):
                    return begin
        return None
