"""The moves out of states by a scope's machine code, and nothing else of the compiled search."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from pinhold.compiler.image import alone
from pinhold.explore import engine
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.moving import Moves, bad_of
from pinhold.explore.result import SearchResult
from pinhold.explore.room import Array, address
from pinhold.explore.scope import beyond, too_many_outcomes
from pinhold.explore.world import World

ROWS = 4096
"""Successors made at a time, and those of one more state."""


class ByMachineCode:
    """Levels are arrays of a row of words a state; keys are 64-bit fingerprints."""

    def __init__(self, world: World, *, symmetric: bool, properties: int, invariants: bool) -> None:
        self.world = world
        self.search = search = CompiledSearch(world, symmetric=symmetric, properties=properties, invariants=invariants)
        constants = np.frombuffer(bytes(search.machine.data), dtype=np.uint8)
        self.batch = np.tile(constants, (ROWS + search.branch, 1))
        self.notes = np.zeros((len(self.batch), 3), np.int64)
        self.bad = np.zeros(len(self.batch), np.int64)
        self.registers = search.registers.copy()
        self.registers[engine.ASIDE] = address(self.bad)
        self.registers[engine.BATCH], self.registers[engine.NOTES] = address(self.batch), address(self.notes)
        self.stride = max(1, ROWS // search.branch)
        start = time.monotonic()
        with alone(search.module):
            search.module.make_moves(address(self.registers), 0, 0)
            search.module.fingerprints_of(address(self.batch), 0, address(self.batch))
            search.packing.unpack(search.packing.pack(np.zeros((1, search.words), np.int64)))
        self.compile_seconds = time.monotonic() - start

    def first(self) -> tuple[Array, Hashable]:
        frontier = self.search.begun(SearchResult())
        ((_, states),) = frontier.unpacked(self.search.packing)
        return states.copy(), int(self.search.fingerprints(states)[0])

    def wrong_at_first(self) -> int:
        result = SearchResult()
        self.search.begun(result)
        return bad_of(result.violation)

    def moves(self, level: Array) -> Iterator[Moves]:
        self.registers[engine.SOURCE] = address(level)
        for first in range(0, len(level), self.stride):
            last = min(first + self.stride, len(level))
            count = int(self.search.module.make_moves(address(self.registers), first, last))
            self.check()
            keys, sources, vias = (self.notes[:count, column].tolist() for column in range(3))
            states = self.batch[:count, : 8 * self.search.words].copy().view(np.int64)
            yield Moves(sources, vias, keys, self.busy(count), self.bad[:count].tolist(), states)

    def busy(self, count: int) -> list[int]:
        depth = self.search.machine.layout.slots["task_depth"]
        width = np.dtype(f"i{depth.width}")
        depths = self.batch[:count, depth.offset : depth.offset + depth.count * depth.width].copy().view(width)
        masks: list[int] = ((depths != 0) @ (1 << np.arange(depth.count))).tolist()
        return masks

    def check(self) -> None:
        """Raises what a search raises where a step came to a limit of the scope."""
        if outcomes := int(self.registers[engine.OUTCOMES_MET]):
            raise too_many_outcomes(self.world.scope, outcomes)
        slots = self.search.machine.layout.slots
        if self.batch[:, slots["left_out"].offset].any():
            raise AssertionError(f"{self.world.scope.name}: a function was called that the scope's facts leave out")
        if limit := int(self.batch[:, slots["trapped"].offset].max()):
            raise beyond(self.world.scope.name, limit)

    def sites(self) -> frozenset[int]:
        slot = self.search.machine.layout.slots["coverage"]
        passed = self.batch[:, slot.offset : slot.offset + slot.count].any(axis=0)
        return frozenset(np.flatnonzero(passed).tolist())

    def picked(self, states: Array, places: Sequence[int]) -> Array:
        return states[np.asarray(places, np.int64)]

    def joined(self, levels: Sequence[Array]) -> Array:
        return np.concatenate(levels) if levels else np.empty((0, self.search.words), np.int64)
