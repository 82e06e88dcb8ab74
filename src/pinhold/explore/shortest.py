"""Of all shortest ways to a bad state, one with the fewest changes from one task to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pinhold.explore.result import NO_SITE
from pinhold.explore.search import Stepper
from pinhold.explore.via import Via

MOST = 300_000
"""States looked at before the way that the search found is taken as it is."""


class Place(NamedTuple):
    """A state, and which task moved last (-1: nobody yet)."""

    state: bytes
    last: int


class Reached(NamedTuple):
    context_switches: int
    before: Place | None
    via: Via | None


def fewest_context_switches(stepper: Stepper, shortest: tuple[Via, ...]) -> tuple[Via, ...]:
    """A way as long as `shortest` to a state that is bad, or through a step that passes the site that is looked for."""
    if stepper.site == NO_SITE:
        return fewest_to(lambda state: stepper.wrong(state) is not None, stepper, shortest)
    path = fewest_to(lambda state: passing(stepper, state) is not None, stepper, shortest[:-1])
    last = passing(stepper, state_at(stepper, path), path[-1].task if path else 0)
    assert last is not None
    return (*path, last)


def passing(stepper: Stepper, state: bytes, task: int = 0) -> Via | None:
    """A step out of the state that passes the site which is looked for: one of that task, if there is one."""
    vias = [via for via, _ in stepper.successors(state) if stepper.passed()]
    return min(vias, key=lambda via: via.task != task, default=None)


def state_at(stepper: Stepper, path: tuple[Via, ...]) -> bytes:
    """The state to which a path leads."""
    state = stepper.first()
    for via in path:
        state = next(after for v, after in stepper.successors(state) if v == via)
    return state


def fewest_to(is_end: Callable[[bytes], bool], stepper: Stepper, shortest: tuple[Via, ...]) -> tuple[Via, ...]:
    """A way as long as `shortest`, which leads to such an end."""
    first = Place(stepper.first(), -1)
    levels: list[dict[Place, Reached]] = [{first: Reached(0, None, None)}]
    seen = {first.state}
    for _ in shortest:
        level = next_level(stepper, levels[-1], seen)
        seen |= {place.state for place in level}
        levels.append(level)
        if len(seen) > MOST:
            return shortest
    bad = {state for state in {place.state for place in levels[-1]} if is_end(state)}
    ends = [(reached.context_switches, number, place) for number, (place, reached) in enumerate(levels[-1].items())]
    best = min((end for end in ends if end[2].state in bad), default=None)
    return way(best[2], levels) if best else shortest


def next_level(stepper: Stepper, level: Mapping[Place, Reached], seen: set[bytes]) -> dict[Place, Reached]:
    """The places one move further that no shorter way reaches, each by its fewest context switches."""
    further: dict[Place, Reached] = {}
    successors: dict[bytes, list[tuple[Via, bytes]]] = {}
    for place, reached in level.items():
        if place.state not in successors:
            successors[place.state] = [s for s in stepper.successors(place.state) if s[1] not in seen]
        for via, state in successors[place.state]:
            count = reached.context_switches + (place.last not in (-1, via.task))
            there = Place(state, via.task)
            if there not in further or count < further[there].context_switches:
                further[there] = Reached(count, place, via)
    return further


def way(end: Place, levels: list[dict[Place, Reached]]) -> tuple[Via, ...]:
    path: list[Via] = []
    place: Place | None = end
    for level in reversed(levels):
        assert place is not None
        reached = level[place]
        if reached.via is not None:
            path.append(reached.via)
        place = reached.before
    return tuple(reversed(path))
