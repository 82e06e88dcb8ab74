"""The compiled search goes through the same states in the same order as the interpreted one."""

from __future__ import annotations

import pytest

from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.limits import Result
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.world import World, rules_without, world
from pinhold.mm import rules

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("compiled")]

SCOPES = ("fork-pin", "huge-dirty-cow", "swap-races-pin", "seed-hugetlb")
"""Together they have every kind of memory, and leave out each other's."""


def numbers(result: Result) -> tuple[object, ...]:
    return (result.levels, result.transitions, result.violation, result.path, result.uses, result.sites)


def worlds(name: str) -> list[World]:
    scope = library()[name]
    row = rules.row(scope.rules)
    switched = scope.without or {"write_protect_seq": "no"}
    return [world(scope, row), world(scope, rules_without(row, switched))]


@pytest.mark.parametrize("name", SCOPES)
def test_compiled_and_interpreted_agree(name: str) -> None:
    """Level by level as many states, as many transitions, the same violation by the same way, the same decisions, with
    symmetry and without, with good rules and with bad ones."""
    for ready in worlds(name):
        for symmetric in (True, False):
            compiled = CompiledSearch(ready, symmetric=symmetric).run()
            interpreted = search(Stepper(ready, symmetric=symmetric))
            assert numbers(compiled) == numbers(interpreted)
