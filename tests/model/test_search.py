"""Exhaustive search over the specification itself: what it finds, and that symmetry loses nothing."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from pinhold.explore.budget import Budget
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper, search
from pinhold.explore.via import WENT_ON, ActionNumber
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE

SEED = ("seed-zero", "seed-shmem")


@pytest.mark.parametrize("scope", SEED)
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_seed_defect_is_found_before_6_2_and_gone_since(scope: str, symmetric: bool) -> None:
    """A stale long-term pin is reachable under the rules of 6.1 and, in the whole space, not under those of 6.2."""
    before = search(Stepper(world(library()[scope], releases.row("6.1")), symmetric=symmetric))
    assert before.violation is not None
    assert before.violation.properties == LONGTERM_PIN_RELIABLE
    assert len(before.path) == before.depth
    after = search(Stepper(world(library()[scope], releases.row("6.2")), symmetric=symmetric))
    assert after.exhausted
    assert all(after.uses)


def test_a_pin_is_lost_to_fork_only_without_the_sequence_count() -> None:
    """GUP-fast between fork's look and its write-protecting: found with write_protect_seq off."""
    row = releases.switched(releases.row("6.2"), {"write_protect_seq": "no"})
    result = search(Stepper(world(library()["fork-pin"], row)))
    assert result.violation is not None
    assert result.violation.properties == LONGTERM_PIN_RELIABLE


@pytest.mark.parametrize("scope", [*SEED, "two-buffers"])
def test_symmetry_loses_no_state(scope: str) -> None:
    """The canonical forms of all states are exactly the states of the symmetric search."""
    ready = world(library()[scope], releases.row("6.2"))
    plain, symmetric = Stepper(ready, symmetric=False), Stepper(ready, symmetric=True)
    forms = set()
    for state in reachable(plain):
        symmetric.put(state)
        forms.add(symmetric.taken())
    assert forms == reachable(symmetric)


@pytest.mark.parametrize("name", ["bench-fork", "swap-races-pin", "fork-loses-hugetlb-pin", "two-buffers"])
def test_who_cannot_move_has_changed_nothing(name: str) -> None:
    """A step that has to wait, and an operation that makes no sense now: the compiled search goes on with such a state
    as with a new copy, unless an operation was begun."""
    ready = world(library()[name], releases.row(library()[name].rules))
    plain, random, stood = Stepper(ready, symmetric=False), Random(name), Counter[bool]()
    state = plain.first()
    for _ in range(300):
        plain.put(state)
        idle = [not plain.m.task_depth[task] for task in range(len(ready.menu))]
        for task, menu in enumerate(ready.menu):
            for action in menu if idle[task] else (WENT_ON,):
                if plain.step(state, task, ready.numbers(ActionNumber(action)), 0):
                    continue
                if not idle[task] or not plain.m.task_depth[task]:
                    assert bytes(plain.m.data[: plain.size]) == state
                    stood[idle[task]] += 1
        state = random.choice([after for _, after in plain.successors(state)] or [plain.first()])
    assert stood[True] and stood[False]


def test_a_limit_is_said() -> None:
    """A search that ends early is not exhausted and says why."""
    result = search(Stepper(world(library()["seed-shmem"], releases.row("6.2"))), Budget(depth=3))
    assert not result.exhausted
    assert result.limit == "the depth of 3 is reached"
    assert result.depth == 3


def reachable(stepper: Stepper) -> set[bytes]:
    seen = {stepper.first()}
    waiting = list(seen)
    while waiting:
        for _, state in stepper.successors(waiting.pop()):
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return seen
