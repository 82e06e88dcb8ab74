"""The tracks in plain text: ASCII, at most 78 columns, for a terminal and for a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pinhold.pictures.layout import Column, Layout
from pinhold.pictures.story import Story
from pinhold.pictures.words import (
    Divergence,
    account,
    byte_word,
    divergence,
    leak,
    merged,
    outcome,
    ran,
    step_words,
    title_of,
    turns,
)
from pinhold.scenario.ran import Decision

WIDTH = 78
"""Quoted once in a mail ("> ") a line is still within 80."""
STEP = 18
"""Characters of a step's text, at least."""
GAP = 4
"""Between two bands, with room for "!="."""
NUMBER = 4
"""Characters for the number of a step."""


def pictures(stories: Sequence[Story], name: str) -> str:
    """The whole text: one picture of all targets, or one under the other where they do not fit side by side."""
    drawn = merged(stories)
    lines = textwrap.wrap(title_of(drawn[0], name), WIDTH)
    tracks = [story for story in drawn if ran(story)]
    if tracks:
        lines += ["", *_tracks(tracks), "", *_wrapped(_legend(tracks))]
    apart = divergence(stories)
    if apart is not None:
        lines += ["", *_wrapped(_divergence_words(apart))]
    for story in drawn:
        lines += ["", *_wrapped(account(story))]
    return "".join(f"{_ascii(line)}\n".replace(" \n", "\n") for line in lines)


def _tracks(stories: Sequence[Story]) -> Iterator[str]:
    """Side by side, if they fit; else each by itself, with all lines or with those that the scenario asks about."""
    sides = [Side(Layout(story)) for story in stories]
    if _fits(sides):
        yield from Picture(sides).lines()
        return
    for number, story in enumerate(stories):
        if number:
            yield ""
        side = Side(Layout(story))
        heroes = [k for k, strand in enumerate(story.strands) if strand.hero]
        left_out = not _fits([side]) and len(heroes) < len(story.strands)
        if left_out:
            side = Side(Layout(story, heroes))
        for part, columns in enumerate(side.parts(WIDTH - NUMBER - STEP - 3)):
            if part:
                yield ""
            yield from Picture([Side(side.layout, columns)]).lines()
        if left_out:
            yield "Other pages are left out."


def _fits(sides: Sequence[Side]) -> bool:
    return NUMBER + STEP + sum(side.width + 3 for side in sides) <= WIDTH


class Side:
    """The tracks of one target in characters.  columns: those that are drawn, of all that the layout has."""

    def __init__(self, layout: Layout, columns: Sequence[Column] | None = None) -> None:
        self.layout = layout
        self.story = layout.story
        self.columns = layout.columns if columns is None else columns
        self.leak = leak(layout.story)

    @cached_property
    def left(self) -> dict[Column, int]:
        """Where each column begins."""
        found, x = {}, 0
        for column in self.columns:
            found[column] = x
            x += self.column_width(column) + GAP
        return found

    @cached_property
    def width(self) -> int:
        return max(sum(self.column_width(c) + GAP for c in self.columns) - GAP, 12)

    def column_width(self, column: Column) -> int:
        lines = sum(len(self.mark(k)) + 1 for k in self.layout.lines(column))
        return max(lines + 2 * isinstance(column, int), *map(len, self.layout.head(column)))

    def parts(self, room: int) -> list[list[Column]]:
        """The columns in groups that fit one under the other."""
        groups: list[list[Column]] = [[]]
        x = 0
        for column in self.columns:
            width = self.column_width(column) + GAP
            if groups[-1] and x + width - GAP > room:
                groups.append([])
                x = 0
            groups[-1].append(column)
            x += width
        return groups

    def mark(self, strand: int) -> str:
        mark = self.layout.marks[strand]
        return f"[{mark}]" if self.story.strands[strand].is_pin else mark

    def place(self, strand: int, column: Column) -> int:
        """Where the strand's mark stands in a column: always the same, so that a move is seen as one."""
        before = self.layout.lines(column)
        return self.left[column] + sum(len(self.mark(k)) + 1 for k in before[: before.index(strand)])

    def byte_place(self, column: Column) -> int:
        return self.left[column] + sum(len(self.mark(k)) + 1 for k in self.layout.lines(column))

    def heads(self, line: int) -> str:
        """One of the two lines above the columns."""
        return _put({self.left[c]: self.layout.head(c)[line] for c in self.columns})

    def cell(self, row: int) -> str:
        """The tracks of one step."""
        if row >= len(self.story.rows):
            return ""
        texts: dict[int, str] = {}
        for k in self.layout.order:
            strand = self.story.strands[k]
            now, before = strand.at[row], strand.at[row - 1] if row else None
            if now in self.left:
                texts[self.place(k, now)] = self.mark(k)
            elif before in self.left:
                texts[self.place(k, before)] = "-" * len(self.mark(k))
        for column, band in self.layout.bands(row):
            if column in self.left and band.bytes[row] is not None:
                texts[self.byte_place(column)] = self.byte(row, column)
        for pin, page in self.story.parted_at[row]:
            places = [self.left[c] for k in (pin, page) if (c := self.story.strands[k].at[row]) in self.left]
            if len(places) == 2:
                texts[max(places) - 3] = "<>" if self.story.may_part else "!="
        return _put(texts)

    def byte(self, row: int, column: int) -> str:
        band = self.story.bands[column]
        if self.leak is not None and (row, column) == (self.leak.row, self.leak.band):
            return f"{byte_word(band.known[row - 1])}>{byte_word(band.bytes[row])}"
        return byte_word(band.bytes[row])

    def remark(self, row: int) -> str:
        """What stands under the step where it went wrong."""
        if row == self.story.parting:
            return "^ they part (allowed)" if self.story.may_part else "^ they part here"
        if self.leak is not None and row == self.leak.row:
            reader = self.story.strands[self.leak.reader]
            return f"^ {reader.label} reads this, too"
        return ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Sides beside one another, with the steps at the left."""

    sides: Sequence[Side]

    def lines(self) -> Iterator[str]:
        stories = [side.story for side in self.sides]
        longest = max(stories, key=lambda story: len(story.rows))
        steps = [step_words(row) for row in longest.rows]
        room = WIDTH - NUMBER - sum(side.width + 3 for side in self.sides)
        width = min(max(map(len, [*steps, "step"])), room)
        names = [
            textwrap.wrap(story.run.target, side.width + 1) for story, side in zip(stories, self.sides, strict=True)
        ]
        for line in range(max(map(len, names))):
            yield self._line(width, "", [name[line] if line < len(name) else "" for name in names])
        yield self._line(width, " step", [side.heads(0) for side in self.sides])
        yield self._line(width, "", [side.heads(1) for side in self.sides])
        yield self._rule(width)
        for row, step in enumerate(steps):
            yield from self._row(width, row, step)
        yield self._rule(width)
        yield self._line(width, "", [outcome(story)[0] for story in stories])

    def _row(self, width: int, row: int, step: str) -> Iterator[str]:
        cells = [side.cell(row) for side in self.sides]
        for number, words in enumerate(textwrap.wrap(step, width, subsequent_indent="  ") or [""]):
            first = f"{row + 1:>3} {words}" if not number else " " * NUMBER + words
            yield self._line(width, first, cells if not number else [""] * len(cells))
        happened = [f"({words})" for words in turns([side.story for side in self.sides], row)]
        for remark in dict.fromkeys([*happened, *filter(None, (side.remark(row) for side in self.sides))]):
            for line in textwrap.wrap(remark, width - 2):
                yield self._line(width, " " * (NUMBER + 2) + line, ["" for _ in self.sides])

    def _line(self, width: int, first: str, cells: Sequence[str]) -> str:
        body = "".join(f"| {cell:<{side.width + 1}}" for cell, side in zip(cells, self.sides, strict=True))
        return f"{first:<{width + NUMBER}}{body}".rstrip()

    def _rule(self, width: int) -> str:
        return "-" * (width + NUMBER) + "".join("+" + "-" * (side.width + 2) for side in self.sides)


def _put(texts: dict[int, str]) -> str:
    """Texts at their columns."""
    line = ""
    for x, text in sorted(texts.items()):
        line = f"{line:<{x}}{text}"
    return line


def _legend(stories: Sequence[Story]) -> str:
    marks: dict[str, str] = {}
    for story in stories:
        side = Side(Layout(story))
        for k, strand in enumerate(story.strands):
            marks.setdefault(side.mark(k), f"{strand.label}{', what the device reads' if strand.is_pin else ''}")
    parts = ["A column is a page frame, a number its byte", *(f"{mark} {what}" for mark, what in marks.items())]
    parting = [story for story in stories if story.parting is not None]
    if any(not story.may_part for story in parting):
        parts.append("!= they have parted")
    if any(story.may_part for story in parting):
        parts.append("<> they have parted, as they may")
    return "; ".join(parts) + "."


def _divergence_words(found: Divergence) -> str:
    def side(target: str, decision: Decision | None) -> str:
        if decision is None:
            return f"{target}: nothing decided by a rule."
        rule = f"{decision.rule} = {decision.value}" if decision.value else decision.rule
        place = ", ".join(filter(None, (f"{decision.function}()", rule, decision.commit)))
        return f"{target}: {decision.sentence} ({place})."

    sides = " ".join(side(target, decision) for target, decision in found.sides)
    return f"At step {found.row + 1} the kernels decide differently. {sides}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2)


def _ascii(line: str) -> str:
    """Names and remarks of a scenario may have any letter."""
    return line.encode("ascii", "backslashreplace").decode()
