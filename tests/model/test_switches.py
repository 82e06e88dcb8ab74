"""Bounded context switches: what is found with how few of them, and by how few steps."""

from __future__ import annotations

import heapq
from itertools import pairwise
from pathlib import Path

import pytest

from by_hand import by_hand
from pinhold.cli import main
from pinhold.explore.history import bad_world, good_world
from pinhold.explore.moving import ByPython
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, maker_for
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.switches import SwitchSearch
from pinhold.explore.world import World

FOUND = {"fork-races-gup-fast": 2, "fork-loses-pin": 1, "dirty-cow": 2}
"""Of each defect the fewest changes from one task to another that it takes."""


def bounded(made: World, most: int) -> SearchResult:
    return SwitchSearch(ByPython(Stepper(made)), most, len(made.actions)).run()


def fewest(made: World) -> tuple[int, int]:
    """Switches and steps of the best way to a bad state, after Dijkstra."""
    stepper = Stepper(made)
    waiting = [(0, 0, 0, stepper.first(), -1)]
    seen = set()
    while waiting:
        switches, steps, _, state, last = heapq.heappop(waiting)
        if (state, last) in seen:
            continue
        seen.add((state, last))
        if stepper.wrong(state):
            return switches, steps
        for via, after in list(stepper.successors(state)):
            more = switches + (last not in (-1, via.task))
            heapq.heappush(waiting, (more, steps + 1, len(seen), after, int(via.task)))
    return -1, -1


@pytest.mark.parametrize("name", FOUND)
def test_a_defect_is_found_with_the_fewest_switches_and_of_these_by_the_fewest_steps(name: str) -> None:
    """As many as the plainest look says; with one less it is not reachable, and the search says that it ended there."""
    made = bad_world(library()[name])
    result = bounded(made, 9)
    changes = sum(one.task != other.task for one, other in pairwise(result.path))
    assert (changes, len(result.path)) == fewest(made)
    assert changes == FOUND[name]
    less = bounded(made, changes - 1)
    assert less.violation is None
    assert less.limit.startswith("no more than")
    assert bounded(made, changes).path == result.path


def test_with_switches_enough_it_is_the_whole_space() -> None:
    """As many states as the exhaustive search, and exhausted; with none there are fewer."""
    made = good_world(library()["fork-loses-pin"])
    whole = bounded(made, 50)
    assert whole.exhausted
    assert whole.states == sum(whole.levels) == search(Stepper(made)).states
    assert bounded(made, 0).states < whole.states


@pytest.mark.parametrize("rules", [bad_world, good_world])
def test_machine_code_comes_to_the_same(rules: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many states by steps, as many transitions, the same way."""
    pytest.importorskip("numba")
    assert callable(rules)
    made = rules(library()["dirty-cow"])
    expected = bounded(made, 3)
    by_hand(monkeypatch, made, tmp_path)
    found = SwitchSearch(maker_for(made, Options("compiled")), 3, len(made.actions)).run()
    assert numbers(found) == numbers(expected)


def numbers(result: SearchResult) -> tuple[object, ...]:
    told = (result.levels, result.transitions, result.violation, result.path, result.uses, result.sites)
    return (*told, result.limit)


def test_the_command_says_how_many_switches_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, and 2 where more would be needed, and 0 where no more are possible."""
    race = ["explore", "fork-races-gup-fast", "--without", "write_protect_seq"]
    assert main([*race, "--switches", "3"]) == 1
    assert "15 steps from the start, with 2 context switches" in " ".join(capsys.readouterr().out.split())
    assert main([*race, "--switches", "1"]) == 2
    assert "Not exhausted: no more than 1 switch between tasks." in capsys.readouterr().out
    assert main(["explore", "fork-loses-pin", "--switches", "50"]) == 0
    assert main(["explore", "fork-loses-pin", "--switches", "x"]) == 3
    assert main(["explore", "fork-loses-pin", "--switches", "1", "--livelock"]) == 3
    assert "one question at a time" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_what_numba_makes_comes_to_the_same() -> None:
    """Found with two switches, not with one; and the whole space by livelock's moves."""
    pytest.importorskip("numba")
    made = bad_world(library()["fork-races-gup-fast"])
    for most in (1, 2):
        found = SwitchSearch(maker_for(made, Options("compiled")), most, len(made.actions)).run()
        assert numbers(found) == numbers(bounded(made, most))
