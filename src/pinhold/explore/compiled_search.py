"""Breadth-first search, compiled: states as records, a table of 64-bit fingerprints, two frontiers.

The same order and the same numbers as search.py; what is stored of a state that has been expanded is its fingerprint,
its parent and how it came from there.  Two states with one fingerprint would be taken for one: among n states the odds
are below n² / 2**65 (a million: 1 in 37 million; a hundred million: 1 in 3700).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from pinhold.compiler.image import alone
from pinhold.compiler.record import function_at
from pinhold.compiler.settled import settled_fields
from pinhold.explore import engine, via
from pinhold.explore.budget import Budget, Clock, Progress, UsedUp, Watch, unwatched
from pinhold.explore.checkpoint import Checkpoint, read
from pinhold.explore.facts import facts_of
from pinhold.explore.moves import move
from pinhold.explore.packing import Packing
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.room import PARENT, VIA, Array, Room, address
from pinhold.explore.scope import beyond, too_many_outcomes
from pinhold.explore.search import ALL_PROPERTIES, Stepper
from pinhold.explore.searched import SEARCHED, image
from pinhold.explore.table import Table
from pinhold.explore.threads import AHEAD, WORTH_IT, Stretch, in_order
from pinhold.explore.world import World
from pinhold.mm.kernel import load_specification

CHUNK = 1 << 14
"""States expanded between two looks at the clock."""

BATCH = 32
"""Successors that are made before they are looked up together."""


@dataclass
class Level:
    """What is kept of a level: for each state its parent's place in the level before, and how it was reached."""

    parents: Array
    vias: Array


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
        jobs: int = 1,
    ) -> None:
        """jobs: threads at most; what is found is the same with any number."""
        load_specification()
        self.world = world
        self.symmetric = symmetric
        self.properties = properties
        self.invariants = invariants
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
        self.levels: list[Level] = []
        self.table = Table(self.module, self.before)
        self.stored = 0
        self.clock: Clock | None = None
        self.sites_before: frozenset[int] = frozenset()
        self.registers = np.zeros(64, dtype=np.int64)
        self.set_registers()
        self.rooms = [Room.of(2 * self.branch, self.words) for _ in range(2)]
        self.packing = Packing(self.module, self.words)
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
        if self.clock:
            self.clock.before(self.used(), more)

    def room_for(self, room: Room, count: int) -> None:
        self.before(room.growth(count))
        room.grow(count)
        room.tell(self.registers)

    def used(self) -> int:
        """Bytes."""
        kept = self.stored * (PARENT.itemsize + VIA.itemsize)
        aside = sum(stretch.nbytes for stretch in self.stretches)
        return int(self.table.nbytes + kept + sum(room.nbytes for room in self.rooms) + aside)

    # --- the search ---

    def compile(self) -> float:
        """Compile what is not on disk yet; gives the seconds it took."""
        start = time.monotonic()
        with alone(self.module):
            self.module.rehash(address(self.batch), 0, address(self.batch), 0)
            self.module.fingerprints_of(address(self.batch), 0, address(self.batch))
            self.module.expand(address(self.registers), 0, 0, 0)
            self.module.take_over(address(self.registers), address(self.registers), 0, 0)
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
            self.look_for_violation(result)
            source = target
            if budget.depth and result.depth >= budget.depth and len(source) and result.violation is None:
                result.limit = f"the depth of {budget.depth} is reached"
                if checkpoint:
                    self.put_aside(result, source, target[:0], self.transitions_and_uses()).save(checkpoint)
        self.finish(result, clock)
        return result

    def begun(self, result: SearchResult) -> Array:
        """The first level: the first state, looked at."""
        first = Stepper(self.world, symmetric=self.symmetric).first()
        stepper = Stepper(self.world, symmetric=False, properties=self.properties, invariants=self.invariants)
        result.violation = stepper.wrong(first)
        stepper.put(first)
        arranged = stepper.m.arranged(self.machine.geometry, self.machine.settled).saved()
        source = np.frombuffer(arranged, dtype=np.int64).reshape(1, -1).copy()
        self.table.fill(self.fingerprints(source))
        return source

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
        self, result: SearchResult, source: Array, unfinished: Array, before: tuple[int, Array]
    ) -> Checkpoint:
        """The search as it was at the end of the last whole level."""
        return Checkpoint(
            key=self.key(),
            seen=self.table.pieces(),
            unfinished=self.fingerprints(unfinished),
            frontier=source,
            parents=[level.parents for level in self.levels],
            vias=[level.vias for level in self.levels],
            counts=np.array(result.levels, dtype=np.int64),
            transitions=before[0],
            uses=before[1],
            sites=np.array(sorted(self.sites()), dtype=np.int64),
        )

    def resumed(self, saved: Checkpoint, result: SearchResult) -> Array:
        """Go on where the checkpoint was taken; gives the last level's states."""
        for piece in saved.seen:
            self.table.fill(piece[~np.isin(piece, saved.unfinished)])
        result.levels = [int(count) for count in saved.counts]
        result.states = sum(result.levels)
        self.registers[engine.TRANSITIONS] = result.transitions = saved.transitions
        self.uses[:] = saved.uses
        self.sites_before = frozenset(int(site) for site in saved.sites)
        self.levels = [Level(*each) for each in zip(saved.parents, saved.vias, strict=True)]
        return np.ascontiguousarray(saved.frontier, dtype=np.int64)

    def next_level(self, source: Array, result: SearchResult, clock: Clock, watch: Watch) -> tuple[Array, Level]:
        """All successors of a level; room and table grow as they fill."""
        room, _ = self.rooms
        r = self.registers
        r[engine.SOURCE], r[engine.BAD], r[engine.STUCK] = address(source), -1, -1
        self.stored = result.states
        new = 0
        together = self.jobs > 1 and len(source) >= WORTH_IT
        with closing(self.together(source, room) if together else self.alone(len(source), room)) as counts:
            for new in within(counts, result):
                result.transitions = int(r[engine.TRANSITIONS])
                used = self.used()
                result.bytes = max(result.bytes, used)
                watch(Progress(result.states + new, result.transitions, result.depth, len(source), clock.seconds, used))
                result.limit = clock.over(used)
                if result.limited():
                    break
        if outcomes := int(r[engine.OUTCOMES_MET]):
            raise too_many_outcomes(self.world.scope, outcomes)
        if place := self.raised("left_out"):
            function = function_at(self.facts, place)
            raise AssertionError(f"{self.world.scope.name}: {function}() was called, which the scope's facts leave out")
        if limit := self.raised("trapped"):
            raise beyond(self.world.scope.name, limit)
        self.rooms.reverse()
        return room.states[:new], Level(room.parents[:new].copy(), room.vias[:new].copy())

    def alone(self, count: int, room: Room) -> Generator[int, None, None]:
        """Expand a level by one thread; gives the count of new states as it grows."""
        r = self.registers
        new = done = 0
        self.room_for(room, count + 2 * self.branch)
        while done < count:
            self.room_for(room, new + 2 * self.branch)
            self.table.make_room(2 * self.branch)
            r[engine.ROOM] = min(len(room.states), new + self.table.room())
            new = int(self.module.expand(address(r), done, min(done + CHUNK, count), new))
            done = int(r[engine.REACHED])
            yield new

    def together(self, source: Array, room: Room) -> Generator[int, None, None]:
        """Expand a level by several threads; gives the count of new states as it grows."""
        if not self.stretches:
            like = (self.module, self.registers, self.batch, self.uses, self.words)
            self.stretches = [Stretch(*like) for _ in range(AHEAD * self.jobs)]
        new = 0
        self.room_for(room, len(source) + 2 * self.branch)
        with closing(in_order(self.pool, self.stretches, source, self.table)) as stretches:
            for stretch in stretches:
                self.table.make_room(stretch.count)
                self.room_for(room, new + stretch.count)
                registers = address(self.registers), address(stretch.registers)
                new = int(self.module.take_over(*registers, stretch.count, new))
                self.uses += stretch.uses
                yield new

    def raised(self, flag: str) -> int:
        """What a state came to that ends a search: a value of `trapped` (mm/limits.py, mm/trap.py) or of `left_out`
        (compiler/record.py), or 0."""
        slot = self.machine.layout.slots[flag]
        return int(max(batch[:, slot.offset].max() for batch in self.batches()))

    def batches(self) -> list[Array]:
        return [self.batch, *(stretch.batch for stretch in self.stretches)]

    def look_for_violation(self, result: SearchResult) -> None:
        """Take the first stuck state of the level that was expanded, or the first bad one of the new level."""
        r = self.registers
        if r[engine.STUCK] >= 0:
            result.violation = Violation(stuck=True)
            result.path = self.path(len(self.levels) - 2, int(r[engine.STUCK]))
        elif r[engine.BAD] >= 0:
            result.violation = Violation(int(r[engine.BAD_PROPERTIES]), int(r[engine.BAD_INVARIANT]))
            result.path = self.path(len(self.levels) - 1, int(r[engine.BAD]))

    def path(self, level: int, place: int) -> tuple[via.Via, ...]:
        """The transitions to the state at that place; level -1 is the first state's."""
        path = []
        while level >= 0:
            path.append(via.unpacked(int(self.levels[level].vias[place])))
            place = int(self.levels[level].parents[place])
            level -= 1
        return tuple(reversed(path))

    def finish(self, result: SearchResult, clock: Clock) -> None:
        result.transitions, result.uses = int(self.registers[engine.TRANSITIONS]), self.uses.tolist()
        result.uses = result.uses[: len(self.world.actions)]
        result.seconds = clock.seconds
        result.sites = self.sites()

    def sites(self) -> frozenset[int]:
        """The decision sites passed so far."""
        slot = self.machine.layout.slots["coverage"]
        passed = [batch[:, slot.offset : slot.offset + slot.count].any(axis=0) for batch in self.batches()]
        return self.sites_before | {int(site) for site in np.flatnonzero(np.any(passed, axis=0))}
