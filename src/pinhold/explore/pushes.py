"""Which step functions a scope's operations come to: the tables of mm/ say which operation pushes which.

Operations are numbers here, as `world.Action` has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pinhold.explore.moves import ACT_CALL, ACT_PIN
from pinhold.mm.madvise import ADVICES
from pinhold.mm.operations import OPERATIONS
from pinhold.mm.task import FN_MADVISE, FN_PIN

Numbers = tuple[int, ...]


def absent_functions(operations: Iterable[Numbers]) -> set[str]:
    """What follows advice that no operation gives, and the step functions that are never pushed."""
    operations = list(operations)
    given = given_advice(operations)
    wanted: set[int] = set()
    waiting = begun(operations)
    while waiting:
        wanted |= waiting
        waiting = {pushed for number in waiting for pushed in pushes(number, given)} - wanted
    steps = {o.function.__name__ for o in OPERATIONS if o.number not in wanted}
    return steps | {a.follows.__name__ for a in ADVICES} - {a.follows.__name__ for a in ADVICES if a.number in given}


def depth(operations: Iterable[Numbers]) -> int:
    """How many activation records a task needs at most that does these operations."""
    operations = list(operations)
    given = given_advice(operations)

    def below(number: int) -> int:
        return 1 + max(map(below, pushes(number, given)), default=0)

    return max(map(below, begun(operations)), default=1)


def begun(operations: Iterable[Numbers]) -> set[int]:
    """The FN_* numbers that the operations begin with."""
    functions = {ACT_PIN: FN_PIN}
    return {functions.get(kind, function) for kind, function, *_ in operations if kind in (ACT_CALL, ACT_PIN)}


def given_advice(operations: Iterable[Numbers]) -> frozenset[int]:
    """The advice that some operation gives."""
    calls = (numbers for numbers in operations if numbers[:2] == (ACT_CALL, FN_MADVISE))
    return frozenset(flags for *_, flags, _ in calls)


def pushes(number: int, given: Collection[int]) -> set[int]:
    """The FN_* numbers that an operation can push; madvise() what the advice that is given does."""
    if number == FN_MADVISE:
        return {pushed for advice in ADVICES if advice.number in given for pushed in advice.pushes}
    return {pushed for operation in OPERATIONS if operation.number == number for pushed in operation.pushes}
