"""A level of an external search: its states in the order in which one thread would have found them.

A state's order is its parent's place in the level before, and how it was reached from there (via.py), as one number;
its place is how many states of its level have a lesser one.  Each owner keeps the orders of its states, sorted, for
good: the way to any state is read out of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from pinhold.explore import via
from pinhold.explore.external.files import ORDER, Files, lying, part_of, put_record, record
from pinhold.explore.external.runs import Array

VIA_BITS = 8 * via.WORD_BYTES

BUCKETS = 1 << 10
"""Into so many ranges of parents' places the states of a level are counted, for it to be cut into pieces."""

LAST = 1 << 62
"""Above every order."""


@dataclass
class Level:
    """What is known of a level when it is done.

    states: how many; cuts: of each piece its least order and the place of its first state, in order.  runs: for each
    owner the names of its runs of fingerprints, the largest first.  The rest is of the search up to it: transitions,
    uses of each action, sites passed; bad: the order of the first bad state of this level, with properties and
    invariant; stuck: the place of the first state of the level before in which everybody waits.
    """

    number: int
    states: int
    runs: list[list[str]]
    cuts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    transitions: int = 0
    uses: list[int] = field(default_factory=list)
    sites: list[int] = field(default_factory=list)
    bad: tuple[int, int, int] | None = None
    stuck: int | None = None

    def put(self, files: Files) -> None:
        put_record(files.level(self.number), asdict(self))

    def bounds(self, piece: int) -> tuple[int, int, int]:
        """The piece's least order, that of the next, and the place of its first state."""
        first, place = self.cuts[piece]
        return first, self.cuts[piece + 1][0] if piece + 1 < len(self.cuts) else LAST, place


def level_of(files: Files, number: int) -> Level:
    read: dict[str, Any] = record(files.level(number))
    read["cuts"] = [(first, place) for first, place in read["cuts"]]
    return Level(**read)


def bucket_width(states: int) -> int:
    """Places of a level's states that are counted together, as parents."""
    return max(1, -(-states // BUCKETS))


def cuts(counts: Sequence[int], width: int, size: int) -> list[tuple[int, int]]:
    """Pieces of some `size` states of a level.  counts: its states for each range of `width` places of parents."""
    found = [(0, 0)]
    total = sum(counts)
    for bucket, before in enumerate(accumulate(counts, initial=0)):
        if before - found[-1][1] >= size and before < total:
            found.append((bucket * width << VIA_BITS, before))
    return found


def slices(files: Files, level: Level, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Where each owner has the states whose orders are from `first` to before `last`: owner, first, last."""
    for owner in range(len(level.runs)):
        if (path := files.orders(level.number, owner)).exists():
            low, high = np.searchsorted(lying(path, ORDER), [first, last])
            if low < high:
                yield owner, int(low), int(high)


def orders_between(files: Files, level: Level, first: int, last: int) -> Array:
    """Sorted."""
    where = slices(files, level, first, last)
    found = [part_of(files.orders(level.number, owner), ORDER, low, high) for owner, low, high in where]
    return np.sort(np.concatenate(found)) if found else np.empty(0, ORDER)


def parted(order: int) -> tuple[int, via.Via]:
    """The parent's place, and how the state was reached from there."""
    return order >> VIA_BITS, via.unpacked(order & ((1 << VIA_BITS) - 1))


def order_at(files: Files, level: Level, place: int) -> int:
    """The order of the state at a place of the level."""
    piece = bisect_right([first for _, first in level.cuts], place) - 1
    first, last, before = level.bounds(piece)
    return int(orders_between(files, level, first, last)[place - before])


def way(files: Files, number: int, place: int) -> tuple[via.Via, ...]:
    """The transitions to the state at a place of a level."""
    path = []
    for level in range(number, 0, -1):
        place, how = parted(order_at(files, level_of(files, level), place))
        path.append(how)
    return tuple(reversed(path))
