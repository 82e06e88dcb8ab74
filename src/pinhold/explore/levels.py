"""How the states of each level were reached: written once, and read for the one way that is shown.

It is kept in a temporary file, which has no name and goes with the process.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pinhold.explore.budget import UsedUp
from pinhold.explore.room import PARENT, VIA, Array


@dataclass(frozen=True)
class Level:
    """For each state its parent's place in the level before, and how it was reached from there."""

    parents: Array
    vias: Array


@dataclass
class Written:
    """Where a level is in the file: places of pieces, and how many states each has."""

    pieces: list[tuple[int, int]] = field(default_factory=list)


class Levels(Sequence[Level]):
    def __init__(self) -> None:
        self.file = -1
        self.end = 0
        self.written: list[Written] = []

    def append(self, level: Written) -> None:
        """The next level."""
        self.written.append(level)

    def put(self, level: Written, parents: Array, vias: Array) -> None:
        """More of a level.  Raises UsedUp where the disk is full."""
        data = parents.astype(PARENT, copy=False).tobytes() + vias.astype(VIA, copy=False).tobytes()
        try:
            if self.file < 0:
                self.open()
            done = 0
            while done < len(data):
                done += os.pwrite(self.file, data[done:], self.end + done)
        except OSError as error:
            where = tempfile.gettempdir()
            raise UsedUp(f"the room for temporary files is used up ({where}: {error.strerror})") from None
        level.pieces.append((self.end, len(parents)))
        self.end += len(data)

    def open(self) -> None:
        """A file without a name, for as long as this lives."""
        with tempfile.TemporaryFile() as file:
            self.file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.file)

    def read(self, place: int, count: int) -> bytes:
        return os.pread(self.file, count, place)

    def __len__(self) -> int:
        return len(self.written)

    def __getitem__(self, number: int) -> Level:  # type: ignore[override] # no slices
        parents, vias = [np.empty(0, PARENT)], [np.empty(0, VIA)]
        for place, count in self.written[number].pieces:
            middle = place + count * PARENT.itemsize
            parents.append(np.frombuffer(self.read(place, count * PARENT.itemsize), PARENT))
            vias.append(np.frombuffer(self.read(middle, count * VIA.itemsize), VIA))
        return Level(np.concatenate(parents), np.concatenate(vias))

    def way(self, level: int, place: int) -> Iterator[int]:
        """The words (via.py) of the way to the state at that place, the last first; level -1 is the first state's."""
        while level >= 0:
            parent, via = self.at(level, place)
            yield via
            level, place = level - 1, parent

    def at(self, level: int, place: int) -> tuple[int, int]:
        """A state's parent, and how it was reached."""
        for start, count in self.written[level].pieces:
            if place < count:
                parent = self.read(start + place * PARENT.itemsize, PARENT.itemsize)
                via = self.read(start + count * PARENT.itemsize + place * VIA.itemsize, VIA.itemsize)
                return int(np.frombuffer(parent, PARENT)[0]), int(np.frombuffer(via, VIA)[0])
            place -= count
        raise IndexError(place)
