"""Symmetry: whatever numbers frames, tables, slots and tokens happen to have, the canonical state is the same, and so
is what can be done in it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from pinhold.explore import moves
from pinhold.explore.record import SearchMachine
from pinhold.explore.scope import Scope, library, read_scopes
from pinhold.explore.search import Stepper
from pinhold.explore.symmetry import canonical as c
from pinhold.explore.symmetry.renaming import rename, rename_pins, rename_tokens
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.flags import NO_ADDR, PIN_LIVE, PIN_TAKING
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
POOLS = read_scopes(
    """
[two-of-three-pages]
about = "pins of one, two and three pages, which their owner discards and its child lets go of"
size = "small"
setup = ["map P x anon pages 3", "write P x 1"]
tasks.cpu = ["write P x[0] 1", "write P x[1] 1", "madvise P x dontneed", "fork P C"]
tasks.child = ["write C x[0] 1", "exit C"]
tasks.driver = ["pin P x[0] as p longterm", "pin P x[1:3] as p write longterm fast", "pin P x as p longterm", "unpin p"]
bits = 2
pages = 9
pools = { p = 2 }

[three-by-two-drivers]
about = "two tasks that share a pool of three, and reclaim, under the rules of a kernel that reclaims what is pinned"
size = "small"
rules = "5.10"
without = { swapout_skips_pinned = "no" }
setup = ["map P x anon", "write P x 1", "pin P x as p longterm"]
tasks.cpu = ["read P x", "write P x 1", "madvise P x dontneed", "fork P C"]
tasks.reclaim = ["madvise P x pageout"]
tasks.driver = ["pin P x as p longterm", "unpin p"]
tasks.other = ["pin P x as p longterm", "pin C x as p write longterm fast", "unpin p", "exit C"]
pages = 6
swap = 3
config = { swap_sync = 0 }
pools = { p = 3 }

[two-pools-and-devices]
about = "two pools, references beside pins, devices that write bytes which are told apart"
size = "small"
setup = ["map P x anon", "map P y memfd private", "write P x 1"]
tasks.cpu = ["write P x 1", "write P y 1", "madvise P x dontneed", "madvise P y dontneed"]
tasks.driver = ["pin P x as p write longterm", "pin P y as p write longterm", "device write p 1", "unpin p"]
tasks.other = ["vmsplice P x as q", "vmsplice P y as q", "unpin q", "pin P x as r longterm", "unpin r"]
content = true
pages = 7
lru_batch = 2
pools = { p = 2, q = 2 }

[two-of-a-thp]
about = "pins of parts of THPs, which are discarded in parts"
size = "small"
rules = "7.3"
setup = ["map P x thp", "write P x 1"]
tasks.cpu = ["write P x[0] 1", "madvise P x[1] dontneed", "madvise P x dontneed", "fork P C"]
tasks.child = ["write C x[0] 1", "exit C"]
tasks.driver = ["pin P x[0] as p longterm", "pin P x[1] as p longterm fast", "pin P x as p write longterm", "unpin p"]
levels = 2
thps = 3
pages = 4
pools = { p = 2 }

[two-of-hugetlb]
about = "pins of hugetlb pages"
size = "small"
setup = ["map P x hugetlb 2M private"]
tasks.cpu = ["read P x", "write P x 1", "madvise P x dontneed"]
tasks.driver = ["pin P x as p longterm", "pin P x as p write longterm fast", "unpin p"]
levels = 2
hugetlb = 4
pools = { p = 2 }
""",
    "pools",
)
"""Scopes in which a name stands for several pins: of several pages, in the making, of pages that nobody maps."""

STATES, PERMUTATIONS = 150, 4
POOL_STATES = 400


def ready(scope: Scope) -> World:
    return world(scope, releases.switched(releases.row(scope.rules), scope.without))


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


def permute(m: SearchMachine, scope: Scope, random: Random) -> None:
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
    for old, new in ({s: s for s in slots} if scope.small.thps else shuffled(slots, random)).items():
        m.new_swap[old] = new
    for slots in scope.pins.values():
        for old, new in shuffled(list(slots), random).items():
            m.new_pin[old] = new
    rename(m)
    rename_pins(m)
    if scope.content:
        for old, new in ({0: 0} | shuffled(list(range(1, 20)), random)).items():
            m.new_token[old] = new
        rename_tokens(m)


ALL = {name: library()[name] for name in SCOPES} | POOLS


@pytest.mark.parametrize("name", ALL)
def test_a_permuted_state_has_the_same_canonical_bytes(name: str) -> None:
    """Random states, random permutations: one form; and the permuted state is as sound as the first."""
    scope, random = ALL[name], Random(name)
    stepper, forms = Stepper(ready(scope), symmetric=False), Stepper(ready(scope), symmetric=True)
    changed = 0
    for state in wander(stepper, random, POOL_STATES if scope.pools else STATES):
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


@pytest.mark.parametrize("name", [*ALL, "bench-tiny", "bench-fork"])
def test_what_is_said_to_be_in_order_is(name: str) -> None:
    """Of what steps come to: each frame, table, slot and pin gets the number that it has.  Of machines of base pages
    alone it is said of most states, and of others of none."""
    scope, random = ALL.get(name) or library()[name], Random(name)
    stepper, plain = Stepper(ready(scope)), Stepper(ready(scope), symmetric=False)
    said = others = 0
    for state in wander(stepper, random, STATES):
        for _, after in plain.successors(state):
            plain.put(after)
            in_order = c.in_order(plain.m)
            said += in_order
            c.give_numbers(plain.m)
            is_ = c.already_canonical(plain.m) and c.pins_in_order(plain.m)
            assert is_ or not in_order
            others += not is_
            plain.put(state)
    base = not scope.pools and not scope.kinds & {"thp", "hugetlb", "swap"}
    assert said > others if base else not said


def detached(m: Machine, pin: int) -> bool:
    """Whether its owner has taken away a page that the pin holds."""
    first = pin * m.runs_per_pin
    return NO_ADDR in (m.run_addr[run] for run in range(first, first + m.pin_runs[pin]))


@pytest.mark.parametrize("name", POOLS)
def test_the_pools_are_met_in_all_their_states(name: str) -> None:
    """Several pins of a name at once, some being taken, some of pages that nobody maps."""
    scope, random = POOLS[name], Random(name)
    stepper, met = Stepper(ready(scope)), Counter[str]()
    for state in wander(stepper, random, POOL_STATES):
        stepper.put(state)
        m = stepper.m
        for slots in scope.pins.values():
            met["several"] += sum(m.pin_state[slot] == PIN_LIVE for slot in slots) > 1
            met["taking"] += any(m.pin_state[slot] == PIN_TAKING for slot in slots)
            met["detached"] += any(detached(m, slot) for slot in slots)
    assert len(+met) == 3


def leaks(scope: Scope, random: Random) -> bool:
    """Whether some state and the same under other numbers can go on differently."""
    stepper = Stepper(ready(scope))
    plain = Stepper(ready(scope), symmetric=False)
    for state in wander(stepper, random, STATES):
        plain.put(state)
        permute(plain.m, scope, random)
        if Counter(moved(stepper, state)) != Counter(moved(stepper, plain.taken())):
            return True
    return False


def moved(stepper: Stepper, state: bytes) -> list[tuple[int, int, bytes]]:
    return [(via.task, via.action, after) for via, after in stepper.successors(state)]


@pytest.mark.parametrize("name", ALL)
def test_no_number_leaks_into_behaviour(name: str) -> None:
    """A permuted state goes on as the first does: the same moves, to states that are the same but for their numbers."""
    assert not leaks(ALL[name], Random(name))


def test_a_leak_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letting go of the lowest live pin alone, instead of any, is behaviour that depends on a slot's number."""
    monkeypatch.setattr(moves, "choose", lambda m, total: 0)
    assert leaks(POOLS["two-of-three-pages"], Random(1))
