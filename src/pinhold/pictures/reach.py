"""What random scenarios reached on each target: of each area how much of what can be, and each thing how often."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pinhold.pictures.chart import Cell, Chart, Column, Row

WHOLE = "of what can be reached there"
MOST = 400
"""Things of an area that have a row each; of an area with more only the share is shown."""


@dataclass(frozen=True, slots=True)
class Reached:
    """On one target.  counts: per area and thing how often; reachable: per area what can be reached there."""

    target: str
    note: str
    counts: Mapping[str, Mapping[str, int]]
    reachable: Mapping[str, Collection[str]]


def reach(title: str, targets: Sequence[Reached]) -> Chart:
    """A target a column."""
    areas = list(targets[0].counts)
    rows = [Row(area, [_share(each, area) for each in targets], group=WHOLE) for area in areas]
    for area in areas:
        names = list(dict.fromkeys(name for each in targets for name in (*each.reachable[area], *each.counts[area])))
        if len(names) <= MOST:
            most = max((count for each in targets for count in each.counts[area].values()), default=1)
            rows += [Row(name, [_cell(each, area, name, most) for each in targets], group=area) for name in names]
    about = (
        "The first bars are shares; those below say how often each thing was done or decided, on a logarithmic scale. "
        "never: it can be reached there, and was not; -: it cannot."
    )
    return Chart(title, about, "reached", [Column(each.target, each.note) for each in targets], rows)


def _share(each: Reached, area: str) -> Cell:
    there = each.reachable[area]
    got = sum(bool(each.counts[area].get(name)) for name in there)
    return Cell(f"{got:,} of {len(there):,}", share=got / len(there) if there else 0.0)


def _cell(each: Reached, area: str, name: str, most: int) -> Cell:
    count = each.counts[area].get(name, 0)
    if count:
        return Cell(f"{count:,}", share=math.log1p(count) / math.log1p(most))
    if name in each.reachable[area]:
        return Cell("never", "missed", share=0.0)
    return Cell("-", "faint", share=0.0, spoken="cannot be reached there")
