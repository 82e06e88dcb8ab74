"""A function that the facts leave out, and that is entered all the same, says which it is."""

from __future__ import annotations

from collections.abc import Callable

from pinhold.compiler.facts import Facts
from pinhold.compiler.record import function_at
from pinhold.compiler.specialise import specialise
from pinhold.mm.kernel import load_specification
from pinhold.mm.swapin import do_swap_page
from pinhold.mm.zap import zap_pte

FACTS = Facts({}, {}, absent=frozenset({"do_swap_page", "zap_pte"}))


class Flags:
    """The fields that a trap sets."""

    def __init__(self) -> None:
        self.left_out = [0]


def test_it_names_itself() -> None:
    """Each of two by its own number; what it gives is zero."""
    load_specification()
    for function in (do_swap_page, zap_pte):
        functions: dict[str, Callable[..., int | None]] = {}
        exec(specialise([function], FACTS), functions)
        flags = Flags()
        assert not functions[function.__name__](flags, 0, 0)
        assert function_at(FACTS, flags.left_out[0]) == function.__name__
