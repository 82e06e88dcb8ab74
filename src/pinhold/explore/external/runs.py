"""Fingerprints in sorted runs: which of many are new is found by going along them, not by looking each one up.

A fingerprint has 96 bits here.  The first 64 decide what is sorted and nearly always what is equal; where those of two
states are the same and the others are not, a slower way tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FIRST, REST = np.dtype(np.uint64), np.dtype(np.uint32)
BITS = 8 * (FIRST.itemsize + REST.itemsize)

BLOCK = 1 << 18
"""Fingerprints of a run that are in memory at a time."""


@dataclass(frozen=True)
class Prints:
    """Fingerprints, a word of each array for each; a run of them is sorted, and has none twice."""

    first: Array
    rest: Array

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, which: Any) -> Prints:
        return Prints(self.first[which], self.rest[which])

    def blocks(self) -> Iterator[Prints]:
        return (self[start : start + BLOCK] for start in range(0, len(self), BLOCK))


def together(parts: list[Prints]) -> Prints:
    """One behind the other."""
    empty = Prints(np.empty(0, FIRST), np.empty(0, REST))
    parts = parts or [empty]
    return Prints(np.concatenate([p.first for p in parts]), np.concatenate([p.rest for p in parts]))


def distinct(prints: Prints, order: Array) -> Array:
    """Where those are that sort them into a run; of equal ones the one whose place in `order` is least.

    The order ascends among those whose first words are equal: as within sorted pieces put one behind the other.
    """
    places = np.argsort(prints.first, kind="stable")
    first, rest = prints.first[places], prints.rest[places]
    same = first[1:] == first[:-1]
    twins = same & (rest[1:] == rest[:-1])
    if (same & ~twins).any():
        places = np.lexsort((order, prints.rest, prints.first))
        first, rest = prints.first[places], prints.rest[places]
        twins = (first[1:] == first[:-1]) & (rest[1:] == rest[:-1])
    kept = np.ones(len(places), bool)
    kept[1:] = ~twins
    return places[kept]


def absent(candidates: Prints, run: Prints) -> Array:
    """Of each candidate whether it is not in the run.  Both are runs; that which is read of the second is read once, in
    its order."""
    missing = np.ones(len(candidates), bool)
    for block in run.blocks():
        low = int(np.searchsorted(candidates.first, block.first[0], "left"))
        high = int(np.searchsorted(candidates.first, block.first[-1], "right"))
        if low == high:
            continue
        here = candidates[low:high]
        there = np.array(block.first), np.array(block.rest)  # a run may be a file: read once
        where = np.minimum(np.searchsorted(there[0], here.first), len(block) - 1)
        alike = there[0][where] == here.first
        found = alike & (there[1][where] == here.rest)
        for doubtful in np.flatnonzero(alike & ~found):
            place = int(where[doubtful])
            while place < len(block) and there[0][place] == here.first[doubtful] and not found[doubtful]:
                found[doubtful] = there[1][place] == here.rest[doubtful]
                place += 1
        missing[low:high] &= ~found
    return missing


def merged(one: Prints, other: Prints) -> Prints:
    """One run of two that have none in common."""
    both = together([one, other])
    return both[distinct(both, np.zeros(len(both), np.uint8))]
