"""What the inner loop of the compiled search is told of a scope's image, and what the image has."""

from __future__ import annotations

import inspect

import pytest

pytest.importorskip("numba")

from pinhold.explore import engine, linked
from pinhold.explore.searched import ENTRIES, LOOP, SEARCHED, constants
from pinhold.mm.state import TINY, layout


@pytest.mark.parametrize("function", SEARCHED, ids=lambda f: f.__name__)
def test_the_declaration_is_the_functions(function: object) -> None:
    """Each function that the loop calls is declared with the parameters and the result that it has."""
    assert inspect.isfunction(function)
    declared = inspect.signature(getattr(linked, function.__name__))
    has = inspect.signature(function)
    assert list(declared.parameters) == list(has.parameters)
    assert declared.return_annotation == has.return_annotation


def test_the_image_has_every_constant_that_the_loop_reads() -> None:
    """Registers, widths and the record's sizes, which linked.py leaves at 0, each as a number."""
    table = layout(TINY)
    values = dict(line.split(" = ") for line in constants((*LOOP, *ENTRIES), table))
    assert values["SOURCE"] == str(engine.SOURCE)
    assert values["RECORD_BYTES"] == str(table.size)
    assert {"WENT_ON", "CHANCE_BITS", "STATE_WORDS", "KEY_A"} <= values.keys()
