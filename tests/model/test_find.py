"""The shortest way to a decision or to a property's violation, and scopes that never decide what they are there for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("numba")

from by_hand import by_hand
from naive import machine, successors
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.find import goals, unreached
from pinhold.explore.history import good_world
from pinhold.explore.moves import move
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, explore
from pinhold.explore.scope import SITE_NUMBERS, library
from pinhold.explore.search import Stepper, search
from pinhold.explore.shortest import state_at
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.invariants import INVARIANTS
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE, PROPERTIES
from pinhold.mm.sites import SITES

INTERPRETED = Options("interpreted")

NEAR_AND_FAR = [
    ("seed-shmem", "must_unshare_cow_mapping"),
    ("swap-loses-pin", "swapin_shared"),
]


def ready(name: str, **switches: str) -> World:
    scope = library()[name]
    return world(scope, releases.switched(releases.row(scope.rules), switches))


def find(made: World, name: str, options: Options = INTERPRETED) -> SearchResult:
    return explore(made, goals()[name].options(options))


def numbers(result: SearchResult) -> tuple[object, ...]:
    return (result.levels, result.transitions, result.violation, result.path, result.uses, result.sites)


def naive_depth(made: World, site: int) -> int:
    """How many steps it takes to pass the site, by a set of states and nothing else."""
    level, known, depth = {made.machine.saved()}, set[bytes](), 1
    while level:
        known |= level
        after: set[bytes] = set()
        for state in level:
            for numbers, task in moves(made, state):
                chance, chances = 0, 1
                while chance < chances:
                    m = machine(made, state)
                    m.choice[0], m.choices[0] = chance, 1
                    if move(m, task, *numbers):
                        chances = m.choices[0]
                        if site in m.trace.sites:
                            return depth
                    chance += 1
            after.update(successors(made, state))
        level, depth = after - known, depth + 1
    return -1


def moves(made: World, state: bytes) -> list[tuple[tuple[int, ...], int]]:
    busy = machine(made, state).task_depth
    return [
        (numbers, task)
        for task, menu in enumerate(made.menu)
        for numbers in ([(0,) * 7] if busy[task] else [made.actions[action].numbers for action in menu])
    ]


@pytest.mark.parametrize(("scope", "name"), NEAR_AND_FAR)
def test_the_way_is_the_shortest_and_its_last_step_decides(scope: str, name: str) -> None:
    """As long as the plainest search says; walked again, the decision is passed by the last step and by none before."""
    made = ready(scope)
    result = find(made, name)
    assert result.violation is not None and result.violation.site == SITE_NUMBERS[name]
    assert len(result.path) == naive_depth(made, SITE_NUMBERS[name])
    stepper = Stepper(made, site=SITE_NUMBERS[name])
    for length, via in enumerate(result.path):
        state = state_at(stepper, result.path[:length])
        passes = next(stepper.passed() for v, _ in stepper.successors(state) if v == via)
        assert passes == (length == len(result.path) - 1)


@pytest.mark.parametrize(
    ("scope", "name", "jobs"), [("seed-shmem", "must_unshare_cow_mapping", 1), ("swap-loses-pin", "swapin_shared", 2)]
)
def test_compiled_finds_what_interpreted_does(
    scope: str, name: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same step of the same state, and as many states and transitions up to it, with any number of threads."""
    made = ready(scope)
    monkeypatch.setattr("pinhold.explore.compiled_search.WORTH_IT", 1)
    by_hand(monkeypatch, made, tmp_path)
    site = SITE_NUMBERS[name]
    expected = search(Stepper(made, properties=0, invariants=False, stuck=False, site=site))
    found = CompiledSearch(made, properties=0, invariants=False, stuck=False, site=site, jobs=jobs).run()
    assert numbers(found) == numbers(expected)


def test_a_property_is_looked_for_by_its_name() -> None:
    """Under 6.1 as soon as the search for anything bad finds it; under 6.2 the space is exhausted without it."""
    scope = library()["seed-shmem"]
    before = world(scope, releases.row("6.1"))
    result = find(before, "longterm_pin_reliable")
    assert result.violation is not None and result.violation.properties == LONGTERM_PIN_RELIABLE
    assert len(result.path) == len(explore(before, INTERPRETED).path)
    assert find(world(scope, releases.row("6.2")), "longterm_pin_reliable").exhausted


def test_another_property_does_not_end_the_search() -> None:
    """Where a pin goes stale, the zero page stays zero in every state."""
    result = find(ready("seed-zero", gup_unshares="anon"), "zero_page_stays_zero")
    assert result.exhausted


def test_names_mean_one_thing_each() -> None:
    """Every decision, property and invariant has a name, and no two have the same."""
    assert len(goals()) == len(SITES) + len(PROPERTIES) + len(INVARIANTS)


def test_a_scope_of_the_library_comes_to_what_it_is_there_for() -> None:
    """Small ones: exhausted, each decision of `reach` is taken; one that there is no way to is not."""
    for scope in library().values():
        if scope.reach and scope.states < 200:
            good = good_world(scope)
            result = explore(good, INTERPRETED)
            assert result.exhausted and unreached(good, result) == ()
    vain = replace(library()["seed-shmem"], reach=("fast_fork_seen", "must_unshare_cow_mapping"))
    made = world(vain, releases.row("6.2"))
    assert unreached(made, explore(made, INTERPRETED)) == ("fast_fork_seen",)


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_machine_code_finds_the_same() -> None:
    """What numba makes of the search passes the decision by the same step."""
    made = ready("fork-pin")
    site = SITE_NUMBERS["fast_fork_seen"]
    found = CompiledSearch(made, properties=0, invariants=False, stuck=False, site=site).run()
    assert numbers(found) == numbers(search(Stepper(made, properties=0, invariants=False, stuck=False, site=site)))
