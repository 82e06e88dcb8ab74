"""Several threads expand one level, and what they find does not depend on who was first.

A level is expanded a stretch at a time.  A thread makes a stretch's successors, leaves out those whose fingerprints the
table has, and puts the others aside, with all that has to be worked out for them.  The searching thread takes over what
has been put aside, one stretch after the other in the level's order: it alone writes to the table, and it touches no
state.  What was new is then packed by any thread.  So the states of the next level have the order, the parents and the
first bad state that they have with one thread.  A look into the table that comes too early to see a fingerprint costs
work, never the result: that it is there is found when its stretch is taken over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from math import isqrt
from types import ModuleType
from typing import Any

import numpy as np

from pinhold.explore import engine
from pinhold.explore.frontier import Frontier, Piece, blocks_from
from pinhold.explore.packing import Packing
from pinhold.explore.room import Array, Room, address
from pinhold.explore.table import FULLEST, Parts, Table

COST = 40
"""Of a stretch, whatever its length, in the time that a state takes."""

WORTH_IT = 4096
"""States of a level below which one thread is sooner done."""

LONGEST = 1 << 12
"""States that a thread expands at a time, at most: what it puts aside is not packed."""

AHEAD = 3
"""Stretches, for each thread, under way or waiting to be taken over."""


def stretch_of(count: int) -> int:
    """How many states of a level a thread expands at a time: what the stretches cost, and the time that threads have
    nothing to do while the last is expanded, half a stretch, are then least together."""
    return max(1, min(isqrt(2 * COST * count), LONGEST))


@dataclass(frozen=True)
class Packed:
    """What of a stretch was new: blocks of states, and how each was reached."""

    stretch: Stretch
    blocks: list[Array]
    parents: Array
    vias: Array


class Stretch:
    """What one thread has for itself: registers and a batch of its own, and what it has put aside."""

    def __init__(self, module: ModuleType, registers: Array, batch: Array, uses: Array, words: int) -> None:
        """registers, batch, uses: of the search, which these are like; words: of a state."""
        self.expand_states = module.expand
        self.keep_states = module.keep
        self.rehash = module.rehash
        self.registers = r = registers.copy()
        self.batch, self.uses = batch.copy(), uses.copy()
        self.notes = np.zeros(3 * len(batch), np.int64)
        self.branch = int(r[engine.BRANCH])
        self.room = Room.of(2 * self.branch, words)
        self.fingerprints = np.empty(len(self.room.states), np.int64)
        self.own = np.zeros(1 << 11, np.int64)
        self.kept = np.empty(len(self.room.states), np.int32)
        self.packing = Packing(module, words)
        self.count = self.new = self.before = 0
        r[engine.BATCH], r[engine.NOTES], r[engine.USES] = map(address, (self.batch, self.notes, self.uses))

    @property
    def nbytes(self) -> int:
        return (
            int(self.room.nbytes + self.fingerprints.nbytes + self.own.nbytes + self.kept.nbytes) + self.packing.nbytes
        )

    def expand(self, source: Array, table: Parts, first: int, last: int) -> Stretch:
        """Expand the states first … last - 1 of `source`, which is one level.  table: as it was not long ago; is only
        read."""
        self.begin(table)
        self.go_on(source, first, last, 0)
        return self

    def expand_pieces(self, pieces: Sequence[Piece], table: Parts) -> Stretch:
        """The same, of a level that is packed: as many as are in these pieces."""
        self.begin(table)
        for piece in pieces:
            self.go_on(piece.unpacked(self.packing), 0, len(piece), piece.place)
        return self

    def begin(self, table: Parts) -> None:
        r = self.registers
        r[engine.TABLE], r[engine.TRANSITIONS], r[engine.BAD], r[engine.STUCK] = address(table.directory), 0, -1, -1
        self.uses[:] = self.own[:] = 0
        self.count = 0

    def go_on(self, source: Array, first: int, last: int, place: int) -> None:
        """place: in the level, of the first state of `source`."""
        r = self.registers
        r[engine.SOURCE], r[engine.FIRST] = address(source), place
        while first < last:
            self.grow(self.count + 2 * self.branch)
            self.count = int(self.expand_states(address(r), first, last, self.count))
            first = int(r[engine.REACHED])

    def pack(self) -> Packed:
        """Of what has been put aside the states that were new when they were taken over: `new`, in `kept`; of the level
        `before` are before them."""
        room = self.room
        states = np.empty((self.new, self.packing.words), np.int64)
        self.keep_states(address(self.registers), self.new, address(states))
        blocks = list(blocks_from(states, self.packing, self.before))
        return Packed(self, blocks, room.parents[: self.new].copy(), room.vias[: self.new].copy())

    def grow(self, count: int) -> None:
        """To place for at least `count` states."""
        self.room.grow(count)
        if len(self.fingerprints) < len(self.room.states):
            self.fingerprints.resize(len(self.room.states), refcheck=False)
            self.kept.resize(len(self.room.states), refcheck=False)
        while count > FULLEST * len(self.own):
            self.own = np.zeros(2 * len(self.own), np.int64)
            self.rehash(address(self.fingerprints), self.count, address(self.own), len(self.own))
        r = self.registers
        r[engine.ROOM] = min(len(self.room.states), int(FULLEST * len(self.own)))
        self.room.tell(r)
        r[engine.ASIDE], r[engine.OWN] = address(self.fingerprints), address(self.own)
        r[engine.OWN_SIZE], r[engine.KEPT] = len(self.own), address(self.kept)


def in_order(
    pool: Executor,
    stretches: list[Stretch],
    source: Frontier,
    table: Table,
    take_over: Callable[[Stretch], None],
    put: Callable[[list[Array]], None],
) -> Generator[Packed, None, None]:
    """Expand a level; gives of each of its stretches what was new, in the level's order.

    stretches: as many as may be under way at a time.  take_over: is called for each when all before it have been taken
    over, and sets its `new` and `before`.  put: is called with its states when they are packed; of all that have been
    taken over, even if the level is left before its end.
    """
    free = list(stretches)
    left = source.stretches(stretch_of(len(source)))
    expanding: deque[Future[Stretch]] = deque()
    taken: deque[Future[Packed]] = deque()
    try:
        while True:
            while free and (pieces := next(left, None)):
                expanding.append(pool.submit(free.pop().expand_pieces, pieces, table.parts_now()))
            if not expanding and not taken:
                return
            heads: list[Future[Any]] = [*list(expanding)[:1], *list(taken)[:1]]
            wait(heads, return_when=FIRST_COMPLETED)
            if expanding and expanding[0].done():
                stretch = expanding.popleft().result()
                take_over(stretch)
                taken.append(pool.submit(stretch.pack))
            elif taken[0].done():
                packed = taken.popleft().result()
                put(packed.blocks)
                yield packed
                free.append(packed.stretch)
    finally:
        for future in expanding:
            future.cancel()
        wait(expanding)
        for done in taken:
            put(done.result().blocks)
