"""Schedules on the model: tasks beside the scenario's own thread, each advanced by atomic steps.

What a schedule was made for may come otherwise under other rules: a task that has nothing left to do, or waits for a
lock, lets its turn pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.ksmd import Ksmd
from pinhold.mm.machine import Machine
from pinhold.mm.pinning import pin_start
from pinhold.mm.step import FUEL, OutOfFuel, Recurrence, checked_step, function_name, round_of
from pinhold.mm.task import FN_FORK, FN_KSM_MERGE, FN_UNPIN, call
from pinhold.scenario import steps as s
from pinhold.scenario.printer import format_step
from pinhold.scenario.ran import Turn
from pinhold.targets.base import CannotDo
from pinhold.targets.model.calls import CALLS, call_of, wanted
from pinhold.targets.model.names import Names
from pinhold.targets.model.users import free_pin


@dataclass(slots=True)
class Task:
    """slot: its number on the machine.  doing: what it is in the middle of; place: the process's or the pin's number
    that this makes."""

    name: str
    slot: int
    doing: s.Action | None = None
    place: int = -1


@dataclass(slots=True)
class Tasks:
    """Those of one scenario, by name; slot 0 is the thread that does whole steps.  names: where what an operation
    makes gets its name when the operation ends.  ksmd: which knows who was forked from whom.  turns: what the tasks
    came to in the step at hand."""

    m: Machine
    names: Names
    ksmd: Ksmd
    by_name: dict[str, Task] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)

    def start(self, name: str, operation: s.Action) -> int:
        """Begin it; what the task is in comes to its end first.  0, or how that ended, if badly.  Raises CannotDo."""
        task = self.by_name.setdefault(name, Task(name, 1 + len(self.by_name)))
        result = self.finish(task)
        task.place = BEGIN[type(operation)](self, task.slot, operation)
        task.doing = operation
        self.turns.append(self.turn(task))
        return min(result, 0)

    def turn(self, task: Task, waited: bool = False) -> Turn:
        """How a task stands that is in the middle of something."""
        operation = "" if task.doing is None else format_step(task.doing)
        function = function_name(self.m, task.slot) if self.m.task_depth[task.slot] else ""
        return Turn(task.name, operation, function, waited=waited)

    # Pushing the call of an operation, in BEGIN: each gives the number of the process or the pin that it makes, or -1.

    def call(self, slot: int, operation: s.Action) -> int:
        call(self.m, slot, *call_of(self.m, operation, self.names))
        return -1

    def fork(self, slot: int, operation: s.Fork) -> int:
        child = self.names.free_mm()
        if child < 0:
            raise CannotDo(f"the small machine has no room for another process: '{format_step(operation)}'")
        call(self.m, slot, FN_FORK, self.names.mm(operation.proc), 0, 0, 0, child)
        self.names.coming.add(child)
        return child

    def hold(self, slot: int, operation: s.Hold) -> int:
        flags, user = wanted(self.m, operation)
        pin = free_pin(self.m)
        pin_start(self.m, slot, pin, *self.names.span(operation.proc, operation.range), flags, user)
        return pin

    def unpin(self, slot: int, operation: s.Unpin) -> int:
        call(self.m, slot, FN_UNPIN, 0, 0, 0, 0, self.names.pin(operation.pin))
        return -1

    def ksm(self, slot: int, operation: s.Ksm) -> int:
        mm, start, _ = self.names.span(operation.proc, operation.range)
        other, other_start, _ = self.names.span(operation.other_proc, operation.other_range)
        call(self.m, slot, FN_KSM_MERGE, mm, start, other_start, 0, other)
        return -1

    # Going on

    def advance(self, name: str, steps: int, chance: int) -> int:
        """So many atomic steps, as far as the task can take them.  0, or how its operation ended, if badly."""
        m, task = self.m, self.by_name[name]
        for _ in range(steps):
            m.choice[0], m.choices[0] = chance, 1
            taken = checked_step(m, task.slot)
            m.choice[0] = 0
            if taken == k.BLOCKED:
                self.turns.append(self.turn(task, waited=True))
                return 0
            if not m.task_depth[task.slot]:
                return min(self.ended(task), 0)
        self.turns.append(self.turn(task))
        return 0

    def settle(self) -> int:
        """Every task to its end.  Raises OutOfFuel where they wait for one another."""
        return min([self.finish(task) for task in self.by_name.values()], default=0)

    def finish(self, task: Task) -> int:
        """One task to its end; the others go on where it waits for them."""
        m = self.m
        recurrence = Recurrence()
        for _ in range(FUEL):
            if not m.task_depth[task.slot]:
                return self.ended(task)
            if checked_step(m, task.slot) != k.BLOCKED:
                if recurrence.after_step(m):
                    raise round_of(m, task.slot)
                continue
            if not any(self.goes_on(other) for other in self.by_name.values()):
                break
        raise OutOfFuel((function_name(m, task.slot),))

    def goes_on(self, task: Task) -> bool:
        """Whether the task was busy and could take a step."""
        m = self.m
        if not m.task_depth[task.slot] or checked_step(m, task.slot) == k.BLOCKED:
            return False
        if not m.task_depth[task.slot]:
            self.ended(task)
        return True

    def ended(self, task: Task) -> int:
        """What a task that is idle now has come to, once: the scenario's names for what it has made."""
        names, operation = self.names, task.doing
        if operation is None:
            return 0
        result = self.m.task_result[task.slot]
        self.m.task_result[task.slot] = 0
        self.turns.append(Turn(task.name, format_step(operation), ended=True))
        task.doing = None
        if isinstance(operation, s.Fork):
            names.coming.discard(task.place)
        match operation:
            case s.Fork() if result >= 0:
                self.ksmd.forked(names.mm(operation.proc), task.place)
                names.forked(operation, task.place)
            case s.Exit(proc):
                self.ksmd.exited(names.mm(proc))
                names.exited(proc)
            case s.Hold():
                if result > 0:
                    names.pins[operation.pin] = task.place
                else:
                    result = result or -k.EFAULT
            case s.Unpin(pin):
                del names.pins[pin]
        return result


BEGIN: Mapping[type[s.Step], Callable[[Tasks, int, Any], int]] = {
    **{step: Tasks.call for step in CALLS if step.startable},
    s.Fork: Tasks.fork,
    s.Pin: Tasks.hold,
    s.Vmsplice: Tasks.hold,
    s.IoUring: Tasks.hold,
    s.Unpin: Tasks.unpin,
    s.Ksm: Tasks.ksm,
}
"""How each operation begins that a task can start."""
