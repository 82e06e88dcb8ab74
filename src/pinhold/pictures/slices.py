"""The tracks as one small SVG a row and target, for a page: per cent across and pixels down.

So the browser wraps the text and makes rows as tall as they need to be, lines go on from row to row, markers keep their
shape, and columns shrink to a phone.  Classes only: the page's content-security policy allows no style attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from pinhold.pictures.still import tag
from pinhold.pictures.tracks import (
    MARK,
    MARKER,
    MOVE,
    Apart,
    BandPart,
    ByteText,
    Dot,
    Element,
    End,
    Hatch,
    Joined,
    Leaks,
    Line,
    Marker,
    Tracks,
)

LEVEL = 26
"""Pixels from a row's top to its markers: level with the first line of the step's text, however tall the row."""
DOWN = {MARKER: str(LEVEL), MOVE: str(LEVEL - 12)}
COLOURS = 6


class Slicer:
    """Draws the rows of one target."""

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks

    def row(self, row: int) -> str:
        """The row's SVG, "" where it shows nothing."""
        body = "".join(part for element in self.tracks.elements(row) for part in self._draw(element))
        if not body:
            return ""
        return tag("svg", body, class_="slice", width="100%", height="100%", aria_hidden="true", focusable="false")

    def heads(self) -> str:
        """Above the first row: the columns' names and kinds."""
        body = ""
        for column in self.tracks.layout.columns:
            middle = (self.tracks.left[column] + self.tracks.right[column]) / 2
            name, kind = self.tracks.layout.head(column)
            words = tag("text", escape(name), class_="hd", y=14, text_anchor="middle")
            words += tag("text", escape(kind), class_="hk", y=30, text_anchor="middle")
            body += tag("svg", words, x=self.across(middle), overflow="visible")
        return tag("svg", body, class_="heads", width="100%", height=36, aria_hidden="true")

    def across(self, x: float) -> str:
        return f"{100 * x / self.tracks.width:.2f}%"

    def _draw(self, element: Element) -> Iterator[str]:
        match element:
            case BandPart(left, right, top, bottom, column):
                yield self._box(left, right, top, bottom, f"b{column % COLOURS}")
            case Hatch(left, right, top, allowed):
                yield self._box(left, right, top, 1, "hatch allowed" if allowed else "hatch")
            case Line():
                yield from self._line(element)
            case End(x):
                yield self._at(x, tag("path", d="M-6-6 6 6M-6 6 6-6"), "end")
            case Joined(x1, x2):
                yield self._level(x1, x2, "joined")
            case Apart(x1, x2, disc, allowed):
                which = "apart allowed" if allowed else "apart"
                yield self._level(x1, x2, which)
                sign = tag("circle", r=11) + tag("path", d="M-5-3H5M-5 3H5M-3 7 3-7")
                yield self._at(disc, sign, f"disc {which}")
            case Leaks():
                yield from self._leaks(element)
            case Marker():
                yield self._marker(element)
            case Dot(x, _, of):
                yield tag("circle", class_=f"dot {_colour(of)}", cx=self.across(x), cy=LEVEL, r=5)
            case ByteText(x, words, new, of):
                label = tag("text", words, y=4, text_anchor="middle")
                yield self._at(x, label, f"byte h{of % COLOURS}{' new' if new else ''}")

    def _box(self, left: float, right: float, top: float, bottom: float, which: str) -> str:
        height = str(LEVEL) if (top, bottom) == (0, MARKER) else "100%"
        width = self.across(right - left)
        return tag("rect", class_=which, x=self.across(left), y=DOWN.get(top, "0"), width=width, height=height)

    def _line(self, line: Line) -> Iterator[str]:
        ends = {
            "x1": self.across(line.x1),
            "y1": DOWN.get(line.y1, f"{100 * line.y1:g}%"),
            "x2": self.across(line.x2),
            "y2": DOWN.get(line.y2, f"{100 * line.y2:g}%"),
        }
        which = " ".join(
            word
            for word, said in (
                ("line", True),
                ("pin", line.strand.is_pin),
                ("minor", not line.strand.hero),
                ("branch", line.branch),
            )
            if said
        )
        yield tag("line", class_=which, **ends)
        if line.strand.is_pin:
            core = f"c{line.of % COLOURS}" if isinstance(line.of, int) else "cx"
            yield tag("line", class_=f"core {core}", **ends)

    def _level(self, x1: float, x2: float, which: str) -> str:
        return tag("line", class_=which, x1=self.across(x1), y1=LEVEL, x2=self.across(x2), y2=LEVEL)

    def _at(self, x: float, content: str, which: str) -> str:
        return tag("svg", content, class_=which, x=self.across(x), y=LEVEL, overflow="visible")

    def _leaks(self, leaks: Leaks) -> Iterator[str]:
        sign = -1 if leaks.x2 < leaks.x1 else 1
        if leaks.x1 != leaks.x2:
            yield self._level(leaks.x1, leaks.x2, "leak")
        yield self._at(leaks.x2, tag("path", d=f"M{-5 * sign} 0L{-15 * sign} -6V6Z"), "leak")
        box = tag("rect", x=-24, y=-10, width=48, height=20)
        yield self._at(leaks.byte, box + tag("text", leaks.change, y=4, text_anchor="middle"), "change")

    def _marker(self, marker: Marker) -> str:
        words = marker.text[:MARK]
        width = max(18, 8 + 8 * len(words))
        box = tag("rect", x=-width / 2, y=-9, width=width, height=18, rx=2 if marker.strand.is_pin else 9)
        label = tag("text", escape(words), y=4, text_anchor="middle")
        which = "marker" if marker.strand.hero else "marker minor"
        return self._at(marker.x, box + label, f"{which} {_colour(marker.of)}")


def _colour(column: object) -> str:
    return f"n{column % COLOURS}" if isinstance(column, int) else "nx"
