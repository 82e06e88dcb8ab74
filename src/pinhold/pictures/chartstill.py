"""A chart as one still SVG, as the tracks have it: all in attributes, no style sheet and no script."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape

from pinhold.pictures.chart import Cell, Chart, Row
from pinhold.pictures.still import GREEN, INK, MONO, RED, SANS, STRONG, TINTS, tag, text

LINE, HEAD, BAR = 22, 44, 230
"""Pixels: a row, the columns' names, the widest bar."""
LETTER, SMALL = 7.5, 6.4
"""Pixels of a letter: of a cell's words, of what is said small."""
MARGIN, GAP = 12, 14
SOFT, EDGE = "#555555", "#d8d8d8"
COLOURS = {"good": GREEN, "bad": RED, "part": STRONG[1], "missed": INK, "faint": SOFT, "": INK}
GROUNDS = {"bad": "#fdecee"}


def chart_still(chart: Chart) -> str:
    """The whole picture."""
    names = max(_name_width(row) for row in chart.rows)
    names = max(names, LETTER * len(chart.corner)) + GAP
    widths = [_width(chart, column) for column in range(len(chart.columns))]
    width = round(max(2 * MARGIN + names + sum(widths), 24 + 9.6 * len(chart.title), 480))
    letters = int((width - 2 * MARGIN) / SMALL)
    about = textwrap.wrap(chart.about, letters)
    notes = [line for note in chart.notes for line in textwrap.wrap(note, letters)]
    top = 40 + 16 * len(about) + HEAD
    lines = len(chart.rows) + sum(bool(name) for name, _ in chart.groups())
    height = top + LINE * lines + 16 * len(notes) + 2 * MARGIN
    lefts = [MARGIN + names + sum(widths[:k]) for k in range(len(widths))]

    body = [tag("title", escape(chart.title), id="t"), tag("desc", escape(chart.about), id="d")]
    body += [tag("rect", fill="#ffffff", width=width, height=height)]
    body += [text(MARGIN, 26, chart.title, font_size=16, font_weight="bold")]
    body += [text(MARGIN, 46 + 16 * k, line, font_size=11.5, fill=SOFT) for k, line in enumerate(about)]
    body += _heads(chart, lefts, top, width)
    y = top
    for name, rows in chart.groups():
        if name:
            body.append(text(MARGIN, y + 15, name, font_weight="bold"))
            y += LINE
        for row in rows:
            body += _row(chart, row, y, lefts, widths, width)
            y += LINE
    body += [text(MARGIN, y + 20 + 16 * k, line, font_size=11.5, fill="#333333") for k, line in enumerate(notes)]
    frame = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}", "role": "img"}
    svg = tag("svg", "\n".join(body), xmlns="http://www.w3.org/2000/svg", **frame, aria_labelledby="t d")
    return svg + "\n"


def _name_width(row: Row) -> float:
    note = SMALL * len(row.note) + 8 if row.note else 0
    return LETTER * len(row.name) + note + (12 if row.group else 0)


def _width(chart: Chart, column: int) -> float:
    head = chart.columns[column]
    words = max(_words_width(row.cells[column]) for row in chart.rows) + 12
    bar = BAR if chart.bars(column) else 0
    return max(words + bar, LETTER * len(head.name) + 12, SMALL * len(head.note)) + GAP


def _words_width(cell: Cell) -> float:
    return LETTER * len(cell.text) + (SMALL * len(cell.note) + 8 if cell.note else 0)


def _heads(chart: Chart, lefts: list[float], top: float, width: int) -> Iterator[str]:
    yield text(MARGIN, top - 10, chart.corner, fill=SOFT)
    for column, left in zip(chart.columns, lefts, strict=True):
        yield text(left + 8, top - (24 if column.note else 10), column.name, font_weight="bold")
        if column.note:
            yield text(left + 8, top - 9, column.note, font_size=11, fill=SOFT)
    yield tag("path", d=f"M{MARGIN} {top - 2}H{width - MARGIN}", stroke=INK, stroke_width=2)


def _row(chart: Chart, row: Row, y: float, lefts: list[float], widths: list[float], width: int) -> Iterator[str]:
    x = MARGIN + (12 if row.group else 0)
    if row.numbered:
        yield text(lefts[0] - GAP, y + 15, row.name, text_anchor="end", font_family=MONO, fill=SOFT)
    else:
        yield text(x, y + 15, row.name, font_family=SANS if row.group else MONO)
    if row.note:
        yield text(x + LETTER * len(row.name) + 8, y + 15, row.note, font_size=10, fill=SOFT, font_family=MONO)
    for column, cell in enumerate(row.cells):
        yield from _cell(cell, lefts[column], y, widths[column])
    if not row.counts:
        yield tag("path", d=f"M{MARGIN} {round(y + LINE)}H{width - MARGIN}", stroke=EDGE)


def _cell(cell: Cell, x: float, y: float, width: float) -> Iterator[str]:
    ground = TINTS[0] if cell.new and cell.tone != "bad" else GROUNDS.get(cell.tone)
    if cell.share is not None:
        colour = RED if cell.tone == "bad" else STRONG[0]
        length = max(1.5, BAR * cell.share) if cell.share else 0.0
        yield tag("rect", x=x + 8.0, y=y + 4, width=float(length), height=LINE - 8, fill=colour)
        x += length + 6
    elif ground is not None:
        yield tag("rect", x=float(x), y=y + 0.5, width=float(width), height=LINE - 1, fill=ground)
    if cell.new:
        yield tag("rect", x=float(x), y=y, width=5, height=LINE, fill=STRONG[0] if cell.tone != "bad" else RED)
    if cell.text:
        weight = "bold" if cell.new or cell.tone == "bad" else None
        given = {"font_weight": weight, "fill": COLOURS[cell.tone], "font_family": MONO, "font_size": 11.5}
        yield text(x + 10, y + 15, cell.text, **given)
    if cell.note:
        yield text(x + 16 + LETTER * len(cell.text), y + 15, cell.note, font_size=10, fill=SOFT, font_family=MONO)
