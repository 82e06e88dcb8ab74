"""A level's states: those of a small level as they are, of a large one packed but for the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pinhold.explore.packing import Packing, blocks_of, count_of
from pinhold.explore.room import Array

PLAIN = 24 << 20
"""Bytes of a level whose states are kept as they are: packing takes time, and is for searches that need the memory."""


def is_plain(block: Array) -> bool:
    return block.ndim == 2


def states_of(block: Array) -> int:
    return len(block) if is_plain(block) else count_of(block)


def blocks_from(states: Array, packing: Packing, before: int) -> Iterator[Array]:
    """Blocks of states of which the level has so many before these.  They may be these very states, from now on."""
    if 8 * packing.words * before < PLAIN:
        if len(states):
            yield states
    else:
        yield from packing.blocks(states)


@dataclass(frozen=True)
class Piece:
    """States of a level that follow each other: first … last - 1 of a block; `place` is that of the first in the
    level."""

    block: Array
    first: int
    last: int
    place: int

    def unpacked(self, packing: Packing) -> Array:
        """Valid until `packing` is used again."""
        if is_plain(self.block):
            return self.block[self.first : self.last]
        return packing.unpack_block(self.block, self.first, self.last)

    def __len__(self) -> int:
        return self.last - self.first


@dataclass
class Frontier:
    """blocks: in the order of the level; of words, or, if they are not packed, of a row of words for each state."""

    blocks: list[Array] = field(default_factory=list)
    count: int = 0
    nbytes: int = 0

    @classmethod
    def of(cls, packed: Array) -> Frontier:
        """From blocks that stand one behind the other."""
        made = cls()
        for block in blocks_of(packed):
            made.append(block)
        return made

    def append(self, block: Array) -> None:
        self.blocks.append(block)
        self.count += states_of(block)
        self.nbytes += block.nbytes

    def packed(self, packing: Packing) -> Array:
        """All blocks packed, one behind the other."""
        blocks = (packing.pack(block) if is_plain(block) else block for block in self.blocks)
        return np.concatenate([np.empty(0, np.int64), *blocks])

    def __len__(self) -> int:
        return self.count

    def pieces(self) -> Iterator[Piece]:
        """A block each."""
        place = 0
        for block in self.blocks:
            yield Piece(block, 0, states_of(block), place)
            place += states_of(block)

    def stretches(self, length: int) -> Iterator[list[Piece]]:
        """Pieces of so many states together; the last may be of fewer."""
        stretch: list[Piece] = []
        left = length
        for piece in self.pieces():
            first = 0
            while first < piece.last:
                last = min(piece.last, first + left)
                stretch.append(Piece(piece.block, first, last, piece.place + first))
                left -= last - first
                first = last
                if not left:
                    yield stretch
                    stretch, left = [], length
        if stretch:
            yield stretch

    def unpacked(self, packing: Packing) -> Iterator[tuple[int, Array]]:
        """The states, a block at a time, and the place of the first; valid until the next."""
        return ((piece.place, piece.unpacked(packing)) for piece in self.pieces())
