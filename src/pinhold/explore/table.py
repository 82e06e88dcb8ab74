"""The table of the fingerprints that have been seen, in parts that grow one by one.

Grown as a whole it would need room for the old and the new one; so it needs that for one part.  A large part grows by a
quarter: then three fifths of it are in use at least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from pinhold.explore import engine
from pinhold.explore.room import Array, address

FULLEST = 0.75
"""Of a table of fingerprints, before it grows."""

FULL = 0.9
"""Of a part, never to be exceeded: so many may belong there by chance before anybody looks."""

FIRST = 1 << 11
"""Of a part, at first."""

LARGE = 1 << 15
"""A part that grows by a quarter; a smaller one is doubled."""


@dataclass(frozen=True)
class Parts:
    """The parts as they are at a time, kept for whoever reads them though larger ones take their places."""

    directory: Array
    arrays: tuple[Array, ...]


class Table:
    """The directory is what compiled code knows of it: for each part its address, its size, its count."""

    def __init__(self, module: ModuleType, before: Callable[[int], None]) -> None:
        """before: is called before so many bytes are used, and may raise."""
        self.module = module
        self.before = before
        self.arrays = [np.zeros(FIRST, np.int64) for _ in range(engine.PARTS)]
        self.directory = np.zeros((engine.PARTS, engine.PART_BYTES // 8), np.int64)
        self.nbytes = sum(array.nbytes for array in self.arrays)
        self.asked = -1
        self.limits = np.empty(0, np.int64)
        for part, array in enumerate(self.arrays):
            self.directory[part] = address(array), len(array), 0

    @property
    def sizes(self) -> Array:
        return self.directory[:, 1]

    @property
    def counts(self) -> Array:
        return self.directory[:, 2]

    def make_room(self, more: int) -> None:
        """For so many, wherever they belong, and in every part as much as keeps looks short."""
        if more > self.asked or (self.counts > self.limits).any():
            needed = np.maximum(self.counts / FULLEST, (self.counts + more) / FULL)
            for part in np.flatnonzero(needed > self.sizes):
                self.grow(int(part), float(needed[part]))
            self.asked = more
            self.limits = np.minimum(FULLEST * self.sizes, FULL * self.sizes - more).astype(np.int64)

    def grow(self, part: int, needed: float) -> None:
        """Enlarge a part until it has that size."""
        old = self.arrays[part]
        size = len(old)
        while size < needed:
            size += size // 4 if size >= LARGE else size
        self.before(8 * size)
        array = np.zeros(size, np.int64)
        self.module.rehash(address(old), len(old), address(array), size)
        self.arrays[part] = array
        self.nbytes += array.nbytes - old.nbytes
        self.directory[part, :2] = address(array), size

    def fill(self, fingerprints: Array) -> None:
        """Put those of one part into it, which are not in there."""
        if len(fingerprints):
            part = (int(fingerprints[0]) >> (64 - engine.PART_BITS)) & (engine.PARTS - 1)
            needed = (int(self.counts[part]) + len(fingerprints)) / FULLEST
            if needed > self.sizes[part]:
                self.grow(part, needed)
            where = int(self.directory[part, 0]), int(self.directory[part, 1])
            self.module.rehash(address(fingerprints), len(fingerprints), *where)
            self.directory[part, 2] += len(fingerprints)

    def parts_now(self) -> Parts:
        return Parts(self.directory.copy(), tuple(self.arrays))

    def pieces(self) -> Iterator[Array]:
        """The fingerprints of each part."""
        return (array[array != 0] for array in self.arrays)
