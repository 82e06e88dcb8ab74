"""Bounded context switches: all that is reachable if the tasks take turns at most so many times.

Most defects of a kernel need one or two switches, however many steps they take, and with few of them a space is small
that is otherwise too large.  What is told apart is a state together with who moved last.  Looked at first is what needs
the fewest switches, and of that what needs the fewest steps: so the way to the first bad state has the fewest of both.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from pinhold.explore.budget import Budget, Clock, Progress, Watch, unwatched
from pinhold.explore.moving import Level, Maker, violation_of
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.via import WENT_ON, Via, begun, unpacked

BYTES_A_PLACE = 400
"""Of what is kept in Python's memory of a state and who moved last, about."""

NOBODY = -1

Place = tuple[Hashable, int]
"""A state's key, and who moved last."""


@dataclass(frozen=True)
class Reached:
    """How a place was reached, and what is wrong there (moving.Moves.bad)."""

    before: Place | None
    word: int
    busy: int
    bad: int


@dataclass
class Waiting:
    """Places that are to be looked at, by how many steps it takes to them: with the levels that they are rows of."""

    levels: dict[int, list[Level]] = field(default_factory=dict)
    places: dict[int, list[tuple[Place, Reached]]] = field(default_factory=dict)

    def add(self, steps: int, level: Level, places: list[tuple[Place, Reached]]) -> None:
        if places:
            self.levels.setdefault(steps, []).append(level)
            self.places.setdefault(steps, []).extend(places)


class SwitchSearch:
    """One search.  most: switches at most; actions: how many the scope has."""

    def __init__(self, maker: Maker, most: int, actions: int) -> None:
        self.maker = maker
        self.most = most
        self.settled: dict[Place, Reached] = {}
        self.states: set[Hashable] = set()
        self.result = SearchResult(levels=[0], uses=[0] * actions)

    def run(self, budget: Budget = Budget(), watch: Watch = unwatched) -> SearchResult:  # noqa: B008
        """By switches, then by steps; up to the first bad state."""
        clock, result = Clock(budget), self.result
        level, key = self.maker.first()
        now = Waiting()
        now.add(0, level, [((key, NOBODY), Reached(None, 0, 0, self.maker.wrong_at_first()))])
        switches = 0
        while now.places and result.violation is None and not result.limited():
            after = self.with_as_many(now, clock, watch)
            beyond = any(place not in self.settled for places in after.places.values() for place, _ in places)
            if switches == self.most and beyond and not result.limited() and result.violation is None:
                switched = "1 switch" if self.most == 1 else f"{self.most} switches"
                result.limit = f"no more than {switched} between tasks"
            now = after if beyond else Waiting()
            switches += 1
        result.states = len(self.states)
        result.seconds, result.compile_seconds = clock.seconds, self.maker.compile_seconds
        result.sites = self.maker.sites()
        return result

    def with_as_many(self, now: Waiting, clock: Clock, watch: Watch) -> Waiting:
        """Look at all that needs no more switches; gives what needs one more."""
        after = Waiting()
        coming: set[Place] = set()
        while now.places and self.result.violation is None and not self.result.limited():
            steps = min(now.places)
            if clock.budget.depth and steps > clock.budget.depth:
                self.result.limit = f"the depth of {clock.budget.depth} is reached"
                break
            rows = self.maker.joined(now.levels.pop(steps))
            places = now.places.pop(steps)
            fresh = [row for row, (place, _) in enumerate(places) if place not in self.settled]
            fresh = list({places[row][0]: row for row in reversed(fresh)}.values())[::-1]
            self.settle([places[row] for row in fresh], steps)
            if self.result.violation is None:
                self.expand([places[row] for row in fresh], self.maker.picked(rows, fresh), steps, now, after, coming)
            used = BYTES_A_PLACE * (len(self.settled) + len(coming))
            states, moves = len(self.states), self.result.transitions
            watch(Progress(states, moves, self.result.depth, len(fresh), clock.seconds, used))
            self.result.limit = self.result.limit or clock.over(used)
        return after

    def settle(self, places: list[tuple[Place, Reached]], steps: int) -> None:
        """These are reached by so many steps; is one bad?"""
        for place, reached in places:
            self.settled[place] = reached
            if place[0] not in self.states:
                self.states.add(place[0])
                self.result.levels += [0] * (steps + 1 - len(self.result.levels))
                self.result.levels[steps] += 1
            if reached.bad and self.result.violation is None:
                self.result.violation = violation_of(reached.bad)
                self.result.path = self.path(place)

    def expand(
        self,
        places: list[tuple[Place, Reached]],
        rows: Level,
        steps: int,
        now: Waiting,
        after: Waiting,
        coming: set[Place],
    ) -> None:
        """The moves out of these: of who moved last, to be looked at now, and of the others, after that."""
        moving: set[int] = set()
        for moves in self.maker.moves(rows):
            same: list[int] = []
            other: list[int] = []
            found: dict[int, tuple[Place, Reached]] = {}
            for row, (source, word, key, busy, bad) in enumerate(
                zip(moves.sources, moves.vias, moves.keys, moves.busy, moves.bad, strict=True)
            ):
                moving.add(source)
                task, action = unpacked(word).task, begun(word)
                if action != WENT_ON:
                    self.result.uses[action] += 1
                before = places[source][0]
                place = (key, int(task))
                if place in self.settled:
                    continue
                stays = before[1] in (NOBODY, task)
                if not stays and place in coming:
                    continue
                found[row] = place, Reached(before, word, busy, bad)
                if stays:
                    same.append(row)
                else:
                    coming.add(place)
                    other.append(row)
            self.result.transitions += len(moves)
            now.add(steps + 1, self.maker.picked(moves.states, same), [found[row] for row in same])
            after.add(steps + 1, self.maker.picked(moves.states, other), [found[row] for row in other])
        stuck = [place for row, (place, reached) in enumerate(places) if row not in moving and reached.busy]
        if stuck and self.result.violation is None:
            self.result.violation, self.result.path = Violation(stuck=True), self.path(stuck[0])

    def path(self, place: Place) -> tuple[Via, ...]:
        way = []
        while (reached := self.settled[place]).before is not None:
            way.append(unpacked(reached.word))
            place = reached.before
        return tuple(reversed(way))
