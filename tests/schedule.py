"""Interleavings by hand: tasks of a machine as small as a scope of the explorer, stepped one atomic step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pinhold.mm import flags as k
from pinhold.mm.file import file_create
from pinhold.mm.fork import mm_init
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.machine import Machine, create
from pinhold.mm.mmap import do_mmap
from pinhold.mm.pinning import pin_start
from pinhold.mm.properties import check_properties
from pinhold.mm.state import TINY, Geometry
from pinhold.mm.step import step
from pinhold.mm.task import FN_ACCESS, call
from pinhold.targets.model.target import CONFIG

FLAT = replace(
    TINY,
    levels=1,
    bits=1,
    mms=2,
    tables=2,
    vmas_per_mm=1,
    pages=5,
    hugetlb=(0, 0),
    files=1,
    file_pages=1,
    swap=0,
    pins=1,
    runs_per_pin=1,
    tasks=3,
    lru_batch_size=1,
)
"""Two pages of address space and no huge pages."""

HUGE = replace(FLAT, levels=2, tables=5, pages=12, vmas_per_mm=2, runs_per_pin=2)
"""Four pages of address space; a THP has two."""

LONGEST = 200
"""Steps that an operation may take."""

RW = k.VM_READ | k.VM_WRITE


class Schedule:
    """A machine with one process, number 0, and a count of the atomic steps that its tasks have taken.

    The structural invariants are looked at after each step.
    """

    def __init__(self, row: Mapping[str, int], geometry: Geometry = FLAT, **config: int) -> None:
        self.m: Machine = create(geometry, row, CONFIG | config, checked=True)
        self.steps = 0
        self.violated = 0
        """Every property that was violated after some step."""
        assert mm_init(self.m, 0) == 0

    def map(self, mm: int, start: int, end: int, flags: int = RW, file: int = k.NO_FILE, order: int = 0) -> None:
        assert do_mmap(self.m, mm, start, end, flags, file, order, 0) == 0

    def file(self, kind: int, order: int = 0) -> int:
        """A fresh open file, number 0."""
        file_create(self.m, 0, kind, order)
        return 0

    def begin(
        self, task: int, function: int, mm: int, addr: int = 0, end: int = 1, flags: int = 0, arg: int = 0
    ) -> None:
        assert self.m.task_depth[task] == 0
        call(self.m, task, function, mm, addr, end, flags, arg)

    def begin_pin(
        self, task: int, pin: int, flags: int, mm: int = 0, addr: int = 0, end: int = 1, user: int = k.USER_NONE
    ) -> None:
        assert self.m.task_depth[task] == 0
        pin_start(self.m, task, pin, mm, addr, end, flags, user)

    def step(self, task: int) -> int:
        """One atomic step."""
        outcome = step(self.m, task)
        broken = check_invariants(self.m)
        assert broken == 0, INVARIANTS[broken]
        self.steps += outcome != k.BLOCKED
        self.violated |= check_properties(self.m)
        return outcome

    def until(self, task: int, function: int, pc: int) -> None:
        """Step the task until it is at `pc` of `function`."""
        while not self.at(task, function, pc):
            assert self.step(task) == k.AGAIN, "the task ends, or waits, before it comes there"

    def at(self, task: int, function: int, pc: int) -> bool:
        act = self.m.task_stack[task] + self.m.task_depth[task] - 1
        return bool(self.m.task_depth[task]) and (self.m.act_function[act], self.m.act_pc[act]) == (function, pc)

    def finish(self, task: int) -> int:
        """Step the task to its end, or until it waits (BLOCKED); its result."""
        for _ in range(LONGEST):
            if not self.m.task_depth[task]:
                return self.m.task_result[task]
            if self.step(task) == k.BLOCKED:
                return k.BLOCKED
        raise AssertionError("the operation does not end")

    def write(self, task: int, mm: int, addr: int, byte: int) -> int:
        """A whole store."""
        self.begin(task, FN_ACCESS, mm, addr, addr + 1, k.FAULT_FLAG_WRITE, byte)
        return self.finish(task)

    def read(self, task: int, mm: int, addr: int) -> int:
        """A whole load."""
        self.begin(task, FN_ACCESS, mm, addr, addr + 1)
        return self.finish(task)
