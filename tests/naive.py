"""The plainest search: a set of states, the specification's own steps, nothing left out and nothing merged."""

from __future__ import annotations

from dataclasses import dataclass, field

from pinhold.explore.moves import move
from pinhold.explore.record import SearchMachine
from pinhold.explore.world import World
from pinhold.mm.invariants import check_invariants
from pinhold.mm.properties import check_properties


@dataclass
class Seen:
    """Distinct states by depth, ways out of them, and the least depth of a bad one (-1: none is bad)."""

    levels: list[int] = field(default_factory=list)
    transitions: int = 0
    bad: int = -1


def every_state(world: World) -> Seen:
    """All that can be reached, whether something bad is among it or not."""
    seen, level, known = Seen(), {world.machine.saved()}, set[bytes]()
    while level:
        known |= level
        if seen.bad < 0 and any(is_bad(world, state) for state in level):
            seen.bad = len(seen.levels)
        seen.levels.append(len(level))
        ways = [after for state in level for after in successors(world, state)]
        seen.transitions += len(ways)
        level = set(ways) - known
    return seen


def machine(world: World, state: bytes) -> SearchMachine:
    return SearchMachine(world.machine.geometry, bytearray(state + world.machine.data[len(state) :]))


def is_bad(world: World, state: bytes) -> bool:
    m = machine(world, state)
    return bool(check_properties(m) or check_invariants(m))


def successors(world: World, state: bytes) -> list[bytes]:
    """One for each task, each operation that it may begin (or the one that it is in), and each outcome of chance."""
    found = []
    for task, menu in enumerate(world.menu):
        busy = machine(world, state).task_depth[task]
        for numbers in [(0,) * 7] if busy else [world.actions[action].numbers for action in menu]:
            chance, chances = 0, 1
            while chance < chances:
                m = machine(world, state)
                m.choice[0], m.choices[0] = chance, 1
                if move(m, task, *numbers):
                    chances = m.choices[0]
                    found.append(m.saved())
                chance += 1
    return found
