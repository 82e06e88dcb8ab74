"""Breadth-first search, compiled: states as records, a table of 64-bit fingerprints, two frontiers that are packed.

The same order and the same numbers as search.py; what is stored of a state that has been expanded is its fingerprint,
its parent and how it came from there.  Two states with one fingerprint would be taken for one: among n states the odds
are below n² / 2**65 (a million: 1 in 37 million; a hundred million: 1 in 3700).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np

from pinhold.compiler.image import alone
from pinhold.compiler.record import function_at
from pinhold.compiler.settled import settled_fields
from pinhold.explore import engine, packing, via
from pinhold.explore.budget import Budget, Clock, Progress, UsedUp, Watch, unwatched
from pinhold.explore.checkpoint import Checkpoint, read
from pinhold.explore.facts import facts_of
from pinhold.explore.frontier import Frontier, blocks_from, states_of
from pinhold.explore.levels import Levels, Written
from pinhold.explore.moves import move
from pinhold.explore.packing import Packing
from pinhold.explore.passing import path_through
from pinhold.explore.result import NO_SITE, SearchResult, Violation
from pinhold.explore.room import Array, Room, address
from pinhold.explore.scope import beyond, too_many_outcomes
from pinhold.explore.search import ALL_PROPERTIES, Stepper
from pinhold.explore.searched import SEARCHED, image
from pinhold.explore.table import Table
from pinhold.explore.threads import AHEAD, WORTH_IT, Stretch, in_order
from pinhold.explore.world import World
from pinhold.mm.kernel import load_specification

BATCH = 32
"""Successors that are made before they are looked up together."""


def within(counts: Iterator[int], result: SearchResult) -> Iterator[int]:
    """These, up to where the budget does not go."""
    try:
        yield from counts
    except UsedUp as reason:
        result.limit = str(reason)


class CompiledSearch:
    """One search.  `run` may be called once."""

    def __init__(
        self,
        world: World,
        *,
        symmetric: bool = True,
        properties: int = ALL_PROPERTIES,
        invariants: bool = True,
        stuck: bool = True,
        site: int = NO_SITE,
        jobs: int = 1,
    ) -> None:
        """properties, invariants, stuck: what is bad; site: the decision site that is looked for.  jobs: threads at
        most; what is found is the same with any number."""
        load_specification()
        self.world = world
        self.symmetric = symmetric
        self.properties = properties
        self.invariants = invariants
        self.stuck = stuck
        self.site = site
        self.facts = facts = facts_of(world)
        fields = settled_fields(SEARCHED, move, facts, world.machine.layout)
        self.machine = world.machine.arranged(world.machine.geometry, fields)
        layout = self.machine.layout
        self.words = layout.mutable_size // 8
        self.module: ModuleType = image(facts, layout)
        self.branch = max(1, len(world.actions)) * world.scope.outcomes
        constants = np.frombuffer(bytes(self.machine.data), dtype=np.uint8)
        self.batch = np.tile(constants, (BATCH + self.branch, 1))
        self.notes = np.zeros(3 * len(self.batch), dtype=np.int64)
        self.actions = np.array([a.numbers for a in world.actions] or [(0,) * 7], dtype=np.int64)
        self.menu = np.array([(menu.start, menu.stop) for menu in world.menu], dtype=np.int64)
        self.uses = np.zeros(len(self.actions), dtype=np.int64)
        self.levels = Levels()
        self.table = Table(self.module, self.before)
        self.clock: Clock | None = None
        self.sites_before: frozenset[int] = frozenset()
        self.registers = np.zeros(64, dtype=np.int64)
        self.set_registers()
        self.packing = Packing(self.module, self.words)
        self.room = Room.of(max(packing.BLOCK, 4 * self.branch), self.words)
        self.room.tell(self.registers)
        self.packed = 0
        self.jobs = jobs
        self.pool: Executor = ThreadPoolExecutor(jobs)
        self.stretches: list[Stretch] = []

    def set_registers(self) -> None:
        """What stays the same for the whole search."""
        r = self.registers
        r[engine.BATCH], r[engine.BATCH_SIZE], r[engine.NOTES] = address(self.batch), BATCH, address(self.notes)
        r[engine.ACTIONS], r[engine.MENU], r[engine.TASKS] = address(self.actions), address(self.menu), len(self.menu)
        r[engine.SYMMETRIC], r[engine.PROPERTIES] = int(self.symmetric), self.properties
        r[engine.INVARIANTS], r[engine.USES], r[engine.BRANCH] = int(self.invariants), address(self.uses), self.branch
        r[engine.OUTCOMES] = self.world.scope.outcomes
        r[engine.TABLE] = address(self.table.directory)

    # --- storage ---

    def before(self, more: int) -> None:
        """Called before so many bytes are used.  Raises UsedUp."""
        if self.clock and self.clock.budget.bytes:
            self.clock.before(self.used(), more)

    def used(self) -> int:
        """Bytes."""
        aside = sum(stretch.nbytes for stretch in self.stretches)
        return self.table.nbytes + self.packed + self.room.nbytes + self.packing.nbytes + aside

    # --- the search ---

    def compile(self) -> float:
        """Compile what is not on disk yet; gives the seconds it took."""
        start = time.monotonic()
        with alone(self.module):
            self.module.rehash(address(self.batch), 0, address(self.batch), 0)
            self.module.fingerprints_of(address(self.batch), 0, address(self.batch))
            self.module.rest_of(address(self.batch), 0, address(self.batch))
            self.module.expand(address(self.registers), 0, 0, 0)
            self.module.take_over(address(self.registers), address(self.registers), 0, 0)
            self.module.keep(address(self.registers), 0, 0)
            self.packing.unpack(self.packing.pack(np.zeros((1, self.words), np.int64)))
        return time.monotonic() - start

    def run(
        self,
        budget: Budget = Budget(),  # noqa: B008
        watch: Watch = unwatched,
        checkpoint: Path | None = None,
    ) -> SearchResult:
        """Search from the start, or from the checkpoint; a search that a limit ends leaves one there."""
        with self.pool:
            return self.searched(budget, watch, checkpoint)

    def searched(self, budget: Budget, watch: Watch, checkpoint: Path | None) -> SearchResult:
        result = SearchResult(states=1, levels=[1])
        result.compile_seconds = self.compile()
        clock = Clock(budget)
        saved = read(checkpoint, self.key()) if checkpoint else None
        source = self.resumed(saved, result) if saved else self.begun(result)
        self.clock = clock
        while len(source) and result.violation is None and not result.limited():
            before = self.transitions_and_uses()
            target, level = self.next_level(source, result, clock, watch)
            if result.limited():
                if checkpoint:
                    self.put_aside(result, source, target, before).save(checkpoint)
                break
            self.levels.append(level)
            result.states += len(target)
            if len(target):
                result.levels.append(len(target))
            self.look_for_violation(result, source)
            source = target
            if budget.depth and result.depth >= budget.depth and len(source) and result.violation is None:
                result.limit = f"the depth of {budget.depth} is reached"
                if checkpoint:
                    self.put_aside(result, source, Frontier(), self.transitions_and_uses()).save(checkpoint)
        self.finish(result, clock)
        return result

    def begun(self, result: SearchResult) -> Frontier:
        """The first level: the first state, looked at."""
        first = Stepper(self.world, symmetric=self.symmetric).first()
        stepper = Stepper(self.world, symmetric=False, properties=self.properties, invariants=self.invariants)
        result.violation = stepper.wrong(first)
        stepper.put(first)
        arranged = stepper.m.arranged(self.machine.geometry, self.machine.settled).saved()
        source = np.frombuffer(arranged, dtype=np.int64).reshape(1, -1).copy()
        self.table.fill(self.fingerprints(source))
        return Frontier.of(self.packing.pack(source))

    def fingerprints(self, states: Array) -> Array:
        found = np.empty(len(states), np.int64)
        self.module.fingerprints_of(address(states), len(states), address(found))
        return found

    # --- checkpoints ---

    def key(self) -> str:
        """What a checkpoint has to be of, to be gone on with."""
        assert self.module.__file__ is not None
        how = f"{self.symmetric} {self.properties} {self.invariants} {sorted(self.world.row.items())}"
        how += f" {self.world.actions}"
        digest = hashlib.sha256(how.encode() + bytes(self.world.machine.data)).hexdigest()
        return f"{Path(self.module.__file__).parent.name}-{digest[:24]}"

    def transitions_and_uses(self) -> tuple[int, Array]:
        return int(self.registers[engine.TRANSITIONS]), self.uses.copy()

    def put_aside(
        self, result: SearchResult, source: Frontier, unfinished: Frontier, before: tuple[int, Array]
    ) -> Checkpoint:
        """The search as it was at the end of the last whole level."""
        return Checkpoint(
            key=self.key(),
            seen=self.table.pieces(),
            unfinished=np.concatenate([np.empty(0, np.int64), *self.fingerprints_in(unfinished)]),
            frontier=source.packed(self.packing),
            parents=(level.parents for level in self.levels),
            vias=(level.vias for level in self.levels),
            counts=np.array(result.levels, dtype=np.int64),
            transitions=before[0],
            uses=before[1],
            sites=np.array(sorted(self.sites()), dtype=np.int64),
        )

    def fingerprints_in(self, frontier: Frontier) -> Iterator[Array]:
        return (self.fingerprints(states) for _, states in frontier.unpacked(self.packing))

    def resumed(self, saved: Checkpoint, result: SearchResult) -> Frontier:
        """Go on where the checkpoint was taken; gives the last level's states."""
        for piece in saved.seen:
            self.table.fill(piece[~np.isin(piece, saved.unfinished)])
        result.levels = [int(count) for count in saved.counts]
        result.states = sum(result.levels)
        self.registers[engine.TRANSITIONS] = result.transitions = saved.transitions
        self.uses[:] = saved.uses
        self.sites_before = frozenset(int(site) for site in saved.sites)
        for parents, vias in zip(saved.parents, saved.vias, strict=True):
            level = Written()
            self.levels.put(level, parents, vias)
            self.levels.append(level)
        return Frontier.of(np.ascontiguousarray(saved.frontier, dtype=np.int64))

    def next_level(
        self, source: Frontier, result: SearchResult, clock: Clock, watch: Watch
    ) -> tuple[Frontier, Written]:
        """All successors of a level."""
        r = self.registers
        r[engine.BAD], r[engine.STUCK] = -1, -1
        target, level = Frontier(), Written()
        self.packed = source.nbytes
        together = self.jobs > 1 and len(source) >= WORTH_IT
        expanded = (self.together if together else self.alone)(source, target, level)
        with closing(expanded) as counts:
            for new in within(counts, result):
                result.transitions = int(r[engine.TRANSITIONS])
                used = self.used()
                result.bytes = max(result.bytes, used)
                watch(Progress(result.states + new, result.transitions, result.depth, len(source), clock.seconds, used))
                result.limit = clock.over(used)
                if result.limited():
                    break
        self.refuse(int(r[engine.OUTCOMES_MET]), self.batches())
        return target, level

    def alone(self, source: Frontier, target: Frontier, level: Written) -> Generator[int, None, None]:
        """Expand a level by one thread; gives the count of new states as it grows."""
        r = self.registers
        room = len(self.room.states)
        new = 0
        try:
            for first, states in source.unpacked(self.packing):
                r[engine.SOURCE], r[engine.FIRST], done = address(states), first, 0
                while done < len(states):
                    if new > room - 2 * self.branch:
                        self.put(target, level, new)
                        new = 0
                    self.before(self.most(room))
                    self.table.make_room(room)
                    r[engine.BASE], r[engine.ROOM] = len(target), room
                    new = int(self.module.expand(address(r), done, len(states), new))
                    done = int(r[engine.REACHED])
                    yield len(target) + new
        finally:
            self.put(target, level, new)

    def put(self, target: Frontier, level: Written, count: int) -> None:
        """So many new states, which are in the room, to those of the next level."""
        self.append(target, blocks_from(self.room.given(count), self.packing, len(target)))
        self.room.tell(self.registers)
        self.levels.put(level, self.room.parents[:count], self.room.vias[:count])

    def most(self, count: int) -> int:
        """Bytes that so many states may take in a frontier."""
        return max(self.packing.most(count), 8 * self.words * count)

    def append(self, target: Frontier, blocks: Iterable[Array]) -> None:
        for block in blocks:
            target.append(block)
            self.packed += block.nbytes

    def together(self, source: Frontier, target: Frontier, level: Written) -> Generator[int, None, None]:
        """Expand a level by several threads; gives the count of new states as it grows."""
        if not self.stretches:
            like = (self.module, self.registers, self.batch, self.uses, self.words)
            self.stretches = [Stretch(*like) for _ in range(AHEAD * self.jobs)]
        taken = promised = 0

        def take_over(stretch: Stretch) -> None:
            nonlocal taken, promised
            self.before(promised + self.most(stretch.count))
            self.table.make_room(stretch.count)
            stretch.before = taken
            stretch.new = int(
                self.module.take_over(address(self.registers), address(stretch.registers), stretch.count, taken)
            )
            taken += stretch.new
            self.uses += stretch.uses
            promised += self.most(stretch.new)

        def put(blocks: list[Array]) -> None:
            nonlocal promised
            self.append(target, blocks)
            promised -= self.most(sum(map(states_of, blocks)))

        with closing(in_order(self.pool, self.stretches, source, self.table, take_over, put)) as all_packed:
            for packed in all_packed:
                self.levels.put(level, packed.parents, packed.vias)
                yield taken

    def refuse(self, outcomes: int, batches: list[Array]) -> None:
        """Raise what ends a search: a step of too many outcomes, or what a state came to in one of the batches, a value
        of `trapped` (mm/limits.py, mm/trap.py) or of `left_out` (compiler/record.py)."""
        if outcomes:
            raise too_many_outcomes(self.world.scope, outcomes)
        left_out, trapped = (self.machine.layout.slots[flag].offset for flag in ("left_out", "trapped"))
        if place := max(int(batch[:, left_out].max()) for batch in batches):
            function = function_at(self.facts, place)
            raise AssertionError(f"{self.world.scope.name}: {function}() was called, which the scope's facts leave out")
        if limit := max(int(batch[:, trapped].max()) for batch in batches):
            raise beyond(self.world.scope.name, limit)

    def batches(self) -> list[Array]:
        return [self.batch, *(stretch.batch for stretch in self.stretches)]

    def look_for_violation(self, result: SearchResult, source: Frontier) -> None:
        """Take the first step of the level that was expanded, `source`, that passes the site which is looked for, or
        the level's first stuck state, or the first bad one of the new level."""
        r = self.registers
        if self.site != NO_SITE and self.site in self.sites():
            result.violation = Violation(site=self.site)
            result.path = path_through(self, source)
        elif self.stuck and r[engine.STUCK] >= 0:
            result.violation = Violation(stuck=True)
            result.path = self.path(len(self.levels) - 2, int(r[engine.STUCK]))
        elif r[engine.BAD] >= 0:
            result.violation = Violation(int(r[engine.BAD_PROPERTIES]), int(r[engine.BAD_INVARIANT]))
            result.path = self.path(len(self.levels) - 1, int(r[engine.BAD]))

    def path(self, level: int, place: int) -> tuple[via.Via, ...]:
        """The transitions to the state at that place; level -1 is the first state's."""
        return tuple(via.unpacked(word) for word in self.levels.way(level, place))[::-1]

    def finish(self, result: SearchResult, clock: Clock) -> None:
        result.transitions, result.uses = int(self.registers[engine.TRANSITIONS]), self.uses.tolist()
        result.uses = result.uses[: len(self.world.actions)]
        result.seconds = clock.seconds
        result.odds = result.states**2 / 2.0**65
        result.sites = self.sites()

    def sites(self) -> frozenset[int]:
        """The decision sites passed so far."""
        return self.sites_before.union(*(self.passed(batch) for batch in self.batches()))

    def passed(self, batch: Array) -> frozenset[int]:
        """The decision sites that the records of a batch have passed."""
        slot = self.machine.layout.slots["coverage"]
        return frozenset(np.flatnonzero(batch[:, slot.offset : slot.offset + slot.count].any(axis=0)).tolist())
