"""The first step of a level that passes a decision site, where a compiled search knows only that some step did.

Compiled, a decision leaves a mark beside the states (mm/sites/site.py).  So parts of the level are expanded once more,
with the mark taken away before each, until it is known which state's step sets it; which of its steps that is, Python
finds out.
"""

from __future__ import annotations

from collections.abc import Sized
from types import ModuleType
from typing import Protocol

from pinhold.explore import engine
from pinhold.explore.frontier import Frontier
from pinhold.explore.packing import Packing
from pinhold.explore.record import SearchMachine
from pinhold.explore.room import Array, address
from pinhold.explore.search import Stepper
from pinhold.explore.shortest import passing, state_at
from pinhold.explore.via import Via
from pinhold.explore.world import World


class Expanded(Protocol):
    """What a compiled search has when it has expanded a level."""

    world: World
    symmetric: bool
    site: int
    machine: SearchMachine
    module: ModuleType
    registers: Array
    packing: Packing
    batch: Array
    uses: Array

    @property
    def levels(self) -> Sized: ...

    def path(self, level: int, place: int) -> tuple[Via, ...]:
        """The transitions to the state at that place."""


def path_through(search: Expanded, source: Frontier) -> tuple[Via, ...]:
    """The transitions to the first state of the level last expanded of which a step passes the search's site, and the
    first such step.  source: the level."""
    path = search.path(len(search.levels) - 2, first_place(search, source))
    stepper = Stepper(search.world, symmetric=search.symmetric, site=search.site)
    last = passing(stepper, state_at(stepper, path))
    assert last is not None
    return (*path, last)


def first_place(search: Expanded, source: Frontier) -> int:
    """The place of that state in the level: in the first block of which one passes it, which is halved."""
    slot = search.machine.layout.slots["coverage"]
    mark = search.batch[:, slot.offset + search.site]
    kept = search.registers.copy(), search.uses.copy(), mark.copy()
    search.registers[engine.ROOM] = 2 * len(search.batch)  # for successors that are all known: none takes any

    def passes(states: Array, first: int, last: int) -> bool:
        search.registers[engine.SOURCE] = address(states)
        mark[:] = 0
        while first < last:
            search.module.expand(address(search.registers), first, last, 0)
            first = int(search.registers[engine.REACHED])
        return bool(mark.any())

    place, states = next(each for each in source.unpacked(search.packing) if passes(each[1], 0, len(each[1])))
    low, high = 0, len(states)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(states, low, middle) else (middle, high)
    search.registers[:], search.uses[:], mark[:] = kept
    return place + low
