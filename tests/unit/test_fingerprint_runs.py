"""Fingerprints in sorted runs, beside Python's sets: also where their first words are the same by chance."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pinhold.explore.external import runs
from pinhold.explore.external.runs import FIRST, REST, Prints, absent, distinct, merged, together

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=40)
"""So few values that many first words are the same and the rest is not."""


def prints(pairs: list[tuple[int, int]]) -> Prints:
    return Prints(np.array([p for p, _ in pairs], FIRST), np.array([r for _, r in pairs], REST))


def pairs_of(run: Prints) -> list[tuple[int, int]]:
    return list(zip(run.first.tolist(), run.rest.tolist(), strict=True))


@given(PAIRS)
def test_of_equal_ones_the_first_is_kept(pairs: list[tuple[int, int]]) -> None:
    """In the order in which they were found; and what is kept is a run."""
    kept = distinct(prints(pairs), np.arange(len(pairs)))
    assert [pairs[place] for place in kept] == sorted(set(pairs))
    assert kept.tolist() == [pairs.index(pair) for pair in sorted(set(pairs))]


@given(PAIRS, PAIRS, st.integers(1, 7))
def test_absent_is_what_a_set_has_not(some: list[tuple[int, int]], seen: list[tuple[int, int]], block: int) -> None:
    """However the run is cut into blocks, also in the midst of first words that are the same."""
    candidates, run = sorted(set(some)), sorted(set(seen))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BLOCK", block)
        found = absent(prints(candidates), prints(run))
    assert [pair for pair, missing in zip(candidates, found, strict=True) if missing] == sorted(set(some) - set(seen))


@given(PAIRS, PAIRS)
def test_two_runs_become_one(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    """Sorted, with all of both."""
    one, other = sorted(set(some)), sorted(set(others) - set(some))
    assert pairs_of(merged(prints(one), prints(other))) == sorted({*one, *other})


def test_nothing_put_together_is_nothing() -> None:
    """A level may have no candidates for an owner."""
    assert len(together([])) == 0
