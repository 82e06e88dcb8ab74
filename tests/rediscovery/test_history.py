"""Historic defects: found again with the rule that has them, by the shortest way; not so with the rules mended."""

from __future__ import annotations

import pytest

from pinhold.explore.history import bad_world, defects, good_world
from pinhold.explore.replay import Replay
from pinhold.explore.run import Options, explore
from pinhold.explore.scope import Scope, library
from pinhold.explore.search import Stepper, search
from pinhold.explore.story import scenario, sequential
from pinhold.mm import releases
from pinhold.mm.properties import (
    CACHE_UNTOUCHED_BY_PRIVATE,
    FILE_WRITES_TOLD,
    LONGTERM_PIN_RELIABLE,
    PRIVATE_WRITES_UNSEEN,
    PROPERTIES,
    ZERO_PAGE_STAYS_ZERO,
)
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

INTERPRETED = Options("interpreted")

FOUND = {
    "dirty-cow": (11, CACHE_UNTOUCHED_BY_PRIVATE),
    "huge-dirty-cow": (13, ZERO_PAGE_STAYS_ZERO),
    "vmsplice-leak": (10, PRIVATE_WRITES_UNSEEN),
    "vmsplice-leak-thp": (10, PRIVATE_WRITES_UNSEEN),
    "vmsplice-leak-hugetlb": (10, PRIVATE_WRITES_UNSEEN),
    "thp-split-races-reuse": (4, PRIVATE_WRITES_UNSEEN),
    "fork-loses-pin": (12, LONGTERM_PIN_RELIABLE),
    "fork-loses-hugetlb-pin": (11, LONGTERM_PIN_RELIABLE),
    "fork-races-gup-fast": (15, LONGTERM_PIN_RELIABLE),
    "mprotect-loses-pin": (10, LONGTERM_PIN_RELIABLE),
    "soft-dirty-loses-pin": (9, LONGTERM_PIN_RELIABLE),
    "swap-loses-pin": (20, LONGTERM_PIN_RELIABLE),
    "swap-races-pin": (16, LONGTERM_PIN_RELIABLE),
    "shmem-cow": (9, CACHE_UNTOUCHED_BY_PRIVATE),
    "seed-zero": (10, LONGTERM_PIN_RELIABLE),
    "seed-shmem": (10, LONGTERM_PIN_RELIABLE),
    "seed-file": (10, LONGTERM_PIN_RELIABLE),
    "seed-hugezero": (8, LONGTERM_PIN_RELIABLE),
    "seed-hugetlb": (7, LONGTERM_PIN_RELIABLE),
    "seed-hugetlb-alone": (9, LONGTERM_PIN_RELIABLE),
    "ksm-loses-pin": (11, LONGTERM_PIN_RELIABLE),
    "device-writes-behind-file": (8, FILE_WRITES_TOLD),
    "numa-loses-pin": (14, LONGTERM_PIN_RELIABLE),
    "lazyfree-batch": (13, PRIVATE_WRITES_UNSEEN),
}
"""Of each defect the length of the shortest way to it, and what it violates."""

RACES = {
    "dirty-cow",
    "huge-dirty-cow",
    "thp-split-races-reuse",
    "fork-races-gup-fast",
    "swap-races-pin",
    "shmem-cow",
    "seed-hugetlb",
}


def by_name(scope: Scope) -> str:
    return scope.name


def test_every_defect_has_its_numbers() -> None:
    """No defect of the library is left out here."""
    assert {scope.name for scope in defects()} == set(FOUND)


@pytest.mark.parametrize("scope", defects(), ids=by_name)
def test_the_defect_is_found_by_its_shortest_way(scope: Scope) -> None:
    """With the switch, the violation comes after exactly so many steps, and the way can be walked again."""
    world = bad_world(scope)
    result = explore(world, INTERPRETED)
    steps, properties = FOUND[scope.name]
    assert result.violation is not None
    assert (len(result.path), result.violation.properties) == (steps, properties)
    assert scope.steps == steps
    moments = list(Replay(world, result.path).moments())
    assert len(moments) == steps
    assert sequential(moments) == (scope.name not in RACES)


@pytest.mark.parametrize("scope", defects(), ids=by_name)
def test_the_mended_rules_are_exhausted(scope: Scope) -> None:
    """Without the switch the whole space is good, has the known size, and nothing in it is vacuous."""
    result = explore(good_world(scope), INTERPRETED)
    assert result.exhausted
    assert (result.states, result.transitions, result.depth) == (scope.states, scope.transitions, scope.depth)
    assert all(result.uses)


@pytest.mark.parametrize("scope", defects(), ids=by_name)
def test_without_symmetry_the_verdicts_are_the_same(scope: Scope) -> None:
    """Telling frames apart finds the same defect as early, and exhausts the mended rules, too."""
    bad = search(Stepper(bad_world(scope), symmetric=False))
    assert bad.violation is not None
    assert len(bad.path) == FOUND[scope.name][0]
    assert search(Stepper(good_world(scope), symmetric=False)).exhausted


SEQUENTIAL = [scope for scope in defects() if scope.name not in RACES and scope.without]


@pytest.mark.parametrize("scope", SEQUENTIAL, ids=by_name)
def test_a_sequential_counterexample_shows_as_a_scenario(scope: Scope) -> None:
    """Written as a scenario, on x86-64 geometry under the same rules, what was found is violated in bytes."""
    world = bad_world(scope)
    result = explore(world, INTERPRETED)
    assert result.violation is not None
    text = scenario(world, result.path, result.violation)
    target = ModelTarget(scope.rules, switches=scope.without)
    assert run_scenario(target, parse(text)).verdict.kind == "violated"
    assert run_scenario(ModelTarget(scope.rules), parse(text)).verdict.kind == "held"


@pytest.mark.parametrize("scope", [scope for scope in defects() if scope.name in RACES], ids=by_name)
def test_a_race_is_replayed_by_its_schedule(scope: Scope) -> None:
    """Written as a scenario, the schedule violates the same property, on the model, and does no harm once mended."""
    world = bad_world(scope)
    result = explore(world, INTERPRETED)
    assert result.violation is not None
    found = parse(scenario(world, result.path, result.violation))
    assert found.small is not None
    verdict = run_scenario(ModelTarget(scope.rules, switches=scope.without), found).verdict
    assert (verdict.kind, verdict.reason) == ("violated", PROPERTIES[FOUND[scope.name][1]])
    assert run_scenario(ModelTarget(scope.rules, switches=scope.fix), found).verdict.kind == "held"


def test_the_library_says_the_numbers_of_its_scopes() -> None:
    """Every scope that comes with pinhold has a release with rules, and a size that is known."""
    for scope in library().values():
        assert releases.row(scope.rules)
        assert scope.states > 0
