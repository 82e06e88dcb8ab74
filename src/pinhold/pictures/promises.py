"""What a pin promises and costs, kinds of memory by releases: a bar where a release promises otherwise than before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pinhold.ask.cell import FAILING, LEAKS, RELIABLE, STALE, Cell
from pinhold.ask.memlock import Charge
from pinhold.ask.memory import MEMORY, Memory
from pinhold.pictures import chart

LOCKED = "locked memory, in pages of 4 KiB"

Promised = Mapping[str, Mapping[Memory, Cell]]
"""Per release the cell of each memory."""

Charged = Mapping[str, Mapping[str, Charge]]
"""Per name of what is pinned, or of who pins it, and release what is charged."""


def promises(
    title: str, about: str, uses: Mapping[str, Promised], charges: Mapping[str, Charged], notes: Sequence[str]
) -> chart.Chart:
    """uses: the name of each use of the interface, "" where there is one alone; charges: with a heading each."""
    releases = list(next(iter(uses.values())))
    rows = [row for use, promised in uses.items() for row in _kinds(use, promised, releases)]
    for heading, by_name in charges.items():
        group = ": ".join(filter(None, (LOCKED, heading)))
        rows += [chart.Row(name, _costs(by_release, releases), group=group) for name, by_release in by_name.items()]
    return chart.Chart(title, about, "memory", [chart.Column(release) for release in releases], rows, notes)


def _kinds(use: str, promised: Promised, releases: Sequence[str]) -> Iterator[chart.Row]:
    for memory in MEMORY:
        words = [promised[release][memory].word for release in releases]
        cells = [chart.Cell(word, _tone(word), new) for word, new in zip(words, _new(words), strict=True)]
        yield chart.Row(memory.name, cells, group=": ".join(filter(None, (use, memory.group))))


def _costs(by_release: Mapping[str, Charge], releases: Sequence[str]) -> list[chart.Cell]:
    pages = [by_release[release].pages if release in by_release else None for release in releases]
    words = ["no pin" if count is None else f"{count}" for count in pages]
    return [
        chart.Cell(word, "faint" if word == "no pin" else "", new) for word, new in zip(words, _new(words), strict=True)
    ]


def _tone(word: str) -> str:
    if word == RELIABLE:
        return "good"
    if word in (STALE, LEAKS):
        return "bad"
    return "part" if word in FAILING else "faint"


def _new(words: Sequence[str]) -> list[bool]:
    """Which of them differ from the one before."""
    return [False, *(before != word for before, word in pairwise(words))]
