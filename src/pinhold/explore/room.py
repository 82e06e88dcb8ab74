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
    place: int = array.__array_interface__["data"][0]
    return place


@dataclass
class Room:
    """Of each state its words, its parent's place in the level before, and how it was reached."""

    states: Array
    parents: Array
    vias: Array

    @classmethod
    def of(cls, count: int, words: int) -> Room:
        return cls(np.empty((count, words), np.int64), np.empty(count, PARENT), np.empty(count, VIA))

    def grow(self, count: int) -> None:
        """To at least `count` states, by half at least, where they are: nothing is copied, no view is left."""
        if count > len(self.states):
            count = max(count, len(self.states) + len(self.states) // 2)
            self.states.resize((count, self.states.shape[1]), refcheck=False)
            self.parents.resize(count, refcheck=False)
            self.vias.resize(count, refcheck=False)

    def given(self, count: int) -> Array:
        """The first states, whose they are who asks: copied, if they are few; else the room gets another place."""
        states = self.states[:count]
        if 2 * count < len(self.states):
            return states.copy()
        self.states = np.empty_like(self.states)
        return states

    def tell(self, registers: Array) -> None:
        """That new states go here."""
        registers[engine.TARGET] = address(self.states)
        registers[engine.PARENTS], registers[engine.VIAS] = address(self.parents), address(self.vias)

    @property
    def nbytes(self) -> int:
        return int(self.states.nbytes + self.parents.nbytes + self.vias.nbytes)
