"""States packed and unpacked, as arrays (block.py says how)."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from pinhold.explore import block
from pinhold.explore.room import Array, address

BLOCK = 1 << 12
"""States of a block, at most: of half as many a state takes some more bytes, and a search more of Python's time."""


class Packing:
    """For states of so many words; one at a time may use it."""

    def __init__(self, module: ModuleType, words: int) -> None:
        """module: the image of the scope that the states are of."""
        assert words <= block.MOST_VALUES
        self.module = module
        self.words = words
        self.room = np.empty(self.most(BLOCK) // 8, np.int64)
        self.states = np.empty((BLOCK, words), np.int64)
        self.work = np.empty(block.SLOTS * block.SLOT_SIZE // 8 + words + BLOCK * (words + 3) // 4 + 1, np.int64)

    @property
    def nbytes(self) -> int:
        return int(self.room.nbytes + self.states.nbytes + self.work.nbytes)

    def most(self, count: int) -> int:
        """Bytes that a block of so many states may take, if they are packed."""
        head = block.FIRST_STATE + self.words * (8 + block.COLUMN_SIZE)
        return head + 8 * min(block.MOST_VALUES, count * self.words) + 8 * (count * (self.words + 3) // 4 + 2)

    def blocks(self, states: Array) -> Iterator[Array]:
        """Blocks of the states, of each of which `states` has a row of words; as many in each as in any other, if they
        have few enough values."""
        states = np.ascontiguousarray(states, np.int64)
        done = 0
        while done < len(states):
            left = len(states) - done
            count = -(-left // -(-left // BLOCK))
            done += int(self.module.pack_block(address(states[done:]), count, address(self.room), address(self.work)))
            yield self.room[: self.room[block.SIZE // 8] // 8].copy()

    def pack(self, states: Array) -> Array:
        """states: of each a row of words.  Gives blocks, one behind the other, as words."""
        blocks = list(self.blocks(states))
        return np.concatenate(blocks) if blocks else np.empty(0, np.int64)

    def unpack_block(self, packed: Array, first: int, last: int) -> Array:
        """The states first … last - 1 of a block; valid until the next call."""
        self.module.unpack_block(address(packed), first, last, address(self.states))
        return self.states[: last - first]

    def unpack(self, packed: Array) -> Array:
        """The states of blocks that stand one behind the other, of each a row of words."""
        packed = np.ascontiguousarray(packed, np.int64)
        states = np.empty((states_in(packed), self.words), np.int64)
        done = 0
        for piece in blocks_of(packed):
            self.module.unpack_block(address(piece), 0, count_of(piece), address(states[done:]))
            done += count_of(piece)
        return states


def blocks_of(packed: Array) -> Iterator[Array]:
    """The blocks that stand one behind the other."""
    place = 0
    while place < len(packed):
        size = int(packed[place + block.SIZE // 8]) // 8
        yield packed[place : place + size]
        place += size


def count_of(packed: Array) -> int:
    """The states in one block."""
    return int(packed[block.STATES // 8])


def states_in(packed: Array) -> int:
    """The states of blocks that stand one behind the other."""
    return sum(map(count_of, blocks_of(packed)))
