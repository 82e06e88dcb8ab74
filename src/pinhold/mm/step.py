"""Running tasks: one atomic step, or an operation to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pinhold.mm.flags import AGAIN, DONE
from pinhold.mm.generated import made
from pinhold.mm.machine import Machine
from pinhold.mm.operations import NAMES, OPERATIONS
from pinhold.mm.state import State
from pinhold.mm.task import current
from pinhold.mm.trap import TRAP_FUNCTION, TRAPS, Unspecified, trap  # noqa: F401

FUEL = 1 << 22
"""Steps after which an operation that runs alone is taken to go on for ever."""

PERIOD = 27720
"""Steps between two looks at the state: a multiple of the length of every short cycle."""


class OutOfFuel(Exception):
    """The operation did not end.

    functions: the step functions that each round of it goes through, or the one that it is in, where no round was
    found; sites: what is decided in each round.
    """

    def __init__(self, functions: tuple[str, ...], sites: tuple[int, ...] = ()) -> None:
        super().__init__(functions, sites)
        self.functions = functions
        self.sites = sites


class Recurrence:
    """Notices that a machine comes back to a state where it was."""

    def __init__(self) -> None:
        self.steps = 0
        self.before = b""

    def after_step(self, m: Machine) -> bool:
        """Whether it is where it was one look ago: then it goes round for ever, if nobody else moves."""
        self.steps += 1
        if self.steps % PERIOD:
            return False
        now = m.saved()
        again = now == self.before
        self.before = now
        return again


def step_lines() -> Iterator[str]:
    """The source of `step`: in which operation the task is, in the order of the table."""
    yield "def step(m: State, task: int) -> int:"
    yield '    """One atomic step of the operation that the task is in, as mm/operations.py has them."""'
    yield from ("    if m.task_depth[task] == 0:", "        return DONE")
    yield "    function = m.act_function[current(m, task)]"
    for operation in OPERATIONS:
        yield f"    if function == {operation.number}:"
        yield f"        return {operation.function.__name__}(m, task)"
    yield "    return trap(m, TRAP_FUNCTION)"


step: Callable[[State, int], int] = made(
    step_lines(), globals() | {operation.function.__name__: operation.function for operation in OPERATIONS}
)
"""Advance a task by one atomic step: AGAIN, BLOCKED (nothing changed), or DONE (it is idle; task_result has the
result)."""


def checked_step(m: State, task: int) -> int:
    """step(); raises Unspecified where it meets what the specification does not know."""
    outcome = step(m, task)
    if m.trapped[0] in TRAPS:
        raise Unspecified(f"{TRAPS[m.trapped[0]]}{where(m, task)}")
    return outcome


def where(m: State, task: int) -> str:
    """What the task was in when the machine was trapped, if it has not come out of it since."""
    if not m.task_depth[task]:
        return ""
    act = current(m, task)
    number = m.act_function[act]
    return f": {NAMES.get(number, f'operation {number}')}, stage {m.act_pc[act]}, flags {m.act_flags[act]:#x}"


def run(m: Machine, task: int, fuel: int = FUEL) -> int:
    """Run what the task is in the middle of to its end, nobody else moving, and return its result.

    Raises OutOfFuel where it never ends (it comes back to a state where it was, or the fuel is gone), or waits for a
    lock that nobody will give up; Unspecified where it meets what the specification does not know.
    """
    recurrence = Recurrence()
    for _ in range(fuel):
        if not m.task_depth[task]:
            return m.task_result[task]
        if checked_step(m, task) not in (AGAIN, DONE):
            break
        if recurrence.after_step(m):
            raise round_of(m, task)
    raise OutOfFuel((function_name(m, task),))


def function_name(m: Machine, task: int) -> str:
    """What the task is in, by its name."""
    return NAMES[m.act_function[current(m, task)]]


def round_of(m: Machine, task: int) -> OutOfFuel:
    """What a task that comes back to the state that it is in now goes through, from the outermost function on."""
    start = m.saved()
    walked: list[tuple[int, str, tuple[int, ...]]] = []
    while not walked or m.saved() != start:
        depth, name, seen = m.task_depth[task], function_name(m, task), len(m.trace.sites)
        step(m, task)
        walked.append((depth, name, tuple(m.trace.sites[seen:])))
    first = walked.index(min(walked, key=lambda piece: piece[0]))
    walked = walked[first:] + walked[:first]
    names = dict.fromkeys(name for _, name, _ in walked)
    return OutOfFuel(tuple(names), tuple(dict.fromkeys(site for *_, sites in walked for site in sites)))
