"""The compiled search goes through the same states in the same order as the interpreted one."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from pinhold.explore.budget import Budget, Progress
from pinhold.explore.checkpoint import Unusable
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.result import SearchResult
from pinhold.explore.scope import Scope, library
from pinhold.explore.search import Stepper, search
from pinhold.explore.world import World, world
from pinhold.mm import releases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compiled")]

SCOPES = ("fork-pin", "huge-dirty-cow", "swap-races-pin", "seed-hugetlb", "two-buffers")
"""Together they have every kind of memory, and leave out each other's; and one has a pool of pins."""

SOME = {
    ("fork-pin", "good", False),
    ("huge-dirty-cow", "bad", False),
    ("two-buffers", "good", True),
}
"""What the slow suite compiles: each kind of rules, and both kinds of search.  An image takes a minute, and all others
are the nightly's."""
LARGER = ("thp-pin",)
"""What the slow suite exhausts of the scopes of millions of steps; the nightly exhausts all."""


def nightly(*what: object, unless: bool) -> ParameterSet:
    return pytest.param(*what, marks=() if unless else pytest.mark.nightly)


def numbers(result: SearchResult) -> tuple[object, ...]:
    return (result.levels, result.transitions, result.violation, result.path, result.uses, result.sites)


def ready(name: str, rules: str) -> World:
    """rules: "good" or "bad"."""
    scope = library()[name]
    row = releases.row(scope.rules)
    return world(
        scope, row if rules == "good" else releases.switched(row, scope.without or {"write_protect_seq": "no"})
    )


@pytest.mark.parametrize(
    ("name", "rules", "symmetric"),
    [nightly(*each, unless=each in SOME) for each in product(SCOPES, ("good", "bad"), (True, False))],
)
def test_compiled_and_interpreted_agree(name: str, rules: str, symmetric: bool) -> None:
    """Level by level as many states, as many transitions, the same violation by the same way, the same decisions, with
    symmetry and without, with good rules and with bad ones."""
    made = ready(name, rules)
    compiled = CompiledSearch(made, symmetric=symmetric).run()
    assert numbers(compiled) == numbers(search(Stepper(made, symmetric=symmetric)))


@pytest.mark.parametrize(
    "name",
    [nightly(name, unless=name in LARGER) for name, scope in library().items() if scope.size == "medium"],
)
def test_larger_scopes_are_exhausted(name: str) -> None:
    """With their known numbers, and nothing bad; 5.10 has defects there, of which the same image finds one."""
    scope = library()[name]
    result = CompiledSearch(world(scope, releases.row(scope.rules))).run()
    assert result.exhausted
    assert (result.states, result.transitions, result.depth) == (scope.states, scope.transitions, scope.depth)
    assert all(result.uses)
    assert CompiledSearch(world(scope, releases.row("5.10"))).run().violation is not None


def test_a_step_with_more_outcomes_than_foreseen_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner loop has room for as many as the scope says, and stops before it stores one more."""
    ready = world(library()["fork-pin"], releases.row("6.2"))
    monkeypatch.setattr(Scope, "outcomes", property(lambda self: 1))
    with pytest.raises(AssertionError, match="more than the 1 foreseen"):
        CompiledSearch(ready).run()


def test_a_fingerprint_tells_the_words_of_a_state_apart() -> None:
    """Two words exchanged, or one bit changed anywhere, is another fingerprint."""
    search_ = CompiledSearch(world(library()["fork-pin"], releases.row("6.2")))
    words = search_.words
    state = np.arange(1, words + 1, dtype=np.int64) * 4097
    others = [state]
    for i in range(words):
        for j in range(i):
            others.append(state.copy())
            others[-1][[i, j]] = state[[j, i]]
        for bit in range(64):
            others.append(state.copy())
            others[-1].view(np.uint64)[i] ^= np.uint64(1) << np.uint64(bit)
    found = search_.fingerprints(np.ascontiguousarray(others))
    assert len(np.unique(found)) == len(others) == 1 + words * (words - 1) // 2 + 64 * words


def test_a_search_that_was_put_aside_comes_to_the_same(tmp_path: Path) -> None:
    """Ended by a limit twice and gone on with: the numbers of a search in one go; another scope's is refused."""
    ready = world(library()["fork-pin"], releases.row("6.2"))
    file = tmp_path / "search"
    whole = CompiledSearch(ready).run()
    for depth in (10, 25):
        part = CompiledSearch(ready).run(Budget(depth=depth), checkpoint=file)
        assert part.limit
        assert part.levels == whole.levels[: depth + 1]
    assert numbers(CompiledSearch(ready).run(checkpoint=file)) == numbers(whole)
    assert [entry.name for entry in tmp_path.iterdir()] == ["search"]
    with pytest.raises(Unusable, match="another search"):
        CompiledSearch(ready, symmetric=False).run(checkpoint=file)


def test_a_search_ended_in_the_middle_of_a_level_goes_on_from_its_start(tmp_path: Path) -> None:
    """What a level had begun to find is found again."""
    ready = world(library()["fork-pin"], releases.row("6.2"))
    file = tmp_path / "search"
    whole = CompiledSearch(ready, symmetric=False).run()
    looks = 0

    def end_soon(progress: Progress) -> None:
        nonlocal looks
        looks += 1

    part = CompiledSearch(ready, symmetric=False).run(Budget(bytes=8 << 20), end_soon, file)
    assert looks
    assert "memory" in part.limit
    assert numbers(CompiledSearch(ready, symmetric=False).run(checkpoint=file)) == numbers(whole)
