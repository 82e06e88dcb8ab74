"""Which step functions an operation comes to, and how deep a task's stack is therefore."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import replace

import pytest

from pinhold.explore.moves import ACT_CALL
from pinhold.explore.pushes import absent_functions, depth
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.world import World, world
from pinhold.mm import madvise, releases, task
from pinhold.mm.kernel import REGISTRY, load_specification
from pinhold.mm.madvise import ADVICES, Advice
from pinhold.mm.operations import OPERATIONS, Operation
from pinhold.mm.state import TASK_DEPTH

NAMES = {getattr(task, name): name for name in vars(task) if name.startswith("FN_")}


def operation(function: int, flags: int = 0) -> tuple[int, ...]:
    return (ACT_CALL, function, 0, 0, 0, flags, 0)


def ready(name: str) -> World:
    return world(library()[name], releases.row(library()[name].rules))


def pushed_by(function: Callable[..., object]) -> set[str]:
    """The numbers given to call(), by name, read from the sources of all that the function reaches."""
    known = {f.__name__: f for f in REGISTRY}
    found, waiting = set[str](), {function.__name__}
    pushed = set[str]()
    while waiting:
        name = waiting.pop()
        found.add(name)
        tree = ast.parse(textwrap.dedent(inspect.getsource(known[name])))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        pushed |= {ast.unparse(c.args[2]) for c in calls if ast.unparse(c.func) == "call"}
        waiting |= {ast.unparse(c.func) for c in calls if ast.unparse(c.func) in known} - found
    return pushed


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.function.__name__)
def test_what_an_operation_pushes_stands_in_the_table(operation: Operation) -> None:
    """Neither more nor less than its step function calls."""
    load_specification()
    assert {NAMES[n] for n in operation.pushes} == pushed_by(operation.function)


@pytest.mark.parametrize("advice", ADVICES, ids=lambda a: str(a.number))
def test_what_an_advice_pushes_stands_in_the_table(advice: Advice) -> None:
    """Neither more nor less than what begins to follow it calls."""
    load_specification()
    assert {NAMES[n] for n in advice.pushes} == pushed_by(advice.begins)


def test_no_operation_is_deeper_than_a_stack() -> None:
    """Outside of scopes every stack has TASK_DEPTH places."""
    load_specification()
    depths = {NAMES[number]: depth([operation(number)]) for number in NAMES if number > 0}
    assert max(depths.values()) <= TASK_DEPTH
    assert (depths["FN_FORK"], depths["FN_ACCESS"], depths["FN_PIN"], depths["FN_ACCESS_REMOTE"]) == (1, 2, 3, 3)


def test_advice_decides() -> None:
    """To discard pushes nothing, to populate a GUP and its faults; what follows other advice is absent."""
    assert depth([operation(task.FN_MADVISE, madvise.MADV_DONTNEED)]) == 1
    assert depth([operation(task.FN_MADVISE, madvise.MADV_PAGEOUT)]) == 2
    assert depth([operation(task.FN_MADVISE, madvise.MADV_POPULATE_READ)]) == 3
    absent = absent_functions([operation(task.FN_MADVISE, madvise.MADV_DONTNEED)])
    assert {"pageout", "madvise_free", "ksm_unmerge", "gup_slow", "dup_mmap"} < absent
    assert not {"madvise", "madvise_dontneed"} & absent


def test_the_stacks_of_a_scope_are_filled() -> None:
    """Each to its last place, in some reachable state, and never beyond."""
    there = ready("bench-tiny")
    assert there.machine.geometry.stacks == (2, 3)
    stepper = Stepper(there)
    depths = set()
    taken = stepper.taken
    stepper.taken = lambda: depths.add(tuple(stepper.m.task_depth)) or taken()  # type: ignore[func-returns-value,method-assign]
    assert search(stepper).exhausted
    assert tuple(max(column) for column in zip(*depths, strict=True)) == (2, 3)


def test_a_stack_that_is_too_small_is_noticed() -> None:
    """One place less, and the search does not go on."""
    there = ready("bench-tiny")
    small = replace(there, machine=there.machine.arranged(replace(there.machine.geometry, stacks=(2, 2))))
    with pytest.raises(AssertionError, match="stack"):
        search(Stepper(small))
