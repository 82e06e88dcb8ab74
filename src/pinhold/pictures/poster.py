"""A poster: one scenario told in words, the tracks of its targets beside them, and what decided, on one large sheet.

The words are the comments of the scenario's own text, above the step that they are about: a heading up to the first
full stop, then what happens there.  All else is drawn from the runs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from xml.sax.saxutils import escape

from pinhold.pictures.layout import Layout
from pinhold.pictures.still import GREEN, INK, MONO, RED, Pen, tag, text
from pinhold.pictures.story import Story, Strand
from pinhold.pictures.tracks import Apart, BandPart, Element, End, Hatch, Joined, Line, Marker, Tracks
from pinhold.pictures.words import account, merged, outcome, ran, sentence, step_words, wrong_at
from pinhold.scenario.ran import Decision
from pinhold.scenario.steps.table import HEADERS

SHEET = 420, 297
"""Millimetres: A3, landscape; A2 is the same shape."""
LIFE = files("pinhold.pictures") / "life.pin"
"""The story that comes with pinhold."""
MARGIN, TOP, BOTTOM, BETWEEN = 40, 210, 130, 56
WORDS, WHY = 540, 500
"""Pixels across: the words, and what decided."""
LINE = 18
HOW = (
    "Steps go down. A column is a page frame, the number its byte; a line is who holds it: a line that leaves its "
    "column is a page that has got another frame. A device holds the frame, not the address."
)
SOFT, EDGE = "#555555", "#e0e0e0"


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a step; heading "": nothing."""

    heading: str
    rest: str


def said(source: str) -> list[Said]:
    """Of each step of a scenario's text what the comment above it says; what is above a header is about the whole."""
    found: list[Said] = []
    comment: list[str] = []
    for line in filter(None, map(str.strip, source.splitlines())):
        if line.startswith("#"):
            comment.append(line.lstrip("# "))
            continue
        if line.split()[0] not in HEADERS:
            heading, _, rest = " ".join(comment).partition(".")
            found.append(Said(heading, rest.strip()))
        comment = []
    return found


def poster(stories: Sequence[Story], words: Sequence[Said]) -> str:
    """The sheet, as SVG; a step without words has itself alone.  At least one target has run."""
    return _Poster([Tracks(Layout(one)) for one in merged(stories) if ran(one)], words).svg()


class _Poster:
    def __init__(self, sides: Sequence[Tracks], words: Sequence[Said]) -> None:
        self.sides = sides
        self.words = words
        self.rows = max((side.story.rows for side in sides), key=len)
        self.title = sides[0].story.run.text.partition("\n")[0].removeprefix("scenario ")
        left: float = MARGIN + WORDS + BETWEEN
        self.lefts = []
        for side in sides:
            self.lefts.append(left)
            left += max(side.width, 240) + BETWEEN
        self.why = left
        self.width = round(left + WHY + MARGIN)
        self.height = round(self.width * SHEET[1] / SHEET[0])
        self.tops = self._tops()

    def _tops(self) -> list[float]:
        """Where each row begins, and where the last one ends: what is left of the sheet is shared out among them."""
        needed = [14 + LINE * max(len(self._told(row)), len(self._decided(row)), 2) for row in range(len(self.rows))]
        spare = self.height - TOP - BOTTOM - sum(needed)
        if spare < 0:  # a longer story gets a higher sheet
            self.height -= round(spare)
        tops = [float(TOP)]
        for height in needed:
            tops.append(tops[-1] + height + max(spare, 0) / len(needed))
        return tops

    def svg(self) -> str:
        notes = " ".join(account(side.story) for side in self.sides)
        body = [tag("title", escape(self.title), id="t"), tag("desc", escape(notes), id="d")]
        body += [tag("rect", fill="#ffffff", width=self.width, height=self.height)]
        body += self._head()
        for row in range(len(self.rows)):
            body += self._row(row)
        for side, left in zip(self.sides, self.lefts, strict=True):
            body += self._side(side, left)
        body += self._foot()
        size = {"width": f"{SHEET[0]}mm", "height": f"{SHEET[0] * self.height / self.width:.0f}mm"}
        frame = {"viewBox": f"0 0 {self.width} {self.height}", "role": "img", "aria_labelledby": "t d"}
        return tag("svg", "\n".join(body), xmlns="http://www.w3.org/2000/svg", **size, **frame) + "\n"

    def _head(self) -> Iterator[str]:
        yield text(MARGIN, 70, self.title, font_size=46, font_weight="bold")
        for number, line in enumerate(textwrap.wrap(HOW, 118)):
            yield text(MARGIN, 104 + 24 * number, line, font_size=18, fill=SOFT)
        yield from _legend(self.why + WHY - 490, 28)
        for side, left in zip(self.sides, self.lefts, strict=True):
            yield text(left, 164, _kernel(side.story.run.target), font_size=22, font_weight="bold")
            for column in side.layout.columns:
                middle = left + (side.left[column] + side.right[column]) / 2
                name, kind = side.layout.head(column)
                yield text(middle, 186, name, font_size=14, font_weight="bold", text_anchor="middle", font_family=MONO)
                yield text(middle, 202, kind, font_size=12, text_anchor="middle", fill=SOFT)
        yield text(self.why, 202, "decided by", font_size=14, font_weight="bold")
        yield tag("path", d=f"M{MARGIN} {TOP}H{self.width - MARGIN}", stroke=INK, stroke_width=2)

    def _row(self, row: int) -> Iterator[str]:
        top, bottom = self.tops[row : row + 2]
        if row:
            yield tag("path", d=f"M{MARGIN} {top:.1f}H{self.width - MARGIN}", stroke=EDGE)
        lines = self._told(row)
        y = (top + bottom - LINE * len(lines)) / 2 + 13
        yield text(MARGIN + 22, y, str(row + 1), font_size=15, text_anchor="end", fill=SOFT, font_family=MONO)
        for line in lines:
            yield text(MARGIN + 36, y, line.words, **line.look)
            y += LINE
        decided = self._decided(row)
        y = (top + bottom - LINE * len(decided)) / 2 + 13
        for line in decided:
            yield text(self.why, y, line.words, **line.look)
            y += LINE

    def _told(self, row: int) -> list[_Line]:
        """The heading, what is done, and what happens there."""
        words = self.words[row] if row < len(self.words) else Said("", "")
        lines = [_Line(words.heading, {"font_size": 16, "font_weight": "bold"})] if words.heading else []
        lines.append(_Line(step_words(self.rows[row]), {"font_size": 14.5, "font_family": MONO}))
        lines += [_Line(line, {"font_size": 13, "fill": "#333333"}) for line in textwrap.wrap(words.rest, 72)]
        for side in self.sides:
            if wrong_at(side.story) == row:
                mark = "\N{NOT EQUAL TO} here pin and page part" if side.leak is None else "\N{BALLOT X} here it leaks"
                lines.append(
                    _Line(
                        f"{_kernel(side.story.run.target)}: {mark}",
                        {"font_size": 15, "font_weight": "bold", "fill": RED},
                    )
                )
        return lines

    def _decided(self, row: int) -> list[_Line]:
        """Each decision once, under the targets that made it where not all did."""
        by: dict[str, list[str]] = {}
        for side in self.sides:
            for decision in side.story.rows[row].recorded.decisions if row < len(side.story.rows) else ():
                names = by.setdefault(_cited(decision), [])
                names += [name for name in [_kernel(side.story.run.target)] if name not in names]
        lines: list[_Line] = []
        for who, decisions in _alike(by):
            if len(who) < len(self.sides):
                lines.append(_Line(", ".join(who), {"font_size": 12.5, "font_weight": "bold"}))
            for words in decisions:
                lines += [_Line(line, {"font_size": 12.5, "fill": "#333333"}) for line in textwrap.wrap(words, 72)]
        return lines

    def _side(self, side: Tracks, left: float) -> Iterator[str]:
        for row in range(len(side.story.rows)):
            pen = Pen(left, self.tops[row], self.tops[row + 1] - self.tops[row])
            for element in side.elements(row):
                yield from pen.draw(element)
        word, why = outcome(side.story)
        bad, good = word == "VIOLATED", word == "held"
        sign = "\N{BALLOT X} " if bad else "\N{CHECK MARK} " if good else ""
        y = self.tops[len(side.story.rows)]
        colour = RED if bad else GREEN if good else INK
        wide = max(side.width, 240)
        told = textwrap.wrap(f"{why[:1].upper()}{why[1:]}. {sentence(side.story)}".strip(), int(wide / 7.4))
        ground = {"x": left, "y": round(y) + 1, "width": round(wide), "height": 44 + LINE * len(told)}
        yield tag("rect", fill="#ffffff", **ground)
        yield text(left, y + 30, sign + word, font_size=24, font_weight="bold", fill=colour)
        for number, line in enumerate(told):
            yield text(left, y + 52 + LINE * number, line, font_size=14)

    def _foot(self) -> Iterator[str]:
        y = self.height - 30
        yield text(MARGIN, y, "Drawn by pinhold from runs of its specification of mm/.", fill=SOFT)


@dataclass(frozen=True, slots=True)
class _Line:
    words: str
    look: dict[str, object]


def _kernel(target: str) -> str:
    """A model by the release that it is of."""
    return target.replace("model:", "Linux ")


def _cited(decision: Decision) -> str:
    cite = f" [{decision.commit}]" if decision.commit else ""
    return f"{decision.function}(): {decision.sentence}{cite}"


def _alike(by: Mapping[str, Sequence[str]]) -> Iterator[tuple[Sequence[str], list[str]]]:
    """Names, and what is said of just them."""
    for names in dict.fromkeys(tuple(names) for names in by.values()):
        yield names, [words for words, of in by.items() if tuple(of) == names]


def _legend(x: float, y: float) -> Iterator[str]:
    """The signs as they are drawn, each with its meaning."""
    page = Strand("P", "x", (0,), [], [])
    pin = Strand("p", "", (0,), [], [])
    child = Strand("C", "x", (0,), [], [], hero=False)
    signs: Sequence[tuple[Sequence[Element], str]] = (
        ([BandPart(0, 34, 0, 1, 0)], "a column: a page frame"),
        ([Line(17, 0, 17, 1, page, 0), Marker(17, page, "P", 0)], "a page of process P"),
        ([Line(17, 0, 17, 1, pin, 0), Marker(17, pin, "p", 0)], "a pin: what the device reads"),
        ([Joined(8, 30)], "both on one frame"),
        ([Hatch(0, 34, 0, False), Apart(0, 34, 17, False)], "they have parted"),
        ([End(17)], "lets go"),
        ([Line(4, 0, 30, 1, child, 0, branch=True)], "fork: a child's page"),
    )
    for number, (elements, words) in enumerate(signs):
        column, row = divmod(number, 4)
        left, top = x + 10 + 250 * column, y + 36 * row
        for element in elements:
            yield from Pen(left, top, 32).draw(element)
        yield text(left + 46, top + 21, words, font_size=13)
