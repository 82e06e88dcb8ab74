"""Schedules on the model: tasks beside the scenario's own thread, each advanced by atomic steps.

What a schedule was made for may come otherwise under other rules: a task that has nothing left to do, or waits for a
lock, lets its turn pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinhold.mm import flags as k
from pinhold.mm.pinning import pin_start
from pinhold.mm.step import FUEL, OutOfFuel, Recurrence, checked_step, function_name, round_of
from pinhold.mm.task import FN_FORK, FN_KSM_MERGE, FN_UNPIN, call
from pinhold.scenario import step as s
from pinhold.scenario.printer import format_step
from pinhold.targets.base import CannotDo
from pinhold.targets.model.users import free_pin

if TYPE_CHECKING:
    from pinhold.targets.model.session import ModelSession


@dataclass(slots=True)
class Task:
    """slot: its number on the machine.  doing: what it is in the middle of; place: the process's or the pin's number
    that this makes."""

    slot: int
    doing: s.Action | None = None
    place: int = -1


@dataclass(slots=True)
class Tasks:
    """Those of one scenario, by name; slot 0 is the thread that does whole steps."""

    session: ModelSession
    known: dict[str, Task] = field(default_factory=dict)

    def start(self, name: str, operation: s.Action) -> int:
        """Begin it; what the task is in comes to its end first.  0, or how that ended, if badly."""
        task = self.known.setdefault(name, Task(1 + len(self.known)))
        result = self.finish(task)
        task.place = self.begin(task.slot, operation)
        task.doing = operation
        return min(result, 0)

    def begin(self, slot: int, operation: s.Action) -> int:
        """Push the call; gives the number of the process or the pin that it makes, or -1.  Raises CannotDo."""
        session = self.session
        m = session.m
        match operation:
            case s.Fork(proc):
                child = session.free_mm()
                if child < 0:
                    raise CannotDo(f"the small machine has no room for another process: '{format_step(operation)}'")
                call(m, slot, FN_FORK, session.mm(proc), 0, 0, 0, child)
                return child
            case s.Pin(proc, r) | s.Vmsplice(proc, r) | s.IoUring(proc, r):
                flags, user = session.held(operation)
                pin = free_pin(m)
                pin_start(m, slot, pin, *session.span(proc, r), flags, user)
                return pin
            case s.Unpin(pin):
                call(m, slot, FN_UNPIN, 0, 0, 0, 0, session.pin(pin))
            case s.Ksm(proc, r):
                mm, start, _ = session.span(proc, r)
                other, other_start, _ = session.span(operation.other_proc, operation.other_range)
                call(m, slot, FN_KSM_MERGE, mm, start, other_start, 0, other)
            case _:
                call(m, slot, *session.call_of(operation))
        return -1

    def advance(self, name: str, steps: int, chance: int) -> int:
        """So many atomic steps, as far as the task can take them.  0, or how its operation ended, if badly."""
        m, task = self.session.m, self.known[name]
        for _ in range(steps):
            m.choice[0], m.choices[0] = chance, 1
            taken = checked_step(m, task.slot)
            m.choice[0] = 0
            if taken == k.BLOCKED:
                return 0
            if not m.task_depth[task.slot]:
                return min(self.ended(task), 0)
        return 0

    def settle(self) -> int:
        """Every task to its end.  Raises OutOfFuel where they wait for one another."""
        return min([self.finish(task) for task in self.known.values()], default=0)

    def finish(self, task: Task) -> int:
        """One task to its end; the others go on where it waits for them."""
        m = self.session.m
        recurrence = Recurrence()
        for _ in range(FUEL):
            if not m.task_depth[task.slot]:
                return self.ended(task)
            if checked_step(m, task.slot) != k.BLOCKED:
                if recurrence.after_step(m):
                    raise round_of(m, task.slot)
                continue
            if not any(self.goes_on(other) for other in self.known.values()):
                break
        raise OutOfFuel((function_name(m, task.slot),))

    def goes_on(self, task: Task) -> bool:
        """Whether the task was busy and could take a step."""
        m = self.session.m
        if not m.task_depth[task.slot] or checked_step(m, task.slot) == k.BLOCKED:
            return False
        if not m.task_depth[task.slot]:
            self.ended(task)
        return True

    def ended(self, task: Task) -> int:
        """What a task that is idle now has come to, once: the scenario's names for what it has made."""
        session, operation = self.session, task.doing
        if operation is None:
            return 0
        result = session.m.task_result[task.slot]
        session.m.task_result[task.slot] = 0
        task.doing = None
        match operation:
            case s.Fork() if result >= 0:
                session.forked(operation, task.place)
            case s.Exit():
                session.exited(operation)
            case s.Pin(pin=pin) | s.Vmsplice(pin=pin) | s.IoUring(pin=pin):
                if result > 0:
                    session.pins[pin] = task.place
                else:
                    result = result or -k.EFAULT
            case s.Unpin(pin):
                del session.pins[pin]
        return result
