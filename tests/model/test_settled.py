"""What a scope is said to settle is settled: no reachable state of it has another value there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pinhold.compiler.settled import settled
from pinhold.compiler.specialise import specialise
from pinhold.explore.facts import facts_of
from pinhold.explore.moves import move
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper
from pinhold.explore.searched import SEARCHED
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.kernel import load_specification

pytestmark = pytest.mark.slow

SCOPES = ("bench-tiny", "huge-dirty-cow", "seed-hugetlb", "ksm-loses-pin", "numa-loses-pin", "lazyfree-batch")
STATES, COMPARED = 1000, 80


def reachable(stepper: Stepper, count: int) -> set[bytes]:
    """The first states of a search in breadth, some more than `count`."""
    frontier = [stepper.first()]
    seen = set(frontier)
    while frontier and len(seen) < count:
        successors = [after for state in frontier for _, after in stepper.successors(state)]
        frontier = list(dict.fromkeys(after for after in successors if after not in seen))
        seen |= set(frontier)
    return seen


@pytest.mark.parametrize("symmetric", [True, pytest.param(False, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", SCOPES)
def test_settled_fields_keep_their_value(name: str, symmetric: bool) -> None:
    """In every state of a search, under the release's rules and under the switched ones; more fields are settled than
    the scope itself says, and those that it needs are not."""
    load_specification()
    scope = library()[name]
    row = releases.row(scope.rules)
    for rules in (row, releases.switched(row, scope.without)):
        ready = world(scope, rules)
        facts = facts_of(ready)
        everywhere = settled(SEARCHED, move, facts).everywhere
        assert set(everywhere) > set(facts.everywhere)
        assert not {"pte", "folio_refcount", "task_depth", "act_function"} & set(everywhere)
        stepper = Stepper(ready, symmetric=symmetric)
        for state in reachable(stepper, STATES):
            stepper.put(state)
            for field, value in everywhere.items():
                assert set(getattr(stepper.m, field)) == {value}, field


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly if n % 3 else ()) for n, name in enumerate(library())]
)
def test_the_specialised_functions_do_what_the_plain_ones_do(name: str) -> None:
    """Before they are compiled, on the first states of every scope, with what it settles written in: the same
    successors, verdicts and decisions, and no trap is entered."""
    load_specification()
    scope = library()[name]
    ready = world(scope, releases.switched(releases.row(scope.rules), scope.without))
    functions: dict[str, Callable[..., Any]] = {}
    exec(specialise(SEARCHED, settled(SEARCHED, move, facts_of(ready))), functions)
    plain, special = Stepper(ready), Stepper(ready, functions=functions)
    for state in reachable(plain, COMPARED):
        assert list(special.successors(state)) == list(plain.successors(state))
        assert special.m.trace.sites == plain.m.trace.sites
        assert special.wrong(state) == plain.wrong(state)
    assert not special.m.left_out[0]
