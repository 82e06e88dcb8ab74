"""Which column is where: the order of frames across, and of lines within a frame's band.

The columns of two targets agree as far as the targets do: both orders come from the scenario's own pairs first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from pinhold.pictures.story import Band, Elsewhere, Story, Strand

Column = int | Elsewhere
"""A band, or the column of those that are swapped out or not shown."""

KINDS = {"anon": "anon", "file": "page cache", "zero": "zero page", "hugetlb": "hugetlb", "ksm": "KSM"}


class Layout:
    """shown: the numbers of the strands that are drawn."""

    def __init__(self, story: Story, shown: Sequence[int] | None = None) -> None:
        self.story = story
        self.shown = list(range(len(story.strands)) if shown is None else shown)

    @cached_property
    def columns(self) -> list[Column]:
        """The frames of a pin and its page side by side, in order of appearance; then the others; then no frame."""
        found: list[Column] = []
        for pin, page in self.story.pairs:
            if pin in self.shown and page in self.shown:
                found += sorted({c for k in (pin, page) for c in self.story.strands[k].at if isinstance(c, int)})
        found += range(len(self.story.bands))
        found += [Elsewhere.SWAP, Elsewhere.UNSEEN]
        return [column for column in dict.fromkeys(found) if self.lines(column)]

    @cached_property
    def order(self) -> list[int]:
        """Others at the left, then pin and page: a copy, which is a new column at the right, leaves without crossing
        its pin."""
        rank = {k: n for n, k in enumerate(k for pair in self.story.pairs for k in pair)}
        return sorted(self.shown, key=lambda k: (k in rank, rank.get(k, k)))

    def lines(self, column: Column) -> list[int]:
        """The strands that are ever in the column, from left to right."""
        return [k for k in self.order if column in self.story.strands[k].at]

    def head(self, column: Column) -> tuple[str, str]:
        """Two lines above a column: its name, and what kind of frame it is."""
        if column is Elsewhere.SWAP:
            return "swap", "no frame"
        if isinstance(column, Elsewhere):
            return "?", "not shown"
        band = self.story.bands[column]
        return band.label, KINDS.get(band.kind, band.kind)

    def bands(self, row: int) -> Iterator[tuple[int, Band]]:
        """The columns whose frame somebody holds after the row."""
        for column in self.columns:
            if isinstance(column, int):
                band = self.story.bands[column]
                if band.first <= row <= band.last:
                    yield column, band

    @cached_property
    def marks(self) -> dict[int, str]:
        """A short name for each strand, no two alike: what it takes to tell them apart."""
        strands = self.story.strands
        pages = [x for x in strands if not x.is_pin]
        processes, regions = {x.owner for x in pages}, {x.region for x in pages}

        def short(strand: Strand) -> str:
            if strand.is_pin:
                return strand.owner
            if len(processes) == 1:
                return strand.region
            return strand.owner if len(regions) == 1 else strand.owner + strand.region

        names = [short(x) for x in strands]
        alike = {name for name in names if sum(other == name for other in names) > 1}
        return {k: f"{name}{strands[k].pages[0]}" if name in alike else name for k, name in enumerate(names)}


def legend(layouts: Iterable[Layout]) -> str:
    """What the marks of a picture mean, for all targets together."""
    seen: dict[str, str] = {}
    for layout in layouts:
        for k, strand in enumerate(layout.story.strands):
            sign = "\N{BLACK SQUARE}" if strand.is_pin else "\N{BLACK CIRCLE}"
            what = f"{strand.label}, what the device reads" if strand.is_pin else f"page {strand.label}"
            seen.setdefault(layout.marks[k], f"{sign} {layout.marks[k]}: {what}")
    return "; ".join([*seen.values(), "a column is a page frame, the number its byte."])
