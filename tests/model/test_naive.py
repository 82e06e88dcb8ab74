"""The explorer's searches come to the same as the plainest one."""

from __future__ import annotations

import pytest

from naive import every_state
from pinhold.explore.history import bad_world, defects, good_world
from pinhold.explore.scope import Scope, library
from pinhold.explore.search import Stepper, search

SMALLEST = sorted(defects(), key=lambda scope: scope.states)[:4]


@pytest.mark.parametrize("scope", [library()["bench-tiny"], *SMALLEST], ids=lambda scope: scope.name)
def test_the_plainest_search_sees_the_same_states(scope: Scope) -> None:
    """As many new states at each depth, as many transitions, and as good."""
    world = good_world(scope)
    naive, ours = every_state(world), search(Stepper(world, symmetric=False))
    assert (naive.levels, naive.transitions, naive.bad) == (ours.levels, ours.transitions, -1)


@pytest.mark.parametrize("scope", SMALLEST, ids=lambda scope: scope.name)
def test_the_plainest_search_finds_the_defect_as_early(scope: Scope) -> None:
    """The first bad state lies as deep, with symmetry and without."""
    world = bad_world(scope)
    depth = every_state(world).bad
    assert [len(search(Stepper(world, symmetric=symmetric)).path) for symmetric in (True, False)] == [depth, depth]
