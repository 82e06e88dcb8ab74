"""What sleep sets would save at best: the transitions that they leave, and the expansions that they add.

Sleep sets leave out a task's move where the same state comes of it in another order (Godefroid, Partial-Order Methods
for the Verification of Concurrent Systems, 1996).  They need to know which moves commute.  A search has to guess that
from what moves touch; here the whole graph of a scope is built first, so it is known exactly, and no real search can
leave out more.  All states stay reachable.  But a state that a later level comes by again, with a smaller sleep set, is
expanded again for the moves that woke.

    benchmarks/sleep_sets.py [SCOPE …] [--no-symmetry]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pinhold.explore.scope import library
from pinhold.explore.search import Stepper
from pinhold.explore.world import world
from pinhold.mm import releases

SCOPES = ("bench-tiny", "two-buffers", "fork-pin", "bench-fork")

Moves = Mapping[int, Sequence[int]]
"""Of one task in one state: the states that an action leads to, by each chance; none if the task cannot move."""

State = Sequence[Moves]
"""The moves of each task."""


@dataclass(frozen=True)
class Visit:
    """states, transitions: that sleep sets come by; expansions: how often a state was expanded."""

    states: int
    transitions: int
    expansions: int


def graph_of(stepper: Stepper) -> list[State]:
    """All states that can be reached, by number, the first one being 0."""
    numbers = {stepper.first(): 0}
    found = list(numbers)
    graph: list[State] = []
    for state in found:
        moves: list[dict[int, list[int]]] = [{} for _ in stepper.world.menu]
        for via, successor in stepper.successors(state):
            number = numbers.setdefault(successor, len(numbers))
            if number == len(found):
                found.append(successor)
            moves[via.task].setdefault(via.action, []).append(number)
        graph.append(moves)
    return graph


def transitions(graph: Sequence[State]) -> int:
    return sum(len(to) for state in graph for moves in state for to in moves.values())


def commute(graph: Sequence[State], state: int, one: int, other: int) -> bool:
    """Whether every move of one task and every one of the other lead to the same states in both orders, and neither
    takes a move from the other or gives it one."""
    ones, others = graph[state][one], graph[state][other]
    if any(graph[to][other].keys() != others.keys() for targets in ones.values() for to in targets):
        return False
    if any(graph[to][one].keys() != ones.keys() for targets in others.values() for to in targets):
        return False
    return all(
        after(graph, targets, other, second) == after(graph, graph[state][other][second], one, first)
        for first, targets in ones.items()
        for second in others
    )


def after(graph: Sequence[State], states: Sequence[int], task: int, action: int) -> set[int]:
    return {to for state in states for to in graph[state][task][action]}


def visit(graph: Sequence[State]) -> Visit:
    """Breadth first, level by level, with sleep sets.  A level's arrivals at a state all count before it is expanded,
    which is what a search by levels has for nothing."""
    asleep = {0: 0}
    done: dict[int, int] = {}
    level = [0]
    moves = expansions = 0
    while level:
        arrived: dict[int, None] = {}
        for state in level:
            earlier = asleep[state] | done.get(state, 0)
            awake = [task for task, of_task in enumerate(graph[state]) if of_task and not earlier >> task & 1]
            expansions += bool(awake)
            for task in awake:
                sleeping = sum(
                    1 << other
                    for other, of_other in enumerate(graph[state])
                    if earlier >> other & 1 and of_other and commute(graph, state, task, other)
                )
                for to in (to for targets in graph[state][task].values() for to in targets):
                    moves += 1
                    before = asleep.get(to)
                    asleep[to] = sleeping if before is None else before & sleeping
                    woken = any(
                        of_task and not (asleep[to] | done.get(to, 0)) >> other & 1
                        for other, of_task in enumerate(graph[to])
                    )
                    if woken and asleep[to] != before:
                        arrived[to] = None
                earlier |= 1 << task
            done[state] = earlier & ~asleep[state] | done.get(state, 0)
        level = list(arrived)
    return Visit(len(asleep), moves, expansions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scopes", nargs="*", default=SCOPES, metavar="SCOPE")
    parser.add_argument("--no-symmetry", action="store_true")
    options = parser.parse_args()
    print("scope                 states  transitions  with sleep sets  expansions")
    for name in options.scopes:
        scope = library()[name]
        graph = graph_of(Stepper(world(scope, releases.row(scope.rules)), symmetric=not options.no_symmetry))
        all_moves, slept = transitions(graph), visit(graph)
        if slept.states != len(graph):
            raise SystemExit(f"{name}: sleep sets lost {len(graph) - slept.states} states, which they must not")
        print(
            f"{name:18} {len(graph):9,} {all_moves:12,} {slept.transitions / all_moves:15.1%}"
            f" {slept.expansions / len(graph) - 1:+11.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
