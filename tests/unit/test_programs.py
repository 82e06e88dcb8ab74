"""Random programs of the subset do the same as they are, specialised, and lowered to addresses."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from kernels import written
from pinhold.compiler.facts import Facts
from pinhold.compiler.lower import lower
from pinhold.compiler.settled import settled
from pinhold.compiler.source import Kernel, definition, kernels
from pinhold.compiler.specialise import specialise
from pinhold.compiler.subset import OutsideSubset, check
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.state import TINY, layout
from programs import ALIKE, ARRAYS, CONSTANTS, SCALARS, Board, BoardMachine, programs

TABLE = layout(TINY, frozenset(), Board)
SAID = Facts(SCALARS, dict.fromkeys(ARRAYS, 4), first={"alike": ALIKE})
"""What is fixed before a program is looked at."""

FIRST = {"wide": (9, -3, 0, 70), "narrow": (1, -1, 60, 0), "alike": (ALIKE,) * 4, "fixed": (2, 4, 6, 8)}
ARGUMENTS = tuple(product((-2, 0, 1, 5), repeat=2))

Function = Callable[[Any, int, int], int]
Effect = tuple[int, bytes]
"""What a function gives, and the record behind it."""


def board() -> BoardMachine:
    m = BoardMachine(TINY)
    for name, values in FIRST.items():
        for i, number in enumerate(values):
            getattr(m, name)[i] = number
    for name, number in SCALARS.items():
        m.set_constant(name, number)
    return m


def interpreted(function: Function) -> list[Effect]:
    """One after the other on one record."""
    m = board()
    return [(function(m, a, b), bytes(m.data)) for a, b in ARGUMENTS]


def by_addresses(text: str, decorator: str, names: Mapping[str, Any]) -> Function:
    """The function `f` of a specialised text, lowered."""
    module = dict(names)
    exec(lower(text, TABLE, decorator), module)
    function: Function = module["f"]
    return function


def over_bytes(text: str) -> list[Effect]:
    """A specialised text lowered, its addresses those of a bytearray."""
    data = board().data
    names: dict[str, Any] = {"int64": int, "plain": lambda function: function}
    for width in (1, 2, 4, 8):

        def load(place: int, width: int = width) -> int:
            return int.from_bytes(data[place : place + width], "little", signed=True)

        def store(place: int, number: int, width: int = width) -> None:
            data[place : place + width] = number.to_bytes(width, "little", signed=True)

        names |= {f"load{width}": load, f"store{width}": store}
    function = by_addresses(text, "plain", names)
    return [(function(0, a, b), bytes(data)) for a, b in ARGUMENTS]


def compiled(text: str) -> list[Effect]:
    """A specialised text lowered and compiled by numba."""
    import numba
    import numpy as np

    from pinhold.compiler import memory

    names = {"njit": numba.njit, "int64": numba.int64, **vars(memory)}
    function = by_addresses(text, "njit(error_model='numpy')", names)
    data = board().data
    address = int(np.frombuffer(data, dtype=np.uint8).ctypes.data)
    return [(int(function(address, a, b)), bytes(data)) for a, b in ARGUMENTS]


def run(text: str) -> Function:
    names: dict[str, Any] = {}
    exec(text, names)
    function: Function = names["f"]
    return function


def once_more(text: str, known: Facts) -> str:
    """A specialised text specialised with the same facts, which leave nothing to be done."""
    definitions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    for node in definitions:
        node.args, node.returns = declared(node.name)
    with written("\n".join(f"@kernel\n{ast.unparse(node)}" for node in definitions), Board=Board) as module:
        return specialise([module["f"]], known)


def declared(name: str) -> tuple[ast.arguments, ast.expr | None]:
    """The annotations of the function that is registered under that name."""
    return definition(kernels()[name]).args, definition(kernels()[name]).returns


def accepted(module: Mapping[str, Any]) -> bool:
    """Whether the checker has no complaint about any function of it."""
    try:
        for function in module.values():
            if callable(function) and function in REGISTRY:
                check(function)
    except OutsideSubset:
        return False
    return True


def many(count: int, look: Callable[[Kernel], None]) -> tuple[int, int]:
    """Look at that many random programs that are accepted, always the same; gives how many were, and how many
    were refused."""
    seen: set[str] = set()
    refused: set[str] = set()

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
        report_multiple_bugs=False,
    )
    @given(programs())
    def looked_at(text: str) -> None:
        assume(text not in seen | refused)
        with written(text, Board=Board, **CONSTANTS) as module:
            fits = accepted(module)
            refused.update([] if fits else [text])
            assume(fits)
            look(module["f"])
        seen.add(text)

    looked_at()
    return len(seen), len(refused)


def does_the_same(function: Kernel) -> None:
    """As it is, specialised with what is said, with what follows from that, and lowered; and specialised once more."""
    expected = interpreted(function)
    facts = settled([function], function, SAID)
    for known in (Facts({}, SAID.sizes), SAID, facts):
        text = specialise([function], known)
        assert interpreted(run(text)) == expected
        assert over_bytes(text) == expected
        assert sorted(once_more(text, known).split("\n\n\n")) == sorted(text.split("\n\n\n"))


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.nightly)])
def test_programs_do_the_same_specialised_and_lowered(count: int) -> None:
    """All that the subset accepts; and it accepts four of five, so that they are as varied as they are made."""
    seen, refused = many(count, does_the_same)
    assert seen == count
    assert 0 < refused < (seen + refused) / 5


@pytest.mark.parametrize(
    "count", [pytest.param(50, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.nightly)]
)
def test_programs_do_the_same_compiled(count: int) -> None:
    """So many of them, by numba."""

    def look(function: Kernel) -> None:
        text = specialise([function], settled([function], function, SAID))
        assert compiled(text) == interpreted(function)

    many(count, look)
