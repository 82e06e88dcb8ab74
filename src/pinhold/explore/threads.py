"""Several threads expand one level, and what they find does not depend on who was first.

A level is expanded a stretch at a time.  A thread makes a stretch's successors, leaves out those whose fingerprints the
table has, and puts the others aside, with all that has to be worked out for them.  The searching thread takes over what
has been put aside, one stretch after the other in the level's order; it alone writes to the table.  So the states
of the next level have the order, the parents and the first bad state that they have with one thread.  A look into the
table that comes too early to see a fingerprint costs work, never the result: that it is there is found when its stretch
is taken over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future, wait
from math import isqrt
from types import ModuleType

import numpy as np

from pinhold.explore import engine
from pinhold.explore.room import Array, Room, address
from pinhold.explore.table import FULLEST, Parts, Table

COST = 40
"""Of a stretch, whatever its length, in the time that a state takes."""

WORTH_IT = 4096
"""States of a level below which one thread is sooner done."""

AHEAD = 3
"""Stretches, for each thread, under way or waiting to be taken over."""


def stretch_of(count: int) -> int:
    """How many states of a level a thread expands at a time: what the stretches cost, and the time that threads have
    nothing to do while the last is expanded, half a stretch, are then least together."""
    return max(1, isqrt(2 * COST * count))


class Stretch:
    """What one thread has for itself: registers and a batch of its own, and what it has put aside."""

    def __init__(self, module: ModuleType, registers: Array, batch: Array, uses: Array, words: int) -> None:
        """registers, batch, uses: of the search, which these are like; words: of a state."""
        self.expand_states = module.expand
        self.rehash = module.rehash
        self.registers = r = registers.copy()
        self.batch, self.uses = batch.copy(), uses.copy()
        self.notes = np.zeros(3 * len(batch), np.int64)
        self.branch = int(r[engine.BRANCH])
        self.room = Room.of(2 * self.branch, words)
        self.fingerprints = np.empty(len(self.room.states), np.int64)
        self.own = np.zeros(1 << 11, np.int64)
        self.count = 0
        r[engine.BATCH], r[engine.NOTES], r[engine.USES] = map(address, (self.batch, self.notes, self.uses))

    @property
    def nbytes(self) -> int:
        return int(self.room.nbytes + self.fingerprints.nbytes + self.own.nbytes)

    def expand(self, source: Array, table: Parts, first: int, last: int) -> Stretch:
        """Expand the states first … last - 1 of a level.  table: as it was not long ago; is only read."""
        r = self.registers
        r[engine.SOURCE], r[engine.TABLE] = address(source), address(table.directory)
        r[engine.TRANSITIONS], r[engine.BAD], r[engine.STUCK] = 0, -1, -1
        self.uses[:] = self.own[:] = 0
        self.count, done = 0, first
        while done < last:
            self.grow(self.count + 2 * self.branch)
            self.count = int(self.expand_states(address(r), done, last, self.count))
            done = int(r[engine.REACHED])
        return self

    def grow(self, count: int) -> None:
        """To place for at least `count` states."""
        self.room.grow(count)
        if len(self.fingerprints) < len(self.room.states):
            self.fingerprints.resize(len(self.room.states), refcheck=False)
        while count > FULLEST * len(self.own):
            self.own = np.zeros(2 * len(self.own), np.int64)
            self.rehash(address(self.fingerprints), self.count, address(self.own), len(self.own) - 1)
        r = self.registers
        r[engine.ROOM] = min(len(self.room.states), int(FULLEST * len(self.own)))
        self.room.tell(r)
        r[engine.ASIDE], r[engine.OWN] = address(self.fingerprints), address(self.own)
        r[engine.OWN_MASK] = len(self.own) - 1


def in_order(pool: Executor, stretches: list[Stretch], source: Array, table: Table) -> Generator[Stretch, None, None]:
    """A level's stretches as they have been expanded, each when all before it have been taken over.

    stretches: as many as may be under way at a time.
    """
    free = list(stretches)
    length = stretch_of(len(source))
    firsts = iter(range(0, len(source), length))
    under_way: deque[Future[Stretch]] = deque()
    try:
        while True:
            while free and (first := next(firsts, -1)) >= 0:
                last = min(first + length, len(source))
                under_way.append(pool.submit(free.pop().expand, source, table.parts_now(), first, last))
            if not under_way:
                return
            stretch = under_way.popleft().result()
            yield stretch
            free.append(stretch)
    finally:
        for future in under_way:
            future.cancel()
        wait(under_way)
