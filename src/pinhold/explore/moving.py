"""States and the moves out of them, for questions about the graph: by Python, exactly, or by a scope's machine code.

A level is so many states, in whatever form its maker keeps them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pinhold.explore.result import Violation
from pinhold.explore.search import Stepper
from pinhold.explore.via import packed

Level = Any
"""Of the maker's own form; has a length."""


@dataclass(frozen=True)
class Moves:
    """Of some states of a level all moves, state by state.

    sources: of each move the place of its state in the level; vias: how it goes (via.py); keys: what tells the state
    that it leads to from others; busy: the tasks that are in an operation there, a bit each; bad: what is wrong there,
    as one number (bad_of), 0 nothing.
    """

    sources: Sequence[int]
    vias: Sequence[int]
    keys: Sequence[Hashable]
    busy: Sequence[int]
    bad: Sequence[int]
    states: Level

    def __len__(self) -> int:
        return len(self.keys)


INVARIANT_SHIFT = 16


def bad_of(violation: Violation | None) -> int:
    """As one number: properties, and from that bit on the invariant."""
    return 0 if violation is None else violation.properties | violation.invariant << INVARIANT_SHIFT


def violation_of(bad: int) -> Violation:
    """What such a number says."""
    return Violation(bad & ((1 << INVARIANT_SHIFT) - 1), bad >> INVARIANT_SHIFT)


class Maker(Protocol):
    """Who makes moves.  compile_seconds: what it took to be ready."""

    compile_seconds: float

    def first(self) -> tuple[Level, Hashable]:
        """The first state, as a level, and its key."""

    def wrong_at_first(self) -> int:
        """What is wrong with the first state, as in `Moves.bad`."""

    def moves(self, level: Level) -> Iterator[Moves]:
        """Those of all its states, in pieces."""

    def picked(self, states: Level, places: Sequence[int]) -> Level:
        """The states at those places."""

    def sites(self) -> frozenset[int]:
        """The decision sites passed so far."""

    def joined(self, levels: Sequence[Level]) -> Level:
        """All of them, as one."""


class ByPython:
    """Keys are the states themselves."""

    compile_seconds = 0.0

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    def first(self) -> tuple[Level, Hashable]:
        state = self.stepper.first()
        return [state], state

    def wrong_at_first(self) -> int:
        return bad_of(self.stepper.wrong(self.stepper.first()))

    def moves(self, level: Level) -> Iterator[Moves]:
        for source, state in enumerate(level):
            vias, states, busy = [], [], []
            for via, after in self.stepper.successors(state):
                vias.append(packed(via.task, via.action, via.chance))
                states.append(after)
                depths = self.stepper.m.task_depth
                busy.append(sum((depths[task] != 0) << task for task in range(len(depths))))
            bad = [bad_of(self.stepper.wrong(after)) for after in states]
            yield Moves([source] * len(vias), vias, states, busy, bad, states)

    def picked(self, states: Level, places: Sequence[int]) -> Level:
        return [states[place] for place in places]

    def sites(self) -> frozenset[int]:
        return frozenset(self.stepper.sites)

    def joined(self, levels: Sequence[Level]) -> Level:
        return [state for level in levels for state in level]
