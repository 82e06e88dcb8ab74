"""The structural invariants notice what is wrong, wherever it is in the state."""

from __future__ import annotations

import pytest

from pinhold.mm import releases
from pinhold.mm.fork import mm_init
from pinhold.mm.invariants import INVARIANT_OK, INVARIANTS, check_invariants
from pinhold.mm.machine import Machine, create
from pinhold.mm.state import TINY, fields
from pinhold.targets.model.target import CONFIG

FREE = {
    "vma_end": "one page more or less is another mapping",
    "task_result": "any result is possible",
    "next_page": "where the next search starts",
    "next_swap": "where the next search starts",
    "file_users": "descriptors are not in the state",
    "pin_state": "a pin that is being taken holds nothing yet",
    "task_depth": "an activation record of nothing",
}
"""Fields whose last element may well have another value in a machine at rest, and why."""


def at_rest() -> Machine:
    machine = create(TINY, releases.row("6.2"), CONFIG)
    mm_init(machine, 0)
    return machine


def test_a_fresh_machine_is_in_order() -> None:
    """At boot, with one empty process, all invariants hold."""
    assert INVARIANTS[check_invariants(at_rest())] == INVARIANTS[INVARIANT_OK]


@pytest.mark.parametrize("name", [name for name, field in fields() if not field.constant and name not in FREE])
def test_a_field_that_is_wrong_is_noticed(name: str) -> None:
    """The last element of each field of the saved state, one too high, breaks an invariant."""
    machine = at_rest()
    values = getattr(machine, name)
    values[len(values) - 1] += 1
    assert check_invariants(machine) != INVARIANT_OK


@pytest.mark.parametrize("name", FREE)
def test_what_is_free_is_free(name: str) -> None:
    """The exceptions are real ones: no invariant speaks of them."""
    machine = at_rest()
    values = getattr(machine, name)
    values[len(values) - 1] += 1
    assert check_invariants(machine) == INVARIANT_OK
