"""The tracks as one still SVG: all in attributes, no style sheet and no script, for documentation, mail and slides."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from pinhold.pictures.layout import Layout, legend
from pinhold.pictures.story import Story
from pinhold.pictures.tracks import (
    MARK,
    MARKER,
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
from pinhold.pictures.words import account, merged, outcome, ran, step_words, title_of, turns, wrong_at

TINTS = ("#dbe9f9", "#fbe8c8", "#d8f0e0", "#efdff5", "#e6e6e6", "#fde0dd")
"""Of the bands."""
STRONG = ("#1d4f91", "#7a4a00", "#17603a", "#6b2d82", "#454545", "#8c2f1b")
"""Of the markers on them.  Colour says nothing that column and letter do not."""
NO_FRAME = "#454545"
INK, FAINT, RED, GREEN = "#1a1a1a", "#777777", "#b00020", "#17603a"
MONO = "DejaVu Sans Mono, Menlo, Consolas, monospace"
SANS = "DejaVu Sans, Verdana, Arial, sans-serif"
ROW, TOP, BETWEEN = 34, 118, 34
STEP_LETTERS = 60


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element; x_y becomes x-y, numbers get one decimal, None is left out."""
    words = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_number(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{words}>{content}</{name}>" if content else f"<{name}{words}/>"


def text(x: float, y: float, words: str, /, **attributes: object) -> str:
    given: dict[str, object] = {"font_size": 12, "fill": INK, "font_family": SANS, **attributes}
    return tag("text", escape(words), x=x, y=y, **given)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def still(stories: Sequence[Story], name: str) -> str:
    """The whole picture."""
    drawn = merged(stories)
    title = title_of(drawn[0], name)
    notes = [account(story) for story in drawn]
    sheet = _Sheet([Tracks(Layout(story)) for story in drawn if ran(story)], drawn, title)
    size = {"width": round(sheet.width), "height": round(sheet.height)}
    body = [
        tag("title", escape(title), id="t"),
        tag("desc", escape(" ".join(notes)), id="d"),
        tag("rect", fill="#ffffff", **size),
        *sheet.parts(),
    ]
    frame = {"viewBox": f"0 0 {size['width']} {size['height']}", "role": "img", "aria_labelledby": "t d"}
    return tag("svg", "\n".join(body), xmlns="http://www.w3.org/2000/svg", **size, **frame) + "\n"


class _Sheet:
    def __init__(self, sides: Sequence[Tracks], told: Sequence[Story], title: str) -> None:
        self.sides = sides
        self.title = title
        self.rows = max((len(side.story.rows) for side in sides), default=0)
        rows = max((side.story.rows for side in sides), key=len, default=[])
        self.steps = [_cut(step_words(row)) for row in rows]
        self.happened = [_cut("; ".join(turns([side.story for side in sides], row))) for row in range(self.rows)]
        letters = (max(map(len, said), default=0) for said in (self.steps, self.happened))
        self.step_width = 42 + max(size * count for size, count in zip((7.9, 6.4), letters, strict=True))
        tracks = self.step_width + sum(self.room(side) + BETWEEN for side in sides)
        self.width = max(tracks, 24 + 9.6 * len(title))
        self.legend = textwrap.wrap(legend(side.layout for side in sides), int((self.width - 24) / 6.8))
        self.sentences = [
            line for story in told for line in textwrap.wrap(account(story), int((self.width - 24) / 6.8))
        ]
        self.height = TOP + ROW * self.rows + 66 + 16 * (len(self.legend) + len(self.sentences)) + 14

    def room(self, side: Tracks) -> float:
        """Across, with what is said beside and below the tracks."""
        parting = 110 if side.story.parting is not None or side.leak is not None else 0
        return max(side.width + parting, 9.0 * len(side.story.run.target), 7.2 * len(outcome(side.story)[0]) + 20)

    def parts(self) -> Iterator[str]:
        yield text(12, 26, self.title, font_size=16, font_weight="bold")
        for row, words in enumerate(self.steps):
            yield from self._step(row, words)
        x = self.step_width
        for side in self.sides:
            yield from self._side(side, x)
            x += self.room(side) + BETWEEN
        y = TOP + ROW * self.rows + 56
        for words in [*self.sentences, *self.legend]:
            yield text(12, y, words, font_size=11.5, fill="#333333")
            y += 16

    def _step(self, row: int, words: str) -> Iterator[str]:
        happened = self.happened[row]
        y = TOP + ROW * (row + MARKER) + (-1 if happened else 5)
        wrong = any(wrong_at(side.story) == row for side in self.sides)
        yield text(24, y, str(row + 1), fill="#555555", text_anchor="end", font_family=MONO)
        yield text(32, y, words, font_size=13, font_family=MONO, font_weight="bold" if wrong else None)
        if happened:
            yield text(32, y + 12, happened, font_size=11, fill="#333333", font_style="italic")
        if row:
            yield tag("path", d=f"M12 {TOP + ROW * row}H{round(self.width) - 12}", stroke="#e3e3e3")

    def _side(self, side: Tracks, x: float) -> Iterator[str]:
        story = side.story
        yield text(x + 6, 56, story.run.target, font_size=14, font_weight="bold")
        for column in side.layout.columns:
            middle = x + (side.left[column] + side.right[column]) / 2
            name, kind = side.layout.head(column)
            yield text(middle, 80, name, font_weight="bold", text_anchor="middle", font_family=MONO)
            yield text(middle, 96, kind, font_size=11, text_anchor="middle", fill="#444444")
        for row in range(len(story.rows)):
            pen = Pen(x, TOP + ROW * row)
            for element in side.elements(row):
                yield from pen.draw(element)
            if row in (wrong_at(story), story.parting):
                words = "they part" if side.leak is None else f"{story.strands[side.leak.reader].label} reads it"
                colour = INK if story.may_part else RED
                y = pen.down(MARKER) + 5
                yield text(
                    x + side.width, y, f"\N{BLACK LEFT-POINTING TRIANGLE} {words}", font_weight="bold", fill=colour
                )
        word, _ = outcome(story)
        bad, good = word == "VIOLATED", word == "held"
        sign = "\N{BALLOT X} " if bad else "\N{CHECK MARK} " if good else ""
        y = TOP + ROW * self.rows + 24
        colour = RED if bad else GREEN if good else INK
        yield text(x + 6, y, sign + word, font_size=14, font_weight="bold", fill=colour)


def _cut(words: str) -> str:
    return words if len(words) <= STEP_LETTERS else words[: STEP_LETTERS - 3] + "..."


class Pen:
    """Draws the elements of one row, whose left upper corner is at x, y."""

    def __init__(self, x: float, y: float, height: float = ROW) -> None:
        self.x = x
        self.y = y
        self.height = height

    def across(self, x: float) -> float:
        return round(self.x + x, 1)

    def down(self, part: float) -> float:
        return round(self.y + self.height * part, 1)

    def draw(self, element: Element) -> Iterator[str]:
        match element:
            case BandPart(left, right, top, bottom, column):
                yield self._box(left, right, top, bottom, TINTS[column % 6])
            case Hatch():
                yield from self._hatch(element)
            case Line():
                yield from self._line(element)
            case End(x):
                yield self._at(x, tag("path", d="M-6-6 6 6M-6 6 6-6", stroke=INK, stroke_width=2.5))
            case Joined(x1, x2):
                yield self._level(x1, x2, stroke=INK, stroke_width=6)
            case Apart():
                yield from self._apart(element)
            case Leaks():
                yield from self._leaks(element)
            case Marker():
                yield self._marker(element)
            case Dot(x, _, of):
                yield tag("circle", cx=self.across(x), cy=self.down(MARKER), r=5, fill=_strong(of), stroke="#ffffff")
            case ByteText(x, words, new, of):
                halo = {"stroke": TINTS[of % 6], "stroke_width": 4, "paint_order": "stroke"}
                weight = "bold" if new else None
                y = self.down(MARKER) + 4
                yield text(self.across(x), y, words, text_anchor="middle", font_family=MONO, font_weight=weight, **halo)

    def _box(self, left: float, right: float, top: float, bottom: float, fill: str) -> str:
        size = {"width": float(right - left), "height": float(self.height * (bottom - top))}
        return tag("rect", x=self.across(left), y=self.down(top), fill=fill, **size)

    def _level(self, x1: float, x2: float, **attributes: object) -> str:
        y = self.down(MARKER)
        return tag("line", x1=self.across(x1), y1=y, x2=self.across(x2), y2=y, **attributes)

    def _at(self, x: float, content: str) -> str:
        return tag("g", content, transform=f"translate({_number(self.across(x))} {_number(self.down(MARKER))})")

    def _hatch(self, hatch: Hatch) -> Iterator[str]:
        colour = FAINT if hatch.allowed else RED
        yield self._box(hatch.left, hatch.right, hatch.top, 1, "#f4f4f4" if hatch.allowed else "#fdecee")
        top, bottom = self.down(hatch.top), self.down(1)
        left, right = self.across(hatch.left), self.across(hatch.right)
        ends = (
            ((max(left, c - bottom), min(bottom, c - left)), (min(right, c - top), max(top, c - right)))
            for c in range(int(left + top) + 8, int(right + bottom), 8)
        )
        strokes = "".join(f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}" for (x1, y1), (x2, y2) in ends)
        yield tag("path", d=strokes, stroke=colour, opacity=0.45)

    def _line(self, line: Line) -> Iterator[str]:
        ends = {
            "x1": self.across(line.x1),
            "y1": self.down(line.y1),
            "x2": self.across(line.x2),
            "y2": self.down(line.y2),
        }
        colour = INK if line.strand.hero else FAINT
        if line.strand.is_pin:
            yield tag("line", stroke=colour, stroke_width=8, **ends)
            yield tag(
                "line", stroke=TINTS[line.of % 6] if isinstance(line.of, int) else "#ffffff", stroke_width=4, **ends
            )
        else:
            dashes = "5 3" if line.branch else None
            width = 3.5 if line.strand.hero else 1.5
            yield tag(
                "line", stroke=colour, stroke_width=width, stroke_linecap="round", stroke_dasharray=dashes, **ends
            )

    def _apart(self, apart: Apart) -> Iterator[str]:
        colour = INK if apart.allowed else RED
        yield self._level(apart.x1, apart.x2, stroke=colour, stroke_width=2.5, stroke_dasharray="4 3")
        if apart.allowed:
            disc = tag("circle", r=12, fill="#ffffff", stroke=colour, stroke_width=2)
        else:
            disc = tag("circle", r=12, fill=colour)
        sign = tag("path", d="M-5-3H5M-5 3H5M-3 7 3-7", stroke=colour if apart.allowed else "#ffffff", stroke_width=2)
        yield self._at(apart.disc, disc + sign)

    def _leaks(self, leaks: Leaks) -> Iterator[str]:
        sign = -1 if leaks.x2 < leaks.x1 else 1
        if leaks.x1 != leaks.x2:
            yield self._level(leaks.x1, leaks.x2 - sign * 10, stroke=RED, stroke_width=3.5)
        tip = leaks.x2 - sign * 5
        yield self._at(tip, tag("path", d=f"M0 0L{-9 * sign} -6V6Z", fill=RED))
        box = tag("rect", x=-24, y=-10, width=48, height=20, fill="#ffffff", stroke=RED, stroke_width=2)
        words = text(0, 4, leaks.change, text_anchor="middle", font_family=MONO, font_weight="bold", fill=RED)
        yield self._at(leaks.byte, box + words)

    def _marker(self, marker: Marker) -> str:
        words = marker.text[:MARK]
        width = max(18, 8 + 8 * len(words))
        radius = 2 if marker.strand.is_pin else 9
        if marker.strand.hero:
            fill, stroke, ink, weight = _strong(marker.of), "#ffffff", "#ffffff", "bold"
        else:
            fill, stroke, ink, weight = "#ffffff", FAINT, "#333333", None
        size = {"x": -width / 2, "y": -9, "width": width, "height": 18, "rx": radius}
        box = tag("rect", fill=fill, stroke=stroke, stroke_width=1.5, **size)
        label = text(0, 4, words, text_anchor="middle", font_family=MONO, font_weight=weight, fill=ink)
        return self._at(marker.x, tag("title", escape(marker.strand.label)) + box + label)


def _strong(column: object) -> str:
    return STRONG[column % 6] if isinstance(column, int) else NO_FRAME
