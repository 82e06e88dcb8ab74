"""Breadth-first search, compiled: states as records, a table of 64-bit fingerprints, two frontiers.

The same order and the same numbers as search.py; what is stored of a state that has been expanded is its fingerprint,
its parent and how it came from there.  Two states with one fingerprint would be taken for one: among n states the odds
are below n² / 2**65 (a million: 1 in 37 million; a hundred million: 1 in 3700).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pinhold.explore import engine
from pinhold.explore.checkpoint import Checkpoint, read
from pinhold.explore.facts import facts_of, load_specification
from pinhold.explore.image import alone, image_source, load
from pinhold.explore.limits import Clock, Limits, Progress, Result, Via, Violation, Watch, unwatched
from pinhold.explore.search import ALL_PROPERTIES, Stepper
from pinhold.explore.world import World

CHUNK = 1 << 14
"""States expanded between two looks at the clock."""

FULLEST = 0.6
"""Of the table of fingerprints, before it is doubled."""

Array = np.ndarray[Any, Any]


class Broken(RuntimeError):
    """The image was entered where it has a trap: a scope's facts are wrong."""


def address(array: Array) -> int:
    return int(array.ctypes.data)


@dataclass
class Level:
    """What is kept of a level: for each state its parent's place in the level before, and how it was reached."""

    parents: Array
    vias: Array


class CompiledSearch:
    """One search.  `run` may be called once."""

    def __init__(
        self,
        world: World,
        *,
        symmetric: bool = True,
        properties: int = ALL_PROPERTIES,
        invariants: bool = True,
    ) -> None:
        load_specification()
        self.world = world
        self.symmetric = symmetric
        self.properties = properties
        self.invariants = invariants
        layout = world.machine.layout
        self.words = layout.mutable_size // 8
        self.record = layout.size
        self.module: ModuleType = load(image_source(facts_of(world), layout))
        self.batch = np.zeros(engine.BATCH * self.record + 24 * engine.BATCH, dtype=np.uint8)
        constants = np.frombuffer(bytes(world.machine.data), dtype=np.uint8)
        for i in range(engine.BATCH):
            self.batch[i * self.record : (i + 1) * self.record] = constants
        self.actions = np.array([a.numbers for a in world.actions] or [(0,) * 7], dtype=np.int64)
        self.menu = np.array([(menu.start, menu.stop) for menu in world.menu], dtype=np.int64)
        self.uses = np.zeros(len(self.actions), dtype=np.int64)
        self.stats = np.zeros(8, dtype=np.int64)
        self.branch = max(1, sum(len(menu) for menu in world.menu)) * max(world.scope.frames, 8)
        self.levels: list[Level] = []
        self.mask = (1 << 16) - 1
        self.table = np.zeros(self.mask + 1, dtype=np.int64)
        self.inserted = 0
        self.sites_before: frozenset[int] = frozenset()

    # --- storage ---

    def room_in_table(self, more: int) -> None:
        """Double the table until `more` fingerprints fit."""
        while self.inserted + more > FULLEST * (self.mask + 1):
            size = 2 * (self.mask + 1)
            bigger = np.zeros(size, dtype=np.int64)
            self.module.rehash(address(self.table), self.mask + 1, address(bigger), size - 1)
            self.table, self.mask = bigger, size - 1

    def used(self, *frontiers: Array) -> int:
        kept = sum(level.parents.nbytes + level.vias.nbytes for level in self.levels)
        return int(self.table.nbytes + kept + sum(f.nbytes for f in frontiers))

    def first(self) -> bytes:
        return Stepper(self.world, symmetric=self.symmetric).first()

    # --- the search ---

    def compile(self) -> float:
        """Compile what is not on disk yet; gives the seconds it took."""
        start = time.monotonic()
        with alone(self.module):
            self.module.rehash(address(self.table), 0, address(self.table), self.mask)
            self.module.fingerprint_of(address(self.batch), self.words)
            self.expand(self.batch, 0, 0, self.batch, 0, self.batch, self.batch, 0)
        return time.monotonic() - start

    def expand(
        self, source: Array, first: int, last: int, target: Array, new: int, parents: Array, vias: Array, room: int
    ) -> int:
        """States first … last - 1 of `source` into `target` from `new` on."""
        return int(
            self.module.expand(
                address(self.batch),
                self.record,
                self.words,
                address(source),
                first,
                last,
                address(target),
                new,
                room,
                self.branch,
                address(self.table),
                self.mask,
                address(parents),
                address(vias),
                address(self.actions),
                address(self.menu),
                len(self.menu),
                int(self.symmetric),
                self.properties,
                int(self.invariants),
                address(self.stats),
                address(self.uses),
            )
        )

    def run(
        self,
        limits: Limits = Limits(),  # noqa: B008
        watch: Watch = unwatched,
        checkpoint: Path | None = None,
    ) -> Result:
        """Search from the start, or from the checkpoint; a search that a limit ends leaves one there."""
        result = Result(states=1, levels=[1])
        result.compile_seconds = self.compile()
        clock = Clock(limits)
        saved = read(checkpoint, self.key()) if checkpoint else None
        source = self.resumed(saved, result) if saved else self.begun(result)
        count = len(source) // self.words
        while count and result.violation is None and not result.limited():
            before = self.transitions_and_uses()
            target, parents, vias, new = self.next_level(source, count, result, clock, watch)
            if result.limited():
                if checkpoint:
                    self.put_aside(result, source, target[: new * self.words], before).save(checkpoint)
                break
            self.levels.append(Level(parents[:new].copy(), vias[:new].copy()))
            result.states += new
            if new:
                result.levels.append(new)
            self.look_for_violation(result, new)
            source, count = target[: new * self.words], new
            if limits.depth and result.depth >= limits.depth and count and result.violation is None:
                result.limit = f"the depth of {limits.depth} is reached"
                if checkpoint:
                    nothing = target[:0]
                    self.put_aside(result, source, nothing, self.transitions_and_uses()).save(checkpoint)
        self.finish(result, clock)
        return result

    def begun(self, result: Result) -> Array:
        """The first level: the first state, looked at."""
        first = self.first()
        stepper = Stepper(self.world, symmetric=False, properties=self.properties, invariants=self.invariants)
        result.violation = stepper.wrong(first)
        source = np.frombuffer(first, dtype=np.int64).copy()
        self.remember(np.array([self.module.fingerprint_of(address(source), self.words)], dtype=np.int64))
        return source

    def remember(self, fingerprints: Array) -> None:
        """Put fingerprints into the table."""
        self.room_in_table(len(fingerprints))
        self.module.rehash(address(fingerprints), len(fingerprints), address(self.table), self.mask)
        self.inserted += len(fingerprints)

    # --- checkpoints ---

    def key(self) -> str:
        """What a checkpoint has to be of, to be gone on with."""
        assert self.module.__file__ is not None
        how = f"{self.symmetric} {self.properties} {self.invariants} {sorted(self.world.row.items())}"
        how += f" {self.world.actions}"
        digest = hashlib.sha256(how.encode() + bytes(self.world.machine.data)).hexdigest()
        return f"{Path(self.module.__file__).parent.name}-{digest[:24]}"

    def transitions_and_uses(self) -> tuple[int, Array]:
        return int(self.stats[0]), self.uses.copy()

    def put_aside(self, result: Result, source: Array, unfinished: Array, before: tuple[int, Array]) -> Checkpoint:
        """The search as it was at the end of the last whole level."""
        fresh = [
            self.module.fingerprint_of(address(unfinished) + 8 * self.words * i, self.words)
            for i in range(len(unfinished) // self.words)
        ]
        return Checkpoint(
            key=self.key(),
            seen=np.setdiff1d(self.table[self.table != 0], np.array(fresh, dtype=np.int64)),
            frontier=source,
            parents=np.concatenate([np.empty(0, np.int32), *(level.parents for level in self.levels)]),
            vias=np.concatenate([np.empty(0, np.uint16), *(level.vias for level in self.levels)]),
            counts=np.array(result.levels, dtype=np.int64),
            transitions=before[0],
            uses=before[1],
            sites=np.array(sorted(self.sites()), dtype=np.int64),
        )

    def resumed(self, saved: Checkpoint, result: Result) -> Array:
        """Go on where the checkpoint was taken; gives the last level's states."""
        self.remember(np.ascontiguousarray(saved.seen, dtype=np.int64))
        result.levels = [int(count) for count in saved.counts]
        result.states = sum(result.levels)
        self.stats[0] = result.transitions = saved.transitions
        self.uses[:] = saved.uses
        self.sites_before = frozenset(int(site) for site in saved.sites)
        start = 0
        for count in result.levels[1:]:
            self.levels.append(Level(saved.parents[start : start + count], saved.vias[start : start + count]))
            start += count
        return np.ascontiguousarray(saved.frontier, dtype=np.int64)

    def next_level(
        self, source: Array, count: int, result: Result, clock: Clock, watch: Watch
    ) -> tuple[Array, Array, Array, int]:
        """All successors of a level; storage and table grow as they fill."""
        room = count + count // 2 + 2 * self.branch
        target = np.empty(room * self.words, dtype=np.int64)
        parents, vias = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.uint16)
        self.stats[2] = self.stats[5] = -1
        new = done = 0
        while done < count:
            if new + self.branch > room:
                room += room // 2 + self.branch
                target = grown(target, new * self.words, room * self.words)
                parents, vias = grown(parents, new, room), grown(vias, new, room)
            self.room_in_table(self.branch)
            fits = min(room, int(FULLEST * (self.mask + 1)) - result.states)
            last = min(done + CHUNK, count)
            new = self.expand(source, done, last, target, new, parents, vias, fits)
            self.inserted = result.states + new
            done = int(self.stats[7])
            result.transitions = int(self.stats[0])
            used = self.used(source, target, parents, vias)
            result.bytes = max(result.bytes, used)
            watch(Progress(self.inserted, result.transitions, result.depth, count, clock.seconds, used))
            result.limit = clock.over(used)
            if result.limited():
                break
        if self.trapped():
            raise Broken(f"{self.world.scope.name}: the image was entered where it has a trap")
        return target, parents, vias, new

    def trapped(self) -> bool:
        slot = self.world.machine.layout.slots["trapped"]
        return any(self.batch[i * self.record + slot.offset] for i in range(engine.BATCH))

    def look_for_violation(self, result: Result, new: int) -> None:
        """Take the first stuck state of the level that was expanded, or the first bad one of the new level."""
        if self.stats[5] >= 0:
            result.violation = Violation(stuck=True)
            result.path = self.path(len(self.levels) - 2, int(self.stats[5]))
        elif self.stats[2] >= 0:
            result.violation = Violation(int(self.stats[3]), int(self.stats[4]))
            result.path = self.path(len(self.levels) - 1, int(self.stats[2]))

    def path(self, level: int, place: int) -> tuple[Via, ...]:
        """The transitions to the state at that place; level -1 is the first state's."""
        path = []
        while level >= 0:
            via = int(self.levels[level].vias[place])
            path.append(Via(via >> 14, (via >> 6 & 0xFF) - 1, via & 0x3F))
            place = int(self.levels[level].parents[place])
            level -= 1
        return tuple(reversed(path))

    def finish(self, result: Result, clock: Clock) -> None:
        result.transitions, result.uses = int(self.stats[0]), self.uses[: len(self.world.actions)].tolist()
        result.seconds = clock.seconds
        result.sites = self.sites()

    def sites(self) -> frozenset[int]:
        """The decision sites passed so far."""
        slot = self.world.machine.layout.slots["coverage"]
        sites = set(self.sites_before)
        for i in range(engine.BATCH):
            start = i * self.record + slot.offset
            sites.update(np.flatnonzero(self.batch[start : start + slot.count]).tolist())
        return frozenset(sites)


def grown(array: Array, used: int, size: int) -> Array:
    """A longer array with the same beginning."""
    longer = np.empty(size, dtype=array.dtype)
    longer[:used] = array[:used]
    return longer
