"""Several threads find what one finds: the same states in the same order, whichever thread is first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from by_hand import by_hand
from pinhold.explore import compiled_search, frontier, threads
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.result import SearchResult
from pinhold.explore.scope import library
from pinhold.explore.world import World, world
from pinhold.mm import releases

SMALL = ("dirty-cow", "swap-loses-pin")
"""Scopes of which Python goes through all in a second or two; the first bad level of the one has two bad states."""


class Backwards(Executor):
    """Whoever waits for anything has everything done that was submitted, the last first."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        done: Future[Any] = Future()
        self.submitted.append((done, lambda: function(*arguments)))
        return done

    def wait(self, futures: Iterable[Future[Any]], **how: Any) -> Any:
        """In the place of concurrent.futures.wait()."""
        while self.submitted:
            done, work = self.submitted.pop()
            if done.set_running_or_notify_cancel():
                done.set_result(work())
        return wait(futures, **how)


def ready(name: str, rules: str) -> World:
    """rules: "good" or "bad"."""
    scope = library()[name]
    row = releases.row(scope.rules)
    bad = scope.without or {"write_protect_seq": "no"}
    return world(scope, row if rules == "good" else releases.switched(row, bad))


def found(search: CompiledSearch) -> tuple[object, ...]:
    """All that a search tells, and of each state how it was reached and in which place."""
    r: SearchResult = search.run()
    told = r.levels, r.transitions, r.violation, r.path, r.uses, r.sites, r.limit
    return (*told, [(level.parents.tobytes(), level.vias.tobytes()) for level in search.levels])


@pytest.mark.parametrize("rules", ["good", "bad"])
@pytest.mark.parametrize("name", SMALL)
def test_the_order_in_which_threads_end_changes_nothing(
    name: str, rules: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each stretch of few states, all expanded before the first is taken over and backwards, or as a pool of three
    threads does them: every state has the place, the parent and the way that it has with one thread."""
    made = ready(name, rules)
    by_hand(monkeypatch, made, tmp_path)
    one = found(CompiledSearch(made))
    monkeypatch.setattr(compiled_search, "WORTH_IT", 2)
    monkeypatch.setattr(threads, "COST", 1)
    monkeypatch.setattr(frontier, "PLAIN", 10_000)
    backwards = CompiledSearch(made, jobs=3)
    backwards.pool = pool = Backwards()
    with monkeypatch.context() as waiting:
        waiting.setattr(threads, "wait", pool.wait)
        assert found(backwards) == one
    assert found(CompiledSearch(made, jobs=3)) == one


LARGER = ("thp-pin", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("two-buffers-file", "numa-pin")))


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
@pytest.mark.parametrize("rules", ["good", "bad"])
@pytest.mark.parametrize("name", LARGER)
def test_two_threads_find_what_one_finds(name: str, rules: str) -> None:
    """Compiled, levels of many stretches, under good rules and those of 5.10: the same states in the same places."""
    scope = library()[name]
    made = world(scope, releases.row(scope.rules if rules == "good" else "5.10"))
    assert found(CompiledSearch(made, jobs=2)) == found(CompiledSearch(made))
