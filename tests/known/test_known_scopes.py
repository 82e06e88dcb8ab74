"""The known cases that are scopes of the explorer."""

import pytest

from known import HERE
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, explore
from pinhold.explore.scope import BadScope, Scope, read_scopes
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.properties import WRITE_PIN_RELIABLE

REFUSED = {"symmetry-thp": "the machine needs thps 1 for thp 1", "hugetlb1": "the machine needs levels 2 for hugetlb 2"}


def only_scope(case: str) -> Scope:
    (scope,) = read_scopes((HERE / "cases" / f"{case}.toml").read_text(), case).values()
    return scope


def searched(case: str, release: str) -> SearchResult:
    return explore(world(only_scope(case), releases.row(release)), Options("interpreted"))


@pytest.mark.parametrize("case", REFUSED)
def test_a_machine_that_cannot_be_is_refused(case: str) -> None:
    """No defect is reported on it; the sentence says what the machine lacks."""
    with pytest.raises(BadScope, match=REFUSED[case]):
        only_scope(case)


@pytest.mark.slow
def test_two_levels_of_tables_are_enough_for_hugetlb() -> None:
    """A pool that is too small for everybody's copies: nothing bad."""
    assert searched("hugetlb2", "7.3").exhausted


def test_data_of_a_short_writable_pin_is_lost_until_exclusive_pages_are_reused() -> None:
    """O_DIRECT in flight beside mprotect() and writes: on 5.10 the owner's write replaces the page; 5.19 (seen here in
    6.1) reuses it, since it is exclusive (anon_exclusive, 6c287605fd56), and the space is exhausted."""
    found = searched("fork-dio", "5.10").violation
    assert found is not None
    assert found.properties == WRITE_PIN_RELIABLE
    assert searched("fork-dio", "6.1").exhausted
