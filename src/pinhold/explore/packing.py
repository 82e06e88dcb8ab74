"""States packed and unpacked, as arrays (block.py says how)."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from pinhold.explore import block
from pinhold.explore.room import Array, address

BLOCK = 1 << 11
"""States of a block, at most: of twice as many a state takes a fiftieth less, and of half as many a tenth more."""


class Packing:
    """For states of so many words; one at a time may use it."""

    def __init__(self, module: ModuleType, words: int) -> None:
        """module: the image of the scope that the states are of."""
        assert words <= block.MOST_VALUES
        self.module = module
        self.words = words
        head = block.FIRST_STATE // 8 + words + words * block.COLUMN_SIZE // 8
        self.room = np.empty(head + block.MOST_VALUES + BLOCK * (words + 3) // 4 + 2, np.int64)
        self.work = np.empty(block.SLOTS * block.SLOT_SIZE // 8 + words + BLOCK * (words + 3) // 4, np.int64)

    def pack_block(self, states: Array) -> Array:
        """A block of the first of these states, of no more than BLOCK of them; there has to be one."""
        count = min(len(states), BLOCK)
        self.module.pack_block(address(states), count, address(self.room), address(self.work))
        return self.room[: self.room[block.SIZE // 8] // 8].copy()

    def pack(self, states: Array) -> Array:
        """states: of each a row of words.  Gives blocks, one behind the other, as words."""
        blocks = []
        while len(states):
            blocks.append(self.pack_block(states))
            states = states[states_in(blocks[-1]) :]
        return np.concatenate(blocks) if blocks else np.empty(0, np.int64)

    def unpack(self, packed: Array) -> Array:
        """The states of blocks that stand one behind the other, of each a row of words."""
        states = np.empty((states_in(packed), self.words), np.int64)
        done = 0
        for piece in blocks_of(packed):
            self.module.unpack_block(address(piece), 0, states_in(piece), address(states[done:]))
            done += states_in(piece)
        return states


def blocks_of(packed: Array) -> Iterator[Array]:
    """The blocks that stand one behind the other."""
    place = 0
    while place < len(packed):
        size = int(packed[place + block.SIZE // 8]) // 8
        yield packed[place : place + size]
        place += size


def states_in(packed: Array) -> int:
    """The states of blocks that stand one behind the other."""
    return sum(int(piece[block.STATES // 8]) for piece in blocks_of(packed))
