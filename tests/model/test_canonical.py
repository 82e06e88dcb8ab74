"""Symmetry: whatever numbers frames, tables, slots and tokens happen to have, the canonical state is the same."""

from __future__ import annotations

from random import Random

import pytest

from pinhold.explore import canonical as c
from pinhold.explore.renaming import rename, rename_tokens
from pinhold.explore.scope import Scope, library
from pinhold.explore.search import Stepper
from pinhold.explore.world import world
from pinhold.mm import releases
from pinhold.mm.invariants import check_invariants
from pinhold.mm.machine import Machine

SCOPES = (
    "fork-pin",
    "fork-pin-file",
    "huge-dirty-cow",
    "vmsplice-leak-thp",
    "thp-split-races-reuse",
    "swap-races-pin",
    "fork-loses-hugetlb-pin",
    "ksm-loses-pin",
    "device-writes-behind-file",
    "numa-loses-pin",
    "lazyfree-batch",
)
STATES, PERMUTATIONS = 150, 4


def wander(stepper: Stepper, random: Random, count: int) -> list[bytes]:
    """Some states on random ways from the first."""
    states, state = [], stepper.first()
    for _ in range(count):
        successors = [successor for _, successor in stepper.successors(state)]
        state = random.choice(successors) if successors else stepper.first()
        states.append(state)
    return states


def shuffled(values: list[int], random: Random) -> dict[int, int]:
    return dict(zip(values, random.sample(values, len(values)), strict=True))


def permute(m: Machine, scope: Scope, random: Random) -> None:
    """Give frames, tables, slots and tokens other numbers, within what is alike."""
    c.forget_numbers(m)
    c.number_tables(m)
    c.number_rest(m)
    pmd = 1 << m.bits
    huge_start = m.nr_pages - m.huge_frames * pmd
    pages = {0: 0} | shuffled(list(range(1, huge_start)), random)
    for block, other in shuffled(list(range(huge_start, m.nr_pages, pmd)), random).items():
        pages |= {block + i: other + i for i in range(pmd)}
    pages |= shuffled(list(range(m.nr_pages, m.nr_pages + m.nr_hugetlb)), random)
    for old, new in pages.items():
        m.new_page[old] = new
    for old, new in shuffled(list(range(len(m.new_table))), random).items():
        m.new_table[old] = new
    slots = list(range(1, len(m.new_swap)))
    for old, new in ({s: s for s in slots} if scope.thps else shuffled(slots, random)).items():
        m.new_swap[old] = new
    rename(m)
    if scope.content:
        for old, new in ({0: 0} | shuffled(list(range(1, 20)), random)).items():
            m.new_token[old] = new
        rename_tokens(m)


@pytest.mark.parametrize("name", SCOPES)
def test_a_permuted_state_has_the_same_canonical_bytes(name: str) -> None:
    """Random states, random permutations: one form; and the permuted state is as sound as the first."""
    scope, random = library()[name], Random(name)
    ready = world(scope, releases.switched(releases.row(scope.rules), scope.without))
    stepper, forms = Stepper(ready, symmetric=False), Stepper(ready, symmetric=True)
    changed = 0
    for state in wander(stepper, random, STATES):
        forms.put(state)
        form = forms.taken()
        for _ in range(PERMUTATIONS):
            stepper.put(state)
            permute(stepper.m, scope, random)
            assert check_invariants(stepper.m) == 0
            other = stepper.taken()
            changed += other != state
            forms.put(other)
            assert forms.taken() == form
    assert changed > STATES
