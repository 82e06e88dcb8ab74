"""Livelock: a cycle of steps in which no operation ends, and that nothing but what is under way keeps going.

In such a cycle no operation begins either, so each task is in one operation all along or idle all along.  Who is in one
goes on as soon as it can (weak fairness): a cycle counts only if each of these takes a step in it, or has to wait
somewhere in it.  That others begin operation after operation and so keep one from its end is not counted: no kernel
promises more than that somebody gets on.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from pinhold.explore.budget import Budget, Clock, Progress, Watch, unwatched
from pinhold.explore.moving import Maker
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.via import WENT_ON, Via, begun, unpacked

BYTES_A_STATE = 250
"""Of what is kept of a state in Python's memory, about."""


@dataclass
class Graph:
    """Every state, by the number in which it was found.  parents, vias: how it was; busy: tasks in an operation; can:
    tasks that can move; edges: the moves in which no operation begins or ends, of states that have one: word, target.
    """

    parents: array[int] = field(default_factory=lambda: array("q", [-1]))
    vias: array[int] = field(default_factory=lambda: array("q", [0]))
    busy: array[int] = field(default_factory=lambda: array("b", [0]))
    can: array[int] = field(default_factory=lambda: array("b", [0]))
    edges: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def path(self, number: int) -> tuple[Via, ...]:
        """The way to a state."""
        way = []
        while number:
            way.append(unpacked(self.vias[number]))
            number = self.parents[number]
        return tuple(reversed(way))


def livelock(maker: Maker, actions: int, budget: Budget = Budget(), watch: Watch = unwatched) -> SearchResult:  # noqa: B008
    """Go through all states, then look for a cycle; the one that is reached first, as the last steps of the path."""
    clock = Clock(budget)
    result = SearchResult(states=1, levels=[1], uses=[0] * actions)
    graph = whole_graph(maker, result, clock, watch)
    if not result.limited():
        found = next(iter(sorted(cycles(graph), key=lambda cycle: cycle[0])), None)
        if found is not None:
            start, cycle = found
            result.violation = Violation(cycle=len(cycle))
            result.path = (*graph.path(start), *map(unpacked, cycle))
    result.seconds, result.compile_seconds, result.sites = clock.seconds, maker.compile_seconds, maker.sites()
    return result


def whole_graph(maker: Maker, result: SearchResult, clock: Clock, watch: Watch) -> Graph:
    """Breadth first."""
    graph = Graph()
    level, key = maker.first()
    numbers: dict[Hashable, int] = {key: 0}
    first = 0
    while len(level) and not result.limited():
        picked = []
        for moves in maker.moves(level):
            places = []
            for place, (source, word, key, busy) in enumerate(
                zip(moves.sources, moves.vias, moves.keys, moves.busy, strict=True)
            ):
                task, action = unpacked(word).task, begun(word)
                number = numbers.setdefault(key, len(numbers))
                if number == len(graph.parents):
                    graph.parents.append(first + source)
                    graph.vias.append(word)
                    graph.busy.append(busy)
                    graph.can.append(0)
                    places.append(place)
                graph.can[first + source] |= 1 << task
                if action == WENT_ON and busy >> task & 1:
                    graph.edges.setdefault(first + source, []).append((word, number))
                elif action != WENT_ON:
                    result.uses[action] += 1
            result.transitions += len(moves)
            picked.append(maker.picked(moves.states, places))
            used = len(numbers) * BYTES_A_STATE
            watch(Progress(len(numbers), result.transitions, result.depth, len(level), clock.seconds, used))
            result.limit = clock.over(used)
            if result.limited():
                return graph
        first += len(level)
        level = maker.joined(picked)
        if len(level):
            result.levels.append(len(level))
            result.states += len(level)
        if clock.budget.depth and result.depth >= clock.budget.depth and len(level):
            result.limit = f"the depth of {clock.budget.depth} is reached"
    return graph


def cycles(graph: Graph) -> Iterator[tuple[int, list[int]]]:
    """Of each part in which every state leads to every other, if a cycle through it is fair: the state that was found
    first, and the moves of a cycle from there."""
    trim(graph)
    for part in parts(graph):
        inside = set(part)
        if len(part) > 1 or any(target == part[0] for _, target in graph.edges[part[0]]):
            cycle = fair_cycle(graph, min(part), inside)
            if cycle is not None:
                yield min(part), cycle


def trim(graph: Graph) -> None:
    """Take away, again and again, what no edge leads into or out of: what is left is on a cycle or between two."""
    edges = graph.edges
    incoming: dict[int, int] = dict.fromkeys(edges, 0)
    sources: dict[int, list[int]] = {}
    for state, moves in edges.items():
        for _, target in moves:
            if target in edges:
                incoming[target] += 1
            sources.setdefault(target, []).append(state)
    outgoing = {state: len(moves) for state, moves in edges.items()}
    waiting = [state for state, count in incoming.items() if not count]
    waiting += [target for target in sources if target not in edges]
    gone: set[int] = set()
    while waiting:
        state = waiting.pop()
        if state in gone:
            continue
        gone.add(state)
        for _, target in edges.get(state, ()):
            if target in incoming and target not in gone:
                incoming[target] -= 1
                if not incoming[target]:
                    waiting.append(target)
        for source in sources.get(state, ()):
            if source not in gone:
                outgoing[source] -= 1
                if not outgoing[source]:
                    waiting.append(source)
    graph.edges = {
        state: [move for move in moves if move[1] not in gone] for state, moves in edges.items() if state not in gone
    }


def parts(graph: Graph) -> Iterator[list[int]]:
    """The strongly connected components, after Tarjan."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in graph.edges:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(graph.edges[root]))]
        while work:
            state, moves = work[-1]
            for _, target in moves:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(graph.edges[target])))
                    break
                if target in on_stack:
                    low[state] = min(low[state], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == order[state]:
                    place = stack.index(state)
                    part, stack = stack[place:], stack[:place]
                    on_stack.difference_update(part)
                    yield part


def fair_cycle(graph: Graph, start: int, inside: set[int]) -> list[int] | None:
    """The moves of a short cycle from `start` through that part on which each busy task moves, or waits somewhere; or
    None, if there is no such."""
    cycle, at = way(graph, start, inside, lambda move: move[1] == start)
    states = [start, *at]
    for task in range(8):
        if not graph.busy[start] >> task & 1:
            continue
        moves = any(unpacked(word).task == task for word in cycle)
        if moves or any(not graph.can[state] >> task & 1 for state in states):
            continue
        detour = way(graph, start, inside, lambda move, t=task: fair(graph, move, t))  # type: ignore[misc]
        if not detour[0]:
            return None
        back = ([], []) if detour[1][-1] == start else way(graph, detour[1][-1], inside, lambda move: move[1] == start)
        cycle, states = [*cycle, *detour[0], *back[0]], [*states, *detour[1], *back[1]]
    return cycle


def fair(graph: Graph, move: tuple[int, int], task: int) -> bool:
    """Whether the move is the task's, or leads to where it waits."""
    return unpacked(move[0]).task == task or not graph.can[move[1]] >> task & 1


def way(
    graph: Graph, start: int, inside: set[int], is_last: Callable[[tuple[int, int]], bool]
) -> tuple[list[int], list[int]]:
    """The shortest way of one move or more from a state, within the part, whose last move is such a one: its moves, and
    the states that they lead to; empty, if there is none."""
    before: dict[int, tuple[int, int]] = {}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for word, target in graph.edges[state]:
            if target not in inside:
                continue
            if is_last((word, target)):
                words, states = [word], [target]
                while state != start:
                    states.append(state)
                    state, earlier = before[state]
                    words.append(earlier)
                return words[::-1], states[::-1]
            if target not in before and target != start:
                before[target] = state, word
                waiting.append(target)
    return [], []
