"""`pinhold pins`: what is pinned in a kernel, by whom, and whether it is still their memory."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from pinhold.commands import UsageError
from pinhold.commands.charts import chart_file
from pinhold.commands.looking import Looking
from pinhold.inspect.records import Selection, State, Told
from pinhold.report import terminal
from pinhold.report.pinsjson import pinsjson
from pinhold.report.pinstable import pinstable
from pinhold.scenario.verdict import EXIT_HELD

if TYPE_CHECKING:
    from pinhold.pictures.chart import Chart


def main(options: Namespace) -> int:
    """Tell it; 0 where anything could be told, and that nothing is pinned is something."""
    selection = selected(options)
    with chart_file(options) as draw, closing(Looking(options.source)) as looking:
        told = looking.look(selection)
        draw(lambda: _chart(told, options.by))
    if not (options.svg or options.html):
        terminal.write(pinsjson(told) if options.format == "json" else pinstable(told, options.by))
    return EXIT_HELD


def selected(options: Namespace) -> Selection:
    """What the command line asks for.  Raises UsageError."""
    if options.page is not None and options.pid is None:
        raise UsageError("--page is an address of a process: add --pid P; --pfn N asks for a page frame")
    return Selection(options.pid, options.page, options.pfn, options.zone, options.block)


_TONES = {State.SAME: "good", State.SHARED: "good", State.STALE: "bad", State.UNMAPPED: "part", State.ZERO: "part"}


def _chart(told: Told, by: str) -> Chart:
    from pinhold.pictures.chart import Cell, Chart, Column, Row
    from pinhold.report.pinsgroups import groups
    from pinhold.report.pinstable import columns_of, meanings, sentences

    found = groups(told, by)
    (_, at), *columns = columns_of([row for group in found for row in group.rows], by, None) or [("", lambda _: "")]
    rows = []
    for group in found:
        heading = f"{group.name}: {group.note}" if group.note else group.name
        for row in group.rows:
            cells = [Cell(cell(row), _TONES.get(row.state, "") if name == "state" else "") for name, cell in columns]
            rows.append(Row(at(row), cells, group=heading))
        if not group.rows:
            rows.append(Row("", [Cell() for _ in columns], group=heading))
    corner = "page frame" if by == "zone" else "address"
    title = f"What is pinned on Linux {told.release}, by {by}"
    return Chart(
        title, " ".join(meanings(told)), corner, [Column(name) for name, _ in columns], rows, list(sentences(told))
    )
