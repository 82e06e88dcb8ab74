"""How many states a search came to at each depth: down as steps go, and the depth at which something bad was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pinhold.pictures.chart import Cell, Chart, Column, Row


@dataclass(frozen=True, slots=True)
class Levels:
    """One search.  name: of the rules; new: states at each depth, the first state at depth 0; found: what is bad at the
    last depth, in words, "" nothing; limit: what ended the search early, "" nothing."""

    name: str
    new: Sequence[int]
    found: str = ""
    limit: str = ""

    @property
    def ending(self) -> str:
        if self.found:
            return "stopped at the first bad one"
        return f"not exhausted: {self.limit}" if self.limit else "exhausted: nothing bad"


def depths(title: str, searches: Sequence[Levels]) -> Chart:
    """A search a column, on one scale."""
    deepest = max(len(search.new) for search in searches)
    most = max(max(search.new) for search in searches)
    columns = [Column(each.name, f"{sum(each.new):,} states, {each.ending}") for each in searches]
    rows = [Row(str(depth), [_cell(each, depth, most) for each in searches]) for depth in range(deepest)]
    about = (
        "A bar is the number of states that were new at that depth: so many steps of tasks away from the first state."
    )
    return Chart(title, about, "depth", columns, rows)


def _cell(search: Levels, depth: int, most: int) -> Cell:
    if depth >= len(search.new):
        return Cell()
    new = search.new[depth]
    if search.found and depth == len(search.new) - 1:
        return Cell(f"{new:,}: {search.found}", "bad", share=new / most)
    return Cell(f"{new:,}", share=new / most)
