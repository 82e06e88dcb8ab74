"""What each row of a picture shows, in units across and in parts of the row down: drawn by still.py and page.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pinhold.pictures.layout import Column, Layout
from pinhold.pictures.story import Story, Strand
from pinhold.pictures.words import Leak, byte_word, leak
from pinhold.scenario.observation import PageView

SLOT, PAD, BYTE, GAP = 26, 8, 24, 36
"""Units: a line, the edge of a band, the field of its byte, and between two bands, where the disc has to fit."""
LEAK_BYTE = 48
"""The field of a byte in a band in which it is told from what to what it changed."""
EDGE = 6
MARK = 6
"""Letters of a marker."""
MARKER = 0.5
"""Of a row: where the markers stand."""
MOVE = 0.15
"""Where a move has come to its new column, above the marker: it never runs through a pin's marker."""


@dataclass(frozen=True, slots=True)
class BandPart:
    left: float
    right: float
    top: float
    bottom: float
    column: int


@dataclass(frozen=True, slots=True)
class Hatch:
    """Between two bands of which a pin is on one and its page on the other."""

    left: float
    right: float
    top: float
    allowed: bool


@dataclass(frozen=True, slots=True)
class Line:
    """of: the column whose colour it has; branch: from a parent's line to a child's."""

    x1: float
    y1: float
    x2: float
    y2: float
    strand: Strand
    of: Column
    branch: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """A holder lets go."""

    x: float


@dataclass(frozen=True, slots=True)
class Joined:
    """Pin and page on one frame."""

    x1: float
    x2: float


@dataclass(frozen=True, slots=True)
class Apart:
    """Pin and page on two frames; disc: where it stands."""

    x1: float
    x2: float
    disc: float
    allowed: bool


@dataclass(frozen=True, slots=True)
class Leaks:
    """An arrow from who writes to who reads it, too, and the byte from what to what."""

    x1: float
    x2: float
    byte: float
    change: str


@dataclass(frozen=True, slots=True)
class Marker:
    x: float
    strand: Strand
    text: str
    of: Column


@dataclass(frozen=True, slots=True)
class Dot:
    """Something changed in place."""

    x: float
    strand: Strand
    of: Column


@dataclass(frozen=True, slots=True)
class ByteText:
    x: float
    text: str
    new: bool
    of: int


Element = BandPart | Hatch | Line | End | Joined | Apart | Leaks | Marker | Dot | ByteText


class Tracks:
    """One target's tracks."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.story: Story = layout.story
        self.leak: Leak | None = leak(layout.story)
        self.left: dict[Column, float] = {}
        self.right: dict[Column, float] = {}
        self._x: dict[tuple[int, Column], float] = {}
        x: float = EDGE
        for column in layout.columns:
            self.left[column] = x
            x += PAD
            for k in layout.lines(column):
                wide = max(SLOT, 14 + 8 * len(layout.marks[k][:MARK]))
                self._x[k, column] = x + wide / 2
                x += wide
            x += PAD + (self._byte_field(column) if isinstance(column, int) else 0)
            self.right[column] = x
            x += GAP
        self.width = max(x - GAP + EDGE, 60.0)

    def _byte_field(self, column: int) -> int:
        return LEAK_BYTE if self.leak is not None and self.leak.band == column else BYTE

    def elements(self, row: int) -> Iterator[Element]:
        """From the ground up."""
        yield from self._bands(row)
        yield from self._hatches(row)
        for k in self._thin_first:
            yield from self._line(k, row)
        yield from self._links(row)
        for k in self.layout.order:
            yield from self._marker(k, row)
        yield from self._bytes(row)
        yield from self._leak(row)

    @cached_property
    def _thin_first(self) -> list[int]:
        return sorted(self.layout.order, key=lambda k: self.story.strands[k].hero)

    def _bands(self, row: int) -> Iterator[Element]:
        for column in self.layout.columns:
            if isinstance(column, int):
                band = self.story.bands[column]
                if band.first <= row <= band.last + 1:
                    top = MARKER if row == band.first else 0
                    bottom = MARKER if row == band.last + 1 else 1
                    yield BandPart(self.left[column], self.right[column], top, bottom, column)

    def _hatches(self, row: int) -> Iterator[Element]:
        for pair in self.story.parted_at[row]:
            if (columns := self._columns(pair, row)) is not None:
                low, high = sorted(columns, key=lambda c: self.left[c])
                top = MARKER if not row or pair not in self.story.parted_at[row - 1] else 0
                yield Hatch(self.right[low], self.left[high], top, self.story.may_part)

    def _columns(self, pair: tuple[int, int], row: int) -> tuple[int, int] | None:
        """Where pin and page are, if both are drawn."""
        pin, page = (self.story.strands[k].at[row] for k in pair)
        if isinstance(pin, int) and isinstance(page, int) and pin in self.left and page in self.left:
            return (pin, page) if set(pair) <= set(self.layout.shown) else None
        return None

    def _line(self, k: int, row: int) -> Iterator[Element]:
        strand = self.story.strands[k]
        now, before = strand.at[row], strand.at[row - 1] if row else None
        if now in self.left and now is not None:
            x = self._x[k, now]
            if now == before:
                yield Line(x, 0, x, 1, strand, now)
            elif before in self.left and before is not None:
                yield Line(self._x[k, before], 0, x, MOVE, strand, now)
                yield Line(x, MOVE, x, 1, strand, now)
            else:
                yield from self._branch(k, row, now)
                yield Line(x, MARKER, x, 1, strand, now)
        elif before in self.left and before is not None:
            x = self._x[k, before]
            yield Line(x, 0, x, MARKER, strand, before)
            yield End(x)

    def _branch(self, k: int, row: int, now: Column) -> Iterator[Element]:
        """A child's line comes from its parent's: from all of them whose pages it has."""
        strand = self.story.strands[k]
        parent = None if strand.is_pin or not row else self.story.forks[row].get(strand.owner)
        for j, other in enumerate(self.story.strands):
            of_parent = (other.owner, other.region) == (parent, strand.region)
            if of_parent and set(other.pages) & set(strand.pages):
                before = other.at[row - 1]
                if before is not None and (j, before) in self._x:
                    yield Line(self._x[j, before], 0, self._x[k, now], MARKER, strand, now, branch=True)

    def _links(self, row: int) -> Iterator[Element]:
        expects = self.story.rows[row].recorded.check is not None
        for pair in self.story.parted_at[row]:
            columns = self._columns(pair, row)
            if columns is not None and (expects or pair in self._fresh(row)):
                high = max(columns, key=lambda c: self.left[c])
                x1, x2 = (self._x[k, c] for k, c in zip(pair, columns, strict=True))
                yield Apart(x1, x2, self.left[high] - GAP / 2, self.story.may_part)
        for pair in self._joined(row):
            if (columns := self._columns(pair, row)) is not None:
                yield Joined(self._x[pair[0], columns[0]], self._x[pair[1], columns[1]])

    def _joined(self, row: int) -> list[tuple[int, int]]:
        """The pairs that are told to be on one frame: at expectations, and where one of both has come to it."""
        expects = self.story.rows[row].recorded.check is not None
        return [pair for pair in self.story.together(row) if expects or any(self._came(k, row) for k in pair)]

    def _came(self, k: int, row: int) -> bool:
        at = self.story.strands[k].at
        return at[row] != (at[row - 1] if row else None)

    def _fresh(self, row: int) -> list[tuple[int, int]]:
        """The pairs that part here."""
        before = self.story.parted_at[row - 1] if row else []
        return [pair for pair in self.story.parted_at[row] if pair not in before]

    def _marker(self, k: int, row: int) -> Iterator[Element]:
        """Where a line begins or moves, where pin and page meet or part, at expectations; a dot where it changed."""
        strand = self.story.strands[k]
        now = strand.at[row]
        if now is None or now not in self.left:
            return
        paired = any(k in pair for pair in self.story.pairs)
        told = paired and self.story.rows[row].recorded.check is not None
        if self._came(k, row) or told or any(k in pair for pair in self._fresh(row) + self._joined(row)):
            yield Marker(self._x[k, now], strand, self.layout.marks[k], now)
        elif k in self.story.rows[row].changed and self._looks_new(strand, row):
            yield Dot(self._x[k, now], strand, now)

    def _looks_new(self, strand: Strand, row: int) -> bool:
        now, before = strand.views[row], strand.views[row - 1]
        if not isinstance(now, PageView) or not isinstance(before, PageView):
            return False
        return any(getattr(now, f) != getattr(before, f) for f in ("state", "kind", "exclusive", "byte"))

    def _bytes(self, row: int) -> Iterator[Element]:
        expects = self.story.rows[row].recorded.check is not None
        asked = {self.story.strands[k].at[row] for pair in self.story.pairs for k in pair}
        for column, band in self.layout.bands(row):
            byte, known = band.bytes[row], band.known[row - 1] if row > band.first else None
            if byte is None or (self.leak is not None and (self.leak.row, self.leak.band) == (row, column)):
                continue
            if byte != known or (expects and column in asked):
                yield ByteText(self._byte_x(column), byte_word(byte), byte != known, column)

    def _byte_x(self, column: int) -> float:
        return self.right[column] - PAD - self._byte_field(column) / 2 + 4

    def _leak(self, row: int) -> Iterator[Element]:
        found = self.leak
        if found is None or row != found.row or found.band not in self.left:
            return
        known = self.story.bands[found.band].known
        reader = self._x[found.reader, found.band]
        writer = reader if found.writer is None else self._x[found.writer, found.band]
        change = f"{byte_word(known[row - 1])}\N{RIGHTWARDS ARROW}{byte_word(known[row])}"
        yield Leaks(writer, reader, self._byte_x(found.band), change)
