"""A search whose truth lies in files finds what one in memory finds, whoever does its tasks, how often and when."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("numba")

from by_hand import by_hand
from pinhold.explore.budget import Budget
from pinhold.explore.checkpoint import Unusable
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.external import plan
from pinhold.explore.external.search import ExternalSearch, Threads, alone, odds, owners_for, piece_for
from pinhold.explore.external.tasks import Expander
from pinhold.explore.result import SearchResult
from pinhold.explore.scope import library, scope_of
from pinhold.explore.world import World, world
from pinhold.mm import releases

SMALL = ("dirty-cow", "swap-loses-pin")
"""Scopes of which Python goes through all in a second or two; the first bad level of the one has two bad states."""


class Shuffled:
    """Does tasks in any order, each of them twice."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def __len__(self) -> int:
        return 1

    def each(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        calls = list(calls)
        self.random.shuffle(calls)
        for call in calls:
            folder = Path(call[0]) / f"{call[2]:04d}"
            before = set(folder.glob("*.json"))
            first = task(*call)
            for record in {*folder.glob("*.json")} - before:
                record.unlink()  # whoever did it was lost before anybody knew
            assert task(*call) == first
            yield first


class Dies:
    """Does so many tasks, and then no more."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks

    def __len__(self) -> int:
        return 1

    def each(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        for call in calls:
            if not self.tasks:
                raise KeyboardInterrupt
            self.tasks -= 1
            yield task(*call)


def ready(name: str, rules: str) -> World:
    """rules: "good" or "bad"."""
    scope = library()[name]
    row = releases.row(scope.rules)
    bad = scope.without or {"write_protect_seq": "no"}
    return world(scope, row if rules == "good" else releases.switched(row, bad))


def told(result: SearchResult) -> tuple[object, ...]:
    r = result
    return r.states, r.transitions, r.levels, r.violation, r.path, r.uses, r.sites, r.limit


@pytest.mark.parametrize("rules", ["good", "bad"])
@pytest.mark.parametrize("name", SMALL)
def test_the_answer_is_that_of_a_search_in_memory(
    name: str, rules: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Counts, sites and the counterexample, with any number of pieces and owners; and no file is left."""
    made = ready(name, rules)
    by_hand(monkeypatch, made, tmp_path)
    expected = told(CompiledSearch(made).run())
    for piece, owners in ((1, 4), (20, 1), (1000, 16)):
        directory = tmp_path / f"{piece}"
        assert told(ExternalSearch(CompiledSearch(made), directory, Threads(1), piece, owners).run()) == expected
        assert [path.name for path in directory.iterdir()] == ["lock"]


def test_tasks_done_twice_and_in_any_order_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As when workers are lost with what they had not told yet."""
    made = ready("dirty-cow", "bad")
    by_hand(monkeypatch, made, tmp_path)
    expected = told(CompiledSearch(made).run())
    assert told(ExternalSearch(CompiledSearch(made), tmp_path / "search", Shuffled(1), 3, 4).run()) == expected


def test_what_ends_in_the_midst_of_a_level_goes_on_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The directory is the checkpoint: ended again and again, the search expands each piece once."""
    made = ready("dirty-cow", "good")
    by_hand(monkeypatch, made, tmp_path)
    expected = told(CompiledSearch(made).run())
    expanded = []

    def counted(worker: Expander, states: Any) -> Any:
        expanded.append(len(states))
        return expand(worker, states)

    expand = Expander.expand
    monkeypatch.setattr(Expander, "expand", counted)
    for tasks in (3, 10, 7, 0):
        with pytest.raises(KeyboardInterrupt):
            ExternalSearch(CompiledSearch(made), tmp_path / "search", Dies(tasks), 5, 4).run()
    assert told(ExternalSearch(CompiledSearch(made), tmp_path / "search", Threads(1), 5, 4).run()) == expected
    assert sum(expanded) == expected[0]


def test_a_limit_leaves_the_search_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A depth, and then none: the second search begins where the first ended."""
    made = ready("dirty-cow", "good")
    by_hand(monkeypatch, made, tmp_path)
    expected = told(CompiledSearch(made).run())
    first = ExternalSearch(CompiledSearch(made), tmp_path / "search", Threads(1), 5).run(Budget(depth=6))
    assert (first.limit, first.depth) == ("the depth of 6 is reached", 6)
    assert first.levels == CompiledSearch(made).run(Budget(depth=6)).levels
    assert (tmp_path / "search" / "level-0006.json").exists()
    assert told(ExternalSearch(CompiledSearch(made), tmp_path / "search", Threads(1), 5).run()) == expected


def test_a_directory_of_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another search, somebody's files, a damaged record, a search that is going on: a sentence each, nothing lost."""
    made = ready("dirty-cow", "good")
    by_hand(monkeypatch, made, tmp_path)
    other = tmp_path / "other"
    ExternalSearch(CompiledSearch(made, symmetric=False), other, Threads(1)).run(Budget(depth=2))
    before = sorted(other.rglob("*"))
    with pytest.raises(Unusable, match="another scope, other rules or other sources"):
        ExternalSearch(CompiledSearch(made), other, Threads(1)).run()
    with alone(other), pytest.raises(Unusable, match="another search is going on there"):
        ExternalSearch(CompiledSearch(made, symmetric=False), other, Threads(1)).run()
    assert sorted(other.rglob("*")) == before
    (other / plan.FILE).write_text(json.dumps({"key": 1}))
    with pytest.raises(Unusable, match="no search was put there"):
        ExternalSearch(CompiledSearch(made), other, Threads(1)).run()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").touch()
    with pytest.raises(Unusable, match="an empty directory"):
        ExternalSearch(CompiledSearch(made), mine, Threads(1)).run()
    assert [path.name for path in mine.iterdir() if path.name != "lock"] == ["thesis.tex"]


@pytest.mark.parametrize("name", library())
def test_a_scope_is_read_back_as_it_was_written(name: str) -> None:
    """What is written of a scope for whoever takes on a task is all of it."""
    scope = library()[name]
    assert scope_of(name, json.loads(json.dumps(plan.table_of(scope)))) == scope


def test_the_odds_grow_with_the_square_of_the_states() -> None:
    """And what is told apart by 64 bits in one go, not by 96, counts too: it is most of it up to a billion states."""
    assert odds(1, 1) < 1e-14
    assert 1e-6 < odds(2 * 10**8, 10**9) < 1e-5
    assert odds(10**14, 10**14) > 0.05


def test_more_hands_have_more_to_merge() -> None:
    """A power of two, as fingerprints are shared out by their bits."""
    assert [owners_for(hands) for hands in (1, 16, 17, 100)] == [16, 16, 32, 128]


def test_less_memory_makes_smaller_pieces() -> None:
    """Within bounds: a task has a cost of its own."""
    assert piece_for(0, 2) > piece_for(256 << 20, 2) > piece_for(64 << 20, 2) == piece_for(32 << 20, 1)
    assert piece_for(1, 1) > 1000
