"""Random walks by a scope's machine code, several blocks at a time."""

from __future__ import annotations

import time
from queue import SimpleQueue

import numpy as np

from pinhold.compiler.image import alone
from pinhold.explore import engine
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.lots import SKETCH
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.room import Array, address
from pinhold.explore.scope import beyond, too_many_outcomes
from pinhold.explore.search import Stepper
from pinhold.explore.via import Via, unpacked
from pinhold.explore.walk import Block, Plan


class Legs:
    """What one thread has for itself."""

    def __init__(self, search: CompiledSearch, source: Array) -> None:
        self.source = source
        self.batch = np.tile(np.frombuffer(bytes(search.machine.data), dtype=np.uint8), (2, 1))
        self.sketch = np.zeros(SKETCH, np.uint8)
        self.uses = np.zeros_like(search.uses)
        self.registers = r = search.registers.copy()
        r[engine.BATCH], r[engine.SOURCE], r[engine.TARGET] = address(self.batch), address(source), address(self.sketch)
        r[engine.USES] = address(self.uses)


class ByMachineCode:
    """Walks by the scope's image, each thread on legs of its own."""

    def __init__(self, stepper: Stepper, jobs: int) -> None:
        """stepper: the scope, and what is bad in it.  jobs: threads."""
        self.at_a_time = jobs
        self.world = stepper.world
        self.search = search = CompiledSearch(
            stepper.world,
            symmetric=stepper.symmetric,
            properties=stepper.properties,
            invariants=stepper.invariants,
        )
        start = time.monotonic()
        with alone(search.module):
            search.module.walk_on(address(search.registers), 0, 0, 0, 0)
            search.module.fingerprints_of(address(search.batch), 0, address(search.batch))
            search.packing.unpack(search.packing.pack(np.zeros((1, search.words), np.int64)))
        self.compile_seconds = time.monotonic() - start
        ((_, states),) = search.begun(SearchResult()).unpacked(search.packing)
        self.free: SimpleQueue[Legs] = SimpleQueue()
        for _ in range(jobs):
            self.free.put(Legs(search, states.copy()))

    def block(self, plan: Plan, first: int, last: int) -> Block:
        legs = self.free.get()
        try:
            return self.walked(legs, plan, first, last)
        finally:
            self.free.put(legs)

    def walked(self, legs: Legs, plan: Plan, first: int, last: int) -> Block:
        r, slots = legs.registers, self.search.machine.layout.slots
        vias = np.zeros(plan.steps, np.uint16)
        coverage = legs.batch[:, slots["coverage"].offset : slots["coverage"].offset + slots["coverage"].count]
        legs.sketch[:] = legs.uses[:] = coverage[:] = 0
        r[engine.VIAS], r[engine.TRANSITIONS], r[engine.BAD], r[engine.STUCK] = address(vias), 0, -1, -1
        ended = int(self.search.module.walk_on(address(r), plan.seed, first, last, plan.steps))
        self.check(legs)
        violation: Violation | None = None
        path: tuple[Via, ...] = ()
        if r[engine.BAD] >= 0:
            path = tuple(unpacked(int(word)) for word in vias[: r[engine.BAD]])
            stuck = bool(r[engine.STUCK] >= 0)
            told = (0, 0) if stuck else (int(r[engine.BAD_PROPERTIES]), int(r[engine.BAD_INVARIANT]))
            violation = Violation(*told, stuck)
        walks = ended - first + (violation is not None)
        uses = tuple(legs.uses[: len(self.world.actions)].tolist())
        sites = frozenset(np.flatnonzero(coverage.any(axis=0)).tolist())
        return Block(walks, int(r[engine.TRANSITIONS]), uses, legs.sketch.tobytes(), sites, path, violation)

    def check(self, legs: Legs) -> None:
        """Raises what a search raises where a step came to a limit of the scope."""
        if outcomes := int(legs.registers[engine.OUTCOMES_MET]):
            raise too_many_outcomes(self.world.scope, outcomes)
        slots = self.search.machine.layout.slots
        if legs.batch[:, slots["left_out"].offset].any():
            raise AssertionError(f"{self.world.scope.name}: a function was called that the scope's facts leave out")
        if limit := int(legs.batch[:, slots["trapped"].offset].max()):
            raise beyond(self.world.scope.name, limit)
