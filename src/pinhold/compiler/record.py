"""What specialised functions have in a record beside the machine's own fields."""

from __future__ import annotations

from pinhold.compiler.facts import Facts
from pinhold.mm.state import Ints, State, constant_per


class SpecialisedState(State):
    """A record that functions with left out parts compute with.

    Where a fact was wrong the state means nothing, and this says so: `left_out` is the place, from 1 on, of a function
    that was entered among those that the facts leave out, in alphabetical order; 0 if none was.
    """

    left_out: Ints = constant_per("one", 8, 8)


def place_of(facts: Facts, function: str) -> int:
    """The value of `left_out` for a function that the facts leave out."""
    return 1 + sorted(facts.absent).index(function)


def function_at(facts: Facts, place: int) -> str:
    """The function that a value of `left_out` other than 0 stands for."""
    return sorted(facts.absent)[place - 1]
