"""Random walks: the same for a seed, whoever makes them; what they find is made short, what they see is estimated."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest

from by_hand import by_hand
from pinhold.cli import main
from pinhold.explore import walk as walk_module
from pinhold.explore.history import bad_world, good_world
from pinhold.explore.lots import SKETCH, rank_of, started, turned
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, walker_for
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.shorten import end, shortened, walked, without_detours
from pinhold.explore.walk import ByPython, Plan, seen, walk

PLAN = Plan(seed=3, walks=40, steps=60)


def numbers(result: SearchResult) -> tuple[object, ...]:
    return (result.transitions, result.violation, result.path, result.uses, result.sites)


def walks(name: str, plan: Plan = PLAN) -> SearchResult:
    stepper = Stepper(bad_world(library()[name]))
    return walk(ByPython(stepper), stepper, plan)[0]


def test_the_same_seed_makes_the_same_walks() -> None:
    """And another makes others."""
    one, again = walks("seed-zero"), walks("seed-zero")
    assert numbers(one) == numbers(again) and one.states == again.states
    assert numbers(walks("seed-zero", replace(PLAN, seed=4))) != numbers(one)


def test_random_numbers_are_of_32_bits_and_neighbouring_walks_have_others() -> None:
    """Never 0, from which there is no way on."""
    first = {started(seed, number) for seed in range(30) for number in range(30)}
    assert len(first) == 900
    assert all(0 < x < 2**32 and 0 < turned(x) < 2**32 for x in first)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("name", "rules"), [("dirty-cow", bad_world), ("dirty-cow", good_world)])
def test_machine_code_walks_the_same_ways(
    jobs: int, name: str, rules: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many steps, the same operations begun, the same decisions, the same violation: with any number of threads,
    though a block behind the one that found something was made as well."""
    pytest.importorskip("numba")
    assert callable(rules)
    made = rules(library()[name])
    monkeypatch.setattr(walk_module, "BLOCK", 2)
    plan = Plan(seed=1, walks=8, steps=25)
    stepper = Stepper(made)
    expected, _ = walk(ByPython(stepper), stepper, plan)
    by_hand(monkeypatch, made, tmp_path)
    found, _ = walk(walker_for(made, Options("compiled", jobs=jobs), stepper), Stepper(made), plan)
    assert numbers(found) == numbers(expected)


@pytest.mark.parametrize("name", ["seed-zero", "fork-races-gup-fast"])
def test_what_was_found_is_the_shortest_way(name: str) -> None:
    """As short as the exhaustive search finds it, and known to be so for its operations."""
    stepper = Stepper(bad_world(library()[name]))
    result, short = walk(ByPython(stepper), stepper, Plan(walks=400))
    assert short is not None and short.proven
    assert len(result.path) == library()[name].steps
    assert end(stepper, result.path) == result.violation


def test_leaving_out_keeps_only_what_is_needed() -> None:
    """A long way to something bad still leads there, and no single step of what is left can go."""
    stepper = Stepper(bad_world(library()["seed-zero"]))
    block = ByPython(stepper).block(Plan(walks=400), 0, 400)
    left = without_detours(stepper, block.path)
    assert len(left) <= len(block.path)
    assert walked(stepper, left) == left
    for i in range(len(left)):
        rest = walked(stepper, left[:i] + left[i + 1 :])
        assert rest is None or len(rest) >= len(left)


def test_where_memory_ends_the_search_near_a_way_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way is still one, and said to be perhaps not the shortest."""
    stepper = Stepper(bad_world(library()["fork-races-gup-fast"]))
    long = search(stepper).path
    monkeypatch.setattr("pinhold.explore.shorten.NEAR", 1000)
    short = shortened(stepper, long)
    assert not short.proven
    assert end(stepper, short.path) == short.violation


@pytest.mark.parametrize("states", [100, 5_000, 100_000])
def test_states_are_estimated(states: int) -> None:
    """To some percent, of few and of many, however often each is met."""
    sketch = bytearray(SKETCH)
    for number in [*range(states), *range(0, states, 3)]:
        h = int.from_bytes(blake2b(str(number).encode(), digest_size=8).digest())
        sketch[h & (SKETCH - 1)] = max(sketch[h & (SKETCH - 1)], rank_of(h))
    assert abs(seen(bytes(sketch)) - states) < 0.04 * states


def test_the_command_tells_what_walks_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 with a short way; 2 where nothing was met, as that says nothing of what was not walked."""
    assert main(["explore", "seed-zero", "--walk", "400", "--rules", "6.1"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "10 steps from the start; no way of these operations is shorter." in out
    assert "steps of walks with seed 1" in out
    assert main(["explore", "seed-zero", "--walk", "300", "--depth", "20", "--seed", "7"]) == 2
    out = " ".join(capsys.readouterr().out.split())
    assert "Not exhausted: 300 random walks of 20 steps were made, of which the last 44 saw " in out
    assert "Decisions passed: " in out
    assert main(["explore", "seed-zero", "--seed", "7"]) == 3
    assert "--seed is of --walk" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_what_numba_makes_walks_the_same_ways() -> None:
    """By one thread or two; about as many states are seen, by other fingerprints."""
    pytest.importorskip("numba")
    made = bad_world(library()["fork-races-gup-fast"])
    plan = Plan(walks=600, steps=200)
    expected, _ = walk(ByPython(Stepper(made)), Stepper(made), plan)
    for jobs in (1, 2):
        stepper = Stepper(made)
        found, _ = walk(walker_for(made, Options("compiled", jobs=jobs), stepper), stepper, plan)
        assert numbers(found) == numbers(expected)
        assert abs(found.states - expected.states) < 0.05 * expected.states
