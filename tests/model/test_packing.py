"""States packed into blocks come out as they went in, whatever they are."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("numba")

import numpy as np

from by_hand import loop_by_hand
from pinhold.explore import block, packing
from pinhold.explore.budget import Budget
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.packing import Packing, blocks_of, states_in
from pinhold.explore.scope import library
from pinhold.explore.world import world
from pinhold.mm import releases

WORDS = 7


def by_hand(monkeypatch: pytest.MonkeyPatch) -> Packing:
    """With room for few values in a block."""
    monkeypatch.setattr(block, "STATE_WORDS", WORDS)
    monkeypatch.setattr(block, "SLOTS", 128)
    monkeypatch.setattr(block, "MOST_VALUES", 64)
    monkeypatch.setattr(packing, "BLOCK", 100)
    return Packing(loop_by_hand(monkeypatch), WORDS)


def states(random: Random, count: int, values: int) -> np.ndarray[Any, Any]:
    """Of each word no more than that many values, of all 64 bits; the second word is always the same."""
    some = [[random.randrange(-(1 << 63), 1 << 63) for _ in range(random.randint(1, values))] for _ in range(WORDS)]
    some[1] = some[1][:1]
    return np.array([[random.choice(word) for word in some] for _ in range(count)], np.int64).reshape(count, WORDS)


@pytest.mark.parametrize("values", [1, 2, 3, 9, 200])
@pytest.mark.parametrize("count", [0, 1, 2, 33, 99, 100, 101, 250])
def test_what_is_packed_comes_out_as_it_was(values: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few values and many, more than a block has room for among them: the same states in the same order, and a block
    ends where its room for values does."""
    made = by_hand(monkeypatch)
    before = states(Random(f"{values} {count}"), count, values)
    packed = made.pack(before)
    assert states_in(packed) == count
    assert np.array_equal(made.unpack(packed), before)
    sizes = [states_in(piece) for piece in blocks_of(packed)]
    assert sum(sizes) == count
    assert all(size <= 100 for size in sizes)
    if values == 200 and count == 250:
        assert max(sizes) < 64
    if values == 1 and count == 100:
        assert len(packed) < 2 * WORDS + block.FIRST_STATE // 8


def test_states_may_lie_anyhow_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backwards, every second one, in columns, and of a narrower type."""
    made = by_hand(monkeypatch)
    before = states(Random(1), 40, 9)
    for lying in (before[::-1], before[::2], np.asfortranarray(before), (before >> 40).astype(np.int32)):
        packed = made.pack(lying)
        assert np.array_equal(made.unpack(packed), lying)
        assert np.array_equal(made.unpack(np.repeat(packed, 2)[::2]), lying)


def test_a_word_has_its_own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """One value in several words, and in none of a state but the first, is told apart by where it stands."""
    made = by_hand(monkeypatch)
    before = np.zeros((WORDS + 1, WORDS), np.int64)
    for word in range(WORDS):
        before[word + 1, word] = 5
        before[0, word] = word
    assert np.array_equal(made.unpack(made.pack(before)), before)


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_a_state_takes_a_tenth_when_it_is_packed(tmp_path: Path) -> None:
    """Compiled, of a scope's largest level; every state comes out as it was."""
    scope = library()["bench-fork"]
    search = CompiledSearch(world(scope, releases.row(scope.rules)))
    result = search.run(Budget(depth=30), checkpoint=tmp_path / "search")
    with np.load(tmp_path / "search") as saved:
        packed = saved["frontier"]
    frontier = search.packing.unpack(packed)
    assert states_in(packed) == len(frontier) == result.levels[-1] > 1000
    assert len(np.unique(search.fingerprints(frontier))) == len(frontier)
    assert np.array_equal(search.packing.unpack(search.packing.pack(frontier[::-1])), frontier[::-1])
    assert packed.nbytes < frontier.nbytes / 10
