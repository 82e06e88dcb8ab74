"""Where a search puts the states of a level while it finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pinhold.explore import engine, via

VIA = np.dtype(f"u{via.WORD_BYTES}")
"""A word that says how a state was reached."""

PARENT = np.dtype(np.int32)
"""A place in the level before."""

Array = np.ndarray[Any, Any]


def address(array: Array) -> int:
    return int(array.ctypes.data)


@dataclass
class Room:
    """Of each state its words, its parent's place in the level before, and how it was reached."""

    states: Array
    parents: Array
    vias: Array

    @classmethod
    def of(cls, count: int, words: int) -> Room:
        return cls(np.empty((count, words), np.int64), np.empty(count, PARENT), np.empty(count, VIA))

    def enough(self, count: int) -> int:
        """What it grows to for `count` states: by half at least."""
        return max(count, len(self.states) + len(self.states) // 2) if count > len(self.states) else len(self.states)

    def growth(self, count: int) -> int:
        """The bytes that it grows by for `count` states."""
        each = VIA.itemsize + PARENT.itemsize + self.states.itemsize * self.states.shape[1]
        return int((self.enough(count) - len(self.states)) * each)

    def grow(self, count: int) -> None:
        """To at least `count` states, where they are: nothing is copied, no view is left."""
        count = self.enough(count)
        if count > len(self.states):
            self.states.resize((count, self.states.shape[1]), refcheck=False)
            self.parents.resize(count, refcheck=False)
            self.vias.resize(count, refcheck=False)

    def tell(self, registers: Array) -> None:
        """That new states go here."""
        registers[engine.TARGET] = address(self.states)
        registers[engine.PARENTS], registers[engine.VIAS] = address(self.parents), address(self.vias)

    @property
    def nbytes(self) -> int:
        return int(self.states.nbytes + self.parents.nbytes + self.vias.nbytes)
