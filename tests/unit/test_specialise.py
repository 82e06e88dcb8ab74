"""Partial evaluation: constants are followed through a function, and the function still does what it did."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import product

import pytest

from pinhold.compiler.facts import Facts
from pinhold.compiler.specialise import Specialiser, parsed

Function = Callable[..., int]


def walk(m: object, a: int, b: int) -> int:
    """A loop that a constant keeps from being entered, as a walk of one level."""
    level = 1 - 1
    shift = 3 * level
    table = a
    while level > 0:
        table = table + b
        level -= 1
        shift -= 3
    return table + (b >> shift)


def branches(m: object, a: int, b: int) -> int:
    """What both branches leave behind is known after them, what one of them does not is not."""
    x = 1
    y = 2
    if a > b:
        x = 5
        y = 3
    else:
        x = 5
        y = 4
    if a == 0:
        z = x
        return z + 1
    return x * 10 + y


def loops(m: object, a: int, b: int) -> int:
    """What a loop changes is known neither in it nor behind it; a loop of one turn is none."""
    total = 0
    step = 2
    i = 0
    while i < 3:
        total += step
        step += 1
        i += 1
    for k in range(1):
        total += k + a
    for k in range(2):
        if b > k:
            break
        total += 100
    return total + step


def pairs(m: object, a: int, b: int) -> int:
    """Two values at once."""
    slot, level = a + b, 0
    count = 1 << level
    count += slot
    return count if level == 0 else -count


def passes(m: object, a: int, b: int) -> int:
    """A parameter that every call gives the same value, and that is changed."""
    b += 1
    a = a * b if b == 2 else -1
    return a


def made(function: Function, facts: Facts) -> tuple[str, Function]:
    """The function, specialised: its text, and itself."""
    definition = ast.fix_missing_locations(Specialiser(facts).transform(function))
    names: dict[str, Function] = {}
    text = ast.unparse(definition)
    exec(text, {}, names)
    return text, names[function.__name__]


@pytest.mark.parametrize("function", [walk, branches, loops, pairs])
def test_a_specialised_function_does_the_same(function: Function) -> None:
    """For all small arguments, and it has become no longer."""
    text, specialised = made(function, Facts({}, {}))
    assert len(text.splitlines()) < len(ast.unparse(parsed(function)).splitlines())
    for a, b in product(range(-2, 4), repeat=2):
        assert specialised(None, a, b) == function(None, a, b)


def test_what_is_decided_is_gone() -> None:
    """The walk of one level has no loop, and nothing is assigned that is not read."""
    text, _ = made(walk, Facts({}, {}))
    assert "while" not in text
    assert "level" not in text
    assert "shift" not in text


def test_a_passed_constant_is_written_in() -> None:
    """And only for the function that it is passed to."""
    text, specialised = made(passes, Facts({}, {}, parameters={("passes", "b"): 1, ("walk", "a"): 7}))
    assert "if" not in text
    assert [specialised(None, a, 1) for a in range(3)] == [passes(None, a, 1) for a in range(3)]
    assert made(walk, Facts({}, {}, parameters={("passes", "b"): 1}))[0] == made(walk, Facts({}, {}))[0]
