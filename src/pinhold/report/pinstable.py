"""What is pinned, for a reader: a table in as many columns as the terminal has, and what it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from pinhold.inspect.records import MEANING, Counters, State, Told
from pinhold.report import terminal
from pinhold.report.pinsgroups import Row, groups, size_words
from pinhold.report.table import Notes

WIDTH = 80
_LEAST = 12
"""Columns of a name that is cut where the table would be too wide."""

_Column = tuple[str, Callable[[Row], str]]


def pinstable(told: Told, by: str) -> Iterator[str]:
    """The lines."""
    wide = terminal.width(WIDTH)
    notes = Notes()
    yield f"What is pinned on Linux {told.release}, as {told.source} tells it, by {by}:"
    found = groups(told, by)
    columns = columns_of([row for group in found for row in group.rows], by, notes)
    cells = [[[cell(row) for _, cell in columns] for row in group.rows] for group in found]
    widths = _widths([[name for name, _ in columns], *(row for rows in cells for row in rows)], wide - 2)
    if columns:
        yield ""
        yield _line([name for name, _ in columns], widths)
    for group, rows in zip(found, cells, strict=True):
        yield _cut(f"{group.name}: {group.note}" if group.note else group.name, wide)
        yield from (_line(row, widths) for row in rows)
    if not found:
        yield "nothing: no process is charged for pinned or locked memory, and no holder is seen."
    if notes.numbers:
        yield ""
        yield from notes.lines(wide, counted=False)
    yield ""
    for sentence in (*meanings(told), *sentences(told)):
        yield from textwrap.wrap(sentence, wide, break_on_hyphens=False)


def columns_of(rows: Sequence[Row], by: str, notes: Notes | None) -> list[_Column]:
    """The columns that say something.  notes: where reasons go; None: they stand beside the state."""

    def state(row: Row) -> str:
        if not row.reason:
            return row.state
        return f"{row.state}: {row.reason}" if notes is None else f"{row.state} {notes.letter(row.reason, 0)}"

    columns: list[tuple[str, Callable[[Row], str], bool]] = [
        ("page frame" if by == "zone" else "address", lambda row: _number(row.at), True),
        ("size", lambda row: "?" if row.size is None else size_words(row.size), True),
        ("pins", lambda row: "" if row.pins is None else str(row.pins), any(row.pins is not None for row in rows)),
        ("kind", lambda row: row.kind, any(row.kind for row in rows)),
        ("process", lambda row: row.process, by != "process"),
        ("holder", lambda row: row.holder, by != "holder"),
        ("state", state, True),
    ]
    return [(name, cell) for name, cell, wanted in columns if rows and wanted]


def _number(at: int | None) -> str:
    return "" if at is None else f"{at:x}"


def _widths(table: Sequence[Sequence[str]], room: int) -> list[int]:
    """Of each column: the longest cell, those of names less where the lines do not fit."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)] if table[0] else []
    names = [i for i, name in enumerate(table[0]) if name in ("process", "holder")]
    while names and sum(widths) + 2 * len(widths) > room:
        widest = max(names, key=lambda i: widths[i])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return ("  " + "  ".join(_cut(c, w).ljust(w) for c, w in zip(cells, widths, strict=True))).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}\N{HORIZONTAL ELLIPSIS}"


def meanings(told: Told) -> Iterator[str]:
    """Of the states that are there."""
    for state in dict.fromkeys(folio.state for folio in told.folios):
        if state is not State.UNKNOWN:
            yield f"{state}: {MEANING[state]}."


def sentences(told: Told) -> Iterator[str]:
    """What the table rests on, and what is missing."""
    if told.counters is not None:
        yield _counted(told.counters)
    looked = told.looked
    if looked.inconsistent:
        yield f"{looked.inconsistent} of {looked.total} {looked.objects} could not be read consistently."
    if looked.denied:
        yield f"What {looked.denied} of {looked.total} {looked.objects} hold is not told: this user may not look."
    yield from told.missing


def _counted(counters: Counters) -> str:
    held = counters.acquired - counters.released
    about = "" if counters.exact else " (as root exactly; now about, as each CPU counts by itself)"
    since = f"{counters.acquired} acquired, {counters.released} released"
    return f"FOLL_PIN references since boot: {since}, {held} held{about}."
