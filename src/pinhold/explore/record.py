"""The record that a search works on: a machine's, and what the explorer keeps beside it.

None of it is part of a state: a scope says it once, or symmetry (symmetry/) works it out anew for each state.
"""

from __future__ import annotations

from pinhold.compiler.record import SpecialisedState
from pinhold.mm.machine import Machine
from pinhold.mm.state import Geometry, Ints, constant, constant_per

TOKENS = 64
"""Contents that are told apart, zero among them."""

NUMBERED = 5
"""What is given numbers anew: base frames, THPs, hugetlb pages, tables, swap slots."""


class SearchState(SpecialisedState):
    """What the explorer's functions of the subset compute with."""

    # of each pin's slot, how many of its pool come behind it, and whether any pool has more than one; whether
    # a pin has a user; whether bytes are tokens (see scope.py)
    pool_rest: Ints = constant_per("pins", 8, 8)
    pools: int = constant()
    pin_users: int = constant()
    content_tokens: int = constant()
    # new numbers of frames, tables, slots, pins and tokens: what had the number that is the index
    new_page: Ints = constant_per("pages", 8, 8)
    new_table: Ints = constant_per("tables", 8, 8)
    new_swap: Ints = constant_per("swap", 8, 8)
    new_pin: Ints = constant_per("pins", 8, 8)
    new_token: Ints = constant_per("tokens", 8, 8)
    # how they are given: the next of each sort; tables and pins in their new order; a table's level
    next_number: Ints = constant_per("numbered", 8, 8)
    table_order: Ints = constant_per("tables", 8, 8)
    table_level: Ints = constant_per("tables", 8, 8)
    pin_order: Ints = constant_per("pins", 8, 8)
    # an array under way to its new order
    spare: Ints = constant_per("spare", 8, 8)

    @classmethod
    def dimensions(cls, geometry: Geometry) -> dict[str, int]:
        dims = super().dimensions(geometry)
        renumbered = max(dims[dim] for dim in ("mm_ids", "slots", "swap", "runs"))
        return dims | {"tokens": TOKENS, "numbered": NUMBERED, "spare": renumbered}


class SearchMachine(SearchState, Machine):
    """A machine with such a record."""
