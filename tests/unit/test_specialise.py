"""Partial evaluation: constants are followed through a function, and the function still does what it did."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import pytest

from kernels import function
from pinhold.compiler.facts import Facts
from pinhold.compiler.source import Kernel, bare
from pinhold.compiler.specialise import Specialiser
from pinhold.compiler.subset import OutsideSubset

Function = Callable[..., int]
HEAD = "@kernel\ndef f(m: State, a: int, b: int) -> int:\n"

WALK = (
    HEAD
    + """
    level = 1 - 1
    shift = 3 * level
    table = a
    while level > 0:
        table = table + b
        level -= 1
        shift -= 3
    return table + (b >> shift)
"""
)
"""A loop that a constant keeps from being entered, as a walk of one level."""

BRANCHES = (
    HEAD
    + """
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
"""
)
"""What both branches leave behind is known after them, what one of them does not is not."""

LOOPS = (
    HEAD
    + """
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
"""
)
"""What a loop changes is known neither in it nor behind it; a loop of one turn is none."""

PAIRS = (
    HEAD
    + """
    slot, level = a + b, 0
    count = 1 << level
    count += slot
    return count if level == 0 else -count
"""
)
"""Two values at once."""

PASSES = (
    HEAD
    + """
    b += 1
    a = a * b if b == 2 else -1
    return a
"""
)
"""A parameter that every call gives the same value, and that is changed."""


class Bytes:
    """Some fields of a record."""

    def __init__(self) -> None:
        self.pte, self.vma_start, self.trapped = [5, 7, -2, 0], [3, 4], [0]


SIZES = {"pte": 4, "vma_start": 2}


@contextmanager
def made(text: str, facts: Facts) -> Iterator[tuple[str, Function, Kernel]]:
    """The function of the text, specialised: the text, the function, and what it was made of."""
    with function(text, FAULT=14) as plain:
        specialiser = Specialiser(facts)
        specialiser.function(plain)
        new = "\n".join(map(ast.unparse, specialiser.reachable([plain])))
        names: dict[str, Function] = {}
        exec(new, names)
        yield new, names[plain.__name__], plain


def same(one: Function, other: Function) -> bool:
    """Whether they give the same, and leave the same behind, for all small arguments."""
    for a, b in product(range(-2, 4), repeat=2):
        first, second = Bytes(), Bytes()
        if one(first, a, b) != other(second, a, b) or vars(first) != vars(second):
            return False
    return True


@pytest.mark.parametrize("text", [WALK, BRANCHES, LOOPS, PAIRS])
def test_a_specialised_function_does_the_same(text: str) -> None:
    """For all small arguments, and it has become no longer."""
    with made(text, Facts({}, {})) as (new, specialised, plain):
        assert len(new.splitlines()) <= len(ast.unparse(bare(plain)).splitlines())
        assert same(plain, specialised)


def test_what_is_decided_is_gone() -> None:
    """The walk of one level has no loop, and nothing is assigned that is not read."""
    with made(WALK, Facts({}, {})) as (new, *_):
        assert "while" not in new
        assert "level" not in new
        assert "shift" not in new


def test_a_passed_constant_is_written_in() -> None:
    """And only for the function that it is passed to."""
    with made(PASSES, Facts({}, {}, parameters={("f", "b"): 1, ("g", "a"): 7})) as (new, specialised, plain):
        assert "if" not in new
        assert [specialised(None, a, 1) for a in range(3)] == [plain(None, a, 1) for a in range(3)]
    with made(WALK, Facts({}, {}, parameters={("g", "b"): 1})) as (one, *_), made(WALK, Facts({}, {})) as (two, *_):
        assert one == two


RIGHT = {
    "an integer as a truth": "    return 3 if (a and 6) or not b else 4",
    "truth values together": "    x = a > 1 and b > 1 or a == 0\n    return 1 + x",
    "truth values and what is known of them": "    x = 1\n    y = x == 1 and a > 0\n    return 1 if y or x == 2 else 0",
    "a chain of comparisons": "    return 1 if 0 < a < 3 else 0",
    "a loop that is not entered keeps what was": "    i = 7\n    for i in range(0):\n        a += 1\n    return i + a",
    "an array under another name": "    x = m.pte\n    x[b] = a\n    return x[0] + len(x)",
    "a choice between constants": "    return (3 if a else 4) | 8",
    "a return in a loop": "    while a > 0:\n        if a > 2:\n            return 7\n        a -= 1\n    return a",
    "two names at once, one of them read": "    a, b = 1, a\n    return 10 * a + b",
    "what never runs": "    x = 0\n    if b > 9:\n        a = 1 // x\n    return a",
    "one element, found and changed": "    m.pte[m.vma_start[0]] += m.pte[1] << 1\n    return m.pte[3]",
}


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT.keys())
def test_what_looks_alike_is_told_apart(body: str) -> None:
    """Small functions in which a careless specialiser changes the meaning: they come out right."""
    with made(HEAD + body, Facts({}, SIZES)) as (_, specialised, plain):
        assert same(plain, specialised)


REFUSED = {
    "or of integers": "    return a or -FAULT",
    "or of a known integer": "    x = 5\n    return a or x",
    "and of integers": "    return a and 6",
    "and, or of integers": "    return a and 0 or 7",
    "or of a choice": "    return (3 if a else 4) or 5",
    "the else of a while": "    r = 0\n    while a > 0:\n        a -= 1\n    else:\n        r = 9\n    return r",
    "a for with else": "    for i in range(a):\n        b += i\n    else:\n        b = 9\n    return b",
    "a local named as a constant": "    FAULT = a\n    return FAULT + 1",
    "one assignment, two names": "    x = y = a\n    return x + y",
    "bits of a truth value": "    x = True\n    return ~x + a",
    "one name for two arrays": "    x = m.pte\n    if a > 1:\n        x = m.vma_start\n    return x[0]",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_would_come_out_otherwise_is_refused(body: str) -> None:
    """With file and line, and not changed silently."""
    with pytest.raises(OutsideSubset, match=r"<written \d+>:\d+: f: "), made(HEAD + body, Facts({}, SIZES)):
        pass


def test_a_parameter_named_as_a_constant_is_refused() -> None:
    """Which of the two is meant could not be told later."""
    text = "@kernel\ndef f(m: State, FAULT: int) -> int:\n    return FAULT + 1\n"
    with pytest.raises(OutsideSubset, match="FAULT means something else"), made(text, Facts({}, {})):
        pass


CALLS = """
@kernel
def bump(m: State, i: int) -> int:
    m.pte[i] += 1
    if m.pte[i] > 100:
        return 0
    return m.pte[i]


@kernel
def both(m: State, e: int) -> int:
    return bump(m, 0) + e


@kernel
def f(m: State, a: int, b: int) -> int:
    return both(m, {argument}) + b
"""


@pytest.mark.parametrize(("argument", "stays"), [("m.pte[0]", True), ("a + 1", False)])
def test_an_argument_sees_the_record_as_it_was(argument: str, stays: bool) -> None:
    """It is evaluated before the call: one that reads what the callee changes is not moved into it."""
    with made(CALLS.format(argument=argument), Facts({}, SIZES)) as (new, specialised, plain):
        assert same(plain, specialised)
        assert ("both(" in new) is stays


@pytest.mark.parametrize("twice", ["a - 1", "m.pte[1]"])
def test_specialised_once_more_nothing_changes(twice: str) -> None:
    """What comes out is of the subset, and has nothing left to be found."""
    with made(CALLS.format(argument=twice), Facts({}, SIZES)) as (new, *_):
        text = "\n".join(f"@kernel\n{part}" for part in annotated(new))
        with made(text, Facts({}, SIZES)) as again:
            assert again[0] == new


def annotated(text: str) -> Iterator[str]:
    """Functions whose annotations are gone, with them."""
    for node in ast.parse(text).body:
        assert isinstance(node, ast.FunctionDef)
        for arg in node.args.args:
            arg.annotation = ast.Name("State" if arg.arg == "m" else "int")
        node.returns = ast.Name("int")
        yield ast.unparse(node)
