"""Random walks through a scope that is too large to be exhausted: from the start, so many steps each, again and again.

A walk is random by its number and the seed alone, so that the same walks are made whoever makes them, and how many at a
time.  They are made in blocks; what counts is the first block in which one comes to something bad, and those before it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from pinhold.explore.budget import Budget, Clock, Progress, Watch, unwatched
from pinhold.explore.lots import SKETCH, rank_of, started, turned
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.search import Stepper
from pinhold.explore.shorten import Short, is_stuck, shortened
from pinhold.explore.via import WENT_ON, ActionNumber, TaskNumber, Via

BLOCK = 256
"""Walks."""


@dataclass(frozen=True)
class Plan:
    """seed: of what is random; walks: how many; steps: of each at most."""

    seed: int = 1
    walks: int = 10_000
    steps: int = 300


@dataclass(frozen=True)
class Block:
    """Of so many walks, up to the first that comes to something bad.  sketch: of the states that were seen (lots.py);
    path, violation: of that walk."""

    walks: int
    steps: int
    uses: tuple[int, ...]
    sketch: bytes
    sites: frozenset[int]
    path: tuple[Via, ...] = ()
    violation: Violation | None = None


class Walker(Protocol):
    """Who walks.  at_a_time: blocks."""

    at_a_time: int
    compile_seconds: float

    def block(self, plan: Plan, first: int, last: int) -> Block:
        """The walks first … last - 1."""


class ByPython:
    """One step after the other, over the specification as it is."""

    at_a_time = 1
    compile_seconds = 0.0

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    def block(self, plan: Plan, first: int, last: int) -> Block:
        self.stepper.sites.clear()
        self.sketch = bytearray(SKETCH)
        self.uses = [0] * len(self.stepper.world.actions)
        self.steps = 0
        for number in range(first, last):
            path: list[Via] = []
            violation = self.walk(started(plan.seed, number), plan.steps, path)
            if violation is not None:
                return self.walked(number + 1 - first, tuple(path), violation)
        return self.walked(last - first)

    def walked(self, walks: int, path: tuple[Via, ...] = (), violation: Violation | None = None) -> Block:
        sites = frozenset(self.stepper.sites)
        return Block(walks, self.steps, tuple(self.uses), bytes(self.sketch), sites, path, violation)

    def walk(self, x: int, most: int, path: list[Via]) -> Violation | None:
        """What one comes to; its ways go to `path`."""
        world, m = self.stepper.world, self.stepper.m
        state = self.stepper.first()
        tasks = len(world.menu)
        while len(path) < most:
            x = turned(x)
            begin = x % tasks
            moved = False
            for turn in range(tasks):
                task = (begin + turn) % tasks
                self.stepper.put(state)
                idle = m.task_depth[task] == 0
                menu = world.menu[task] if idle else range(world.menu[task].start, world.menu[task].start + 1)
                x = turned(x)
                pick = x % len(menu) if menu else 0
                for other in range(len(menu)):
                    number = menu[(pick + other) % len(menu)]
                    action = ActionNumber(number) if idle else WENT_ON
                    x = turned(x)
                    if self.stepper.step(state, task, world.numbers(action), x):
                        path.append(Via(TaskNumber(task), action, x % m.choices[0]))
                        self.uses[number] += idle
                        moved = True
                        break
                if moved:
                    break
            if not moved:
                return Violation(stuck=True) if is_stuck(self.stepper, state) else None
            self.steps += 1
            state = self.stepper.taken()
            h = int.from_bytes(blake2b(state, digest_size=8).digest())
            place = h & (SKETCH - 1)
            self.sketch[place] = max(self.sketch[place], rank_of(h))
            violation = self.stepper.wrong(state)
            if violation is not None:
                return violation
        return None


def seen(sketch: bytes) -> int:
    """About how many different states the sketch has seen (Flajolet, Fusy, Gandouet and Meunier 2007): to 1 %."""
    raw = 0.7213 / (1 + 1.079 / SKETCH) * SKETCH * SKETCH / sum(2.0**-rank for rank in sketch)
    empty = sketch.count(0)
    return round(SKETCH * math.log(SKETCH / empty)) if raw <= 2.5 * SKETCH and empty else round(raw)


def walk(
    walker: Walker,
    stepper: Stepper,
    plan: Plan,
    budget: Budget = Budget(),  # noqa: B008
    watch: Watch = unwatched,
) -> tuple[SearchResult, Short | None]:
    """All walks of the plan, or up to the first that comes to something bad; its way is then made short.

    stepper: the scope, to walk that way again.  states: an estimate, as only a sketch of them is kept; transitions:
    steps.
    """
    clock = Clock(budget)
    result = SearchResult(uses=[0] * len(stepper.world.actions))
    sketch, walks = bytes(SKETCH), 0
    half = (0, 0)
    long: tuple[Via, ...] | None = None
    with ThreadPoolExecutor(walker.at_a_time) as pool, closing(in_order(pool, walker, plan)) as blocks:
        for block in blocks:
            walks += block.walks
            sketch = bytes(map(max, sketch, block.sketch))
            result.transitions += block.steps
            result.uses = [one + other for one, other in zip(result.uses, block.uses, strict=True)]
            result.sites |= block.sites
            if not half[0] and 2 * walks >= plan.walks:
                half = walks, seen(sketch)
            if block.violation is not None:
                long = block.path
                break
            watch(Progress(seen(sketch), result.transitions, 0, walks, clock.seconds, SKETCH))
            if reason := clock.over(SKETCH):
                result.limit = f"{reason}, after {walks:,} of {plan.walks:,} walks"
                break
    short = shortened(stepper, long) if long is not None else None  # when nobody else uses the stepper any more
    if short is not None:
        result.path, result.violation = short.path, short.violation
    result.states = seen(sketch)
    result.levels = [result.states]
    if result.violation is None and not result.limit:
        new = 100 * (result.states - half[1]) / max(1, result.states)
        last = f", of which the last {walks - half[0]:,} saw {new:.0f} % of the states first" if walks > half[0] else ""
        result.limit = f"{walks:,} random walks of {plan.steps} steps were made{last}"
    result.seconds, result.compile_seconds = clock.seconds, walker.compile_seconds
    return result, short


def in_order(pool: Executor, walker: Walker, plan: Plan) -> Generator[Block, None, None]:
    """The blocks of a plan, some more under way than can be made at a time; of one at a time no more."""
    firsts = iter(range(0, plan.walks, BLOCK))
    under_way: deque[Future[Block]] = deque()
    try:
        while True:
            while len(under_way) < 2 * walker.at_a_time - 1 and (first := next(firsts, -1)) >= 0:
                under_way.append(pool.submit(walker.block, plan, first, min(first + BLOCK, plan.walks)))
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
