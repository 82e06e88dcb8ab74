"""Which step functions a scope's operations come to: told from the code, which function pushes which.

Operations are numbers here, as `world.Action` has them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from pinhold.explore.moves import ACT_CALL, ACT_PIN
from pinhold.mm import task
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.madvise import FOLLOWED_BY
from pinhold.mm.step import step

Numbers = tuple[int, ...]


def absent_functions(operations: Iterable[Numbers]) -> set[str]:
    """What follows advice that no operation gives, and the step functions that are never pushed."""
    operations = list(operations)
    unused = unused_advice(operations)
    wanted: set[int] = set()
    waiting = begun(operations)
    while waiting:
        wanted |= waiting
        waiting = {pushed for number in waiting for pushed in pushes(number, unused)} - wanted
    return set(dispatch().values()) - {dispatch()[number] for number in wanted} | unused


def depth(operations: Iterable[Numbers]) -> int:
    """How many activation records a task needs at most that does these operations."""
    operations = list(operations)
    unused = unused_advice(operations)

    def below(number: int) -> int:
        return 1 + max(map(below, pushes(number, unused)), default=0)

    return max(map(below, begun(operations)), default=1)


def begun(operations: Iterable[Numbers]) -> set[int]:
    """The FN_* numbers that the operations begin with."""
    functions = {ACT_PIN: task.FN_PIN}
    return {functions.get(kind, function) for kind, function, *_ in operations if kind in (ACT_CALL, ACT_PIN)}


def unused_advice(operations: Iterable[Numbers]) -> frozenset[str]:
    """The functions that follow advice which none of the operations gives."""
    given = {flags for kind, function, *_, flags, _ in operations if (kind, function) == (ACT_CALL, task.FN_MADVISE)}
    return frozenset(set(FOLLOWED_BY.values()) - {FOLLOWED_BY[advice] for advice in given})


@cache
def dispatch() -> dict[int, str]:
    """FN_* number -> the step function that `step` calls for it."""
    found = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(step)))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and isinstance(node.body[0], ast.Return):
            constant, call = node.test.comparators[0], node.body[0].value
            if isinstance(constant, ast.Name) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                found[getattr(task, constant.id)] = call.func.id
    return found


@cache
def pushes(number: int, absent: frozenset[str]) -> frozenset[int]:
    """The FN_* numbers that a step function pushes, told from its code and that of what it calls."""
    known = {f.__name__: f for f in REGISTRY if f.__name__ not in absent}
    return frozenset(named_functions(reached(dispatch()[number], known), known))


def reached(name: str, known: Mapping[str, object]) -> set[str]:
    """The functions that a function calls, and those that they call."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [n for n in code_names(known[name]) if n in known]
    return found


def named_functions(functions: Iterable[str], known: Mapping[str, object]) -> Iterator[int]:
    """The FN_* numbers that these functions push."""
    for name in functions:
        names = code_names(known[name])
        if "call" in names:
            yield from (getattr(task, n) for n in names if n.startswith("FN_") and n != "FN_NONE")


def code_names(function: object) -> tuple[str, ...]:
    names: tuple[str, ...] = function.__code__.co_names  # type: ignore[attr-defined]
    return names
