"""Breadth-first search, interpreted: every state as bytes in a dictionary, exact, without numba.

The compiled search (compiled_search.py) goes through states in the same order and comes to the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pinhold.explore.budget import Budget, Clock, Progress, Watch, unwatched
from pinhold.explore.moves import move
from pinhold.explore.record import SearchMachine
from pinhold.explore.result import NO_SITE, SearchResult, Violation
from pinhold.explore.scope import beyond, too_many_outcomes
from pinhold.explore.symmetry.canonical import canonical
from pinhold.explore.via import WENT_ON, ActionNumber, TaskNumber, Via
from pinhold.explore.world import World
from pinhold.mm.invariants import check_invariants
from pinhold.mm.properties import PROPERTIES, check_properties

ALL_PROPERTIES = sum(PROPERTIES)

PLAIN: Mapping[str, Callable[..., Any]] = {
    "move": move,
    "canonical": canonical,
    "check_properties": check_properties,
    "check_invariants": check_invariants,
}
"""The specification's own functions; a scope's specialised ones do the same faster."""


class Stepper:
    """Successors of a state and what is wrong with it."""

    def __init__(
        self,
        world: World,
        *,
        symmetric: bool = True,
        properties: int = ALL_PROPERTIES,
        invariants: bool = True,
        stuck: bool = True,
        site: int = NO_SITE,
        functions: Mapping[str, Callable[..., Any]] = PLAIN,
    ) -> None:
        """properties, invariants, stuck: what is bad; site: the decision site that is looked for."""
        self.world = world
        self.stuck = stuck
        self.site = site
        self.outcomes = world.scope.outcomes
        self.symmetric = symmetric
        self.properties = properties
        self.invariants = invariants
        self.m = SearchMachine(world.machine.geometry, bytearray(world.machine.data))
        self.sites: set[int] = set()
        self.size = world.machine.layout.mutable_size
        self.move = functions["move"]
        self.canonical = functions["canonical"]
        self.check_properties = functions["check_properties"]
        self.check_invariants = functions["check_invariants"]
        self.busy = False

    def first(self) -> bytes:
        self.put(self.world.machine.saved())
        return self.taken()

    def put(self, state: bytes) -> None:
        self.m.data[: self.size] = state

    def taken(self) -> bytes:
        """The state as it stands, in its canonical form."""
        if self.symmetric:
            self.canonical(self.m)
        return bytes(self.m.data[: self.size])

    def successors(self, state: bytes) -> Iterator[tuple[Via, bytes]]:
        """Every transition out of a state, in order of task, action, chance.  `busy`: somebody is in an operation."""
        self.put(state)
        in_operation = [self.m.task_depth[task] != 0 for task in range(len(self.world.menu))]
        self.busy = any(in_operation)
        for task, menu in enumerate(self.world.menu):
            for action in (WENT_ON,) if in_operation[task] else map(ActionNumber, menu):
                numbers = self.world.numbers(action)
                chance, chances = 0, 1
                while chance < chances:
                    if not self.step(state, task, numbers, chance):
                        break
                    chances = self.m.choices[0]
                    yield Via(TaskNumber(task), action, chance), self.taken()
                    chance += 1

    def step(self, state: bytes, task: int, numbers: tuple[int, ...], chance: int) -> bool:
        self.put(state)
        self.m.choice[0] = chance
        self.m.choices[0] = 1
        self.m.trace.sites.clear()
        if not self.move(self.m, task, *numbers):
            return False
        if self.m.trapped[0]:
            raise beyond(self.world.scope.name, self.m.trapped[0])
        if self.m.choices[0] > self.outcomes:
            raise too_many_outcomes(self.world.scope, self.m.choices[0])
        self.sites.update(self.m.trace.sites)
        return True

    def passed(self) -> bool:
        """Whether the last step passed the site that is looked for."""
        return self.site != NO_SITE and self.site in self.m.trace.sites

    def wrong(self, state: bytes) -> Violation | None:
        self.put(state)
        violated = self.check_properties(self.m) & self.properties if self.properties else 0
        broken = self.check_invariants(self.m) if self.invariants else 0
        return Violation(violated, broken) if violated or broken else None


def search(stepper: Stepper, budget: Budget = Budget(), watch: Watch = unwatched) -> SearchResult:  # noqa: B008
    """Every state reachable from the first, level by level, up to the first level with a bad one, or whose steps pass
    the site that is looked for, or to a limit."""
    clock = Clock(budget)
    first = stepper.first()
    result = SearchResult(states=1, levels=[1], uses=[0] * len(stepper.world.actions))
    parents: dict[bytes, tuple[bytes, Via] | None] = {first: None}
    frontier = [first]
    bad = first if stepper.wrong(first) else None
    passing: tuple[bytes, Via] | None = None
    while frontier and bad is None and passing is None and not result.limited():
        new: list[bytes] = []
        stuck = None
        for number, state in enumerate(frontier):
            moved = False
            for via, successor in stepper.successors(state):
                moved = True
                result.transitions += 1
                if passing is None and stepper.passed():
                    passing = state, via
                if via.action != WENT_ON:
                    result.uses[via.action] += 1
                if successor in parents:
                    continue
                parents[successor] = state, via
                new.append(successor)
            if not moved and stepper.busy and stuck is None and stepper.stuck:
                stuck = state
            if number % 256 == 0:
                used = len(parents) * (len(first) + 300)
                watch(Progress(len(parents), result.transitions, result.depth, len(frontier), clock.seconds, used))
                result.limit = clock.over(used)
                if result.limited():
                    break
        if result.limited():
            break
        result.states += len(new)
        bad = next((state for state in new if stepper.wrong(state)), None)
        if stuck is not None:
            result.violation, bad = Violation(stuck=True), stuck
        if new:
            result.levels.append(len(new))
        frontier = new
        if budget.depth and result.depth >= budget.depth and frontier and bad is None and passing is None:
            result.limit = f"the depth of {budget.depth} is reached"
    if passing is not None:
        result.violation = Violation(site=stepper.site)
        result.path = (*path_to(passing[0], parents), passing[1])
    elif bad is not None:
        result.violation = result.violation or stepper.wrong(bad)
        result.path = path_to(bad, parents)
    result.sites = frozenset(stepper.sites)
    result.seconds = clock.seconds
    return result


def path_to(state: bytes, parents: Mapping[bytes, tuple[bytes, Via] | None]) -> tuple[Via, ...]:
    """The transitions that lead from the first state to this one."""
    path = []
    step = parents[state]
    while step is not None:
        state, via = step
        path.append(via)
        step = parents[state]
    return tuple(reversed(path))
