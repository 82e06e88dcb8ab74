"""The inner loop of the compiled search: one level of breadth-first search, in batches.

Nothing but 64-bit integers and addresses.  A search is an array of words, its registers, whose address each function
takes as `s`; `m` is the address of a record, `state` that of the words with which one begins.

This text is not run as a module: searched.py writes the functions into each scope's image, beside the scope's own
`move`, `canonical` and the like, and numba compiles them together.  Type checker and linter read it as it stands, with
what the image defines declared in linked.py.

Successors are made in a batch of full records; when it is full their places in the table of fingerprints are touched
first, so that the cache misses overlap, and then they are inserted; what is new goes to the next level's frontier.
"""

from __future__ import annotations

from pinhold.compiler.memory import fold, high, load2, load4, load8, store2, store4, store8
from pinhold.explore.linked import (
    RECORD_BYTES,
    STATE_WORDS,
    canonical,
    check_invariants,
    check_properties,
    get_chances,
    in_operation,
    move,
    set_chance,
)
from pinhold.explore.moving import INVARIANT_SHIFT
from pinhold.explore.via import WENT_ON, begun, packed

(
    BATCH,
    BATCH_SIZE,
    NOTES,
    SOURCE,
    TARGET,
    ROOM,
    BRANCH,
    OUTCOMES,
    TABLE,
    PARENTS,
    VIAS,
    ACTIONS,
    MENU,
    TASKS,
    SYMMETRIC,
    PROPERTIES,
    INVARIANTS,
    USES,
    TRANSITIONS,
    BAD,
    BAD_PROPERTIES,
    BAD_INVARIANT,
    STUCK,
    REACHED,
    OUTCOMES_MET,
    TOUCHED,
    ASIDE,
    OWN,
    OWN_SIZE,
    FIRST,
    BASE,
    KEPT,
) = range(32)
"""Registers of a search.

BATCH: records, BATCH_SIZE of them before it is flushed; NOTES: of each its fingerprint, its parent's place and how it
was reached.  SOURCE, TARGET: the two frontiers, states as the words with which a record begins; ROOM: how many the
second has place for; BRANCH: the most successors that a state has; OUTCOMES: the most that a step has.  TABLE: the
parts of the table of fingerprints, see below.  PARENTS, VIAS: for each state of TARGET its parent's place in SOURCE,
and how it came from there (via.py).  ACTIONS: of each operation kind, function, mm, addr, end, flags, arg; MENU: for
each of the TASKS the numbers of its first action and of the one behind its last; USES: per action, how often it was
begun.

What is found: TRANSITIONS; BAD: place in the next level of the first bad state, or -1, with its properties and its
invariant; STUCK: place in the level of the first state in which everybody waits, or -1; REACHED: the first state of
SOURCE that was not expanded, for want of room; OUTCOMES_MET: of a step that has more than OUTCOMES, or 0.  TOUCHED
keeps the touching of the table alive.

Of one of several threads (threads.py), whose TABLE is only read: ASIDE, the fingerprints of the states of TARGET; OWN,
a table of them, OWN_SIZE of it; KEPT: which of them were new when they were taken over.  ASIDE is 0 where new states go
into the TABLE at once.
"""

PART_BITS = 5
PARTS = 1 << PART_BITS
ADDRESS, LENGTH, COUNT = 0, 8, 16
PART_BYTES = 24
"""The table of fingerprints is in parts, by the upper bits of a fingerprint.  Of each: where it is, its size, and how
many fingerprints are in it."""

ACTION_WORDS = 7
KEY_A, KEY_B, KEY_C = 0x2D358DCCAA6C78A5, -0x74439EA36E07C9A7, 0x4B33A62ED433D4A3
KEY_D, KEY_E, KEY_F = 0x4D5A2DA51DE1AA47, -0x5F89E29B87429BD1, 0x1D2B3A5C6E4F9387
"""Odd numbers with half of their bits set."""


def register(s: int, number: int) -> int:
    return load8(s + 8 * number)


def hashed(state: int, key_a: int, key_b: int, key_c: int) -> int:
    """A 64-bit hash of the state's words: products of two words each, in three chains side by side."""
    a, b, c = key_b, key_c, key_a  # not each its own key: a product does not tell its factors apart
    place = state
    for _ in range(STATE_WORDS // 6):
        a = fold(load8(place) ^ key_a, load8(place + 8) ^ a)
        b = fold(load8(place + 16) ^ key_b, load8(place + 24) ^ b)
        c = fold(load8(place + 32) ^ key_c, load8(place + 40) ^ c)
        place += 48
    for _ in range(STATE_WORDS % 6):
        a = fold(load8(place) ^ key_b, a ^ key_c)
        place += 8
    return fold(a ^ b ^ key_c, c ^ key_a)


def fingerprint(state: int) -> int:
    """By which a state is known; never 0."""
    h = hashed(state, KEY_A, KEY_B, KEY_C)
    return h if h else 1


def copy_state(source: int, target: int) -> None:
    for i in range(STATE_WORDS):
        store8(target + 8 * i, load8(source + 8 * i))


def place_of(h: int, size: int) -> int:
    """Where the look for a fingerprint begins in an array of any size: fingerprints keep their order there."""
    return high(h << PART_BITS, size)


def put(table: int, size: int, h: int) -> bool:
    """Whether the fingerprint is new in an array of that size; it is in there afterwards."""
    place = place_of(h, size)
    while True:
        there = load8(table + 8 * place)
        if there == 0:
            store8(table + 8 * place, h)
            return True
        if there == h:
            return False
        place += 1
        if place == size:
            place = 0


def part_of(table: int, h: int) -> int:
    """The part of the table in which a fingerprint is, if it is in there."""
    return table + PART_BYTES * ((h >> (64 - PART_BITS)) & (PARTS - 1))


def touch(table: int, h: int) -> int:
    """What is where the look for a fingerprint begins."""
    part = part_of(table, h)
    return load8(load8(part + ADDRESS) + 8 * place_of(h, load8(part + LENGTH)))


def insert(table: int, h: int) -> bool:
    """Whether the fingerprint is new; it is in the table afterwards."""
    part = part_of(table, h)
    if not put(load8(part + ADDRESS), load8(part + LENGTH), h):
        return False
    store8(part + COUNT, load8(part + COUNT) + 1)
    return True


def known(table: int, h: int) -> bool:
    """Whether the fingerprint is in the table.  Another thread may insert meanwhile: what it inserts may be missed."""
    part = part_of(table, h)
    array = load8(part + ADDRESS)
    size = load8(part + LENGTH)
    place = place_of(h, size)
    while True:
        there = load8(array + 8 * place)
        if there == h:
            return True
        if there == 0:
            return False
        place += 1
        if place == size:
            place = 0


def rehash(old: int, size: int, table: int, new_size: int) -> None:
    """Put every fingerprint of an array of `size` into one of `new_size`."""
    for place in range(size):
        h = load8(old + 8 * place)
        if h != 0:
            put(table, new_size, h)


def expand(s: int, first: int, last: int, new: int) -> int:
    """Expand the states first … last - 1 of SOURCE; those not seen before go to TARGET from place `new` on.

    Gives the new count of TARGET.
    """
    room = register(s, ROOM) - register(s, BRANCH)
    batch_size = register(s, BATCH_SIZE)
    source = register(s, SOURCE)
    filled = 0
    reached = first
    while reached < last and new + filled <= room:
        filled = successors(s, source + 8 * STATE_WORDS * reached, register(s, FIRST) + reached, filled)
        reached += 1
        if filled >= batch_size:
            new = flush(s, filled, new)
            filled = 0
    store8(s + 8 * REACHED, reached)
    return flush(s, filled, new)


def make_moves(s: int, first: int, last: int) -> int:
    """Put the successors of the states first … last - 1 of SOURCE into the batch, which has room for them.

    Gives how many there are.  In ASIDE is then what is wrong with each (moving.bad_of).
    """
    source = register(s, SOURCE)
    filled = 0
    for place in range(first, last):
        filled = successors(s, source + 8 * STATE_WORDS * place, place, filled)
    properties = register(s, PROPERTIES)
    for k in range(filled):
        m = register(s, BATCH) + RECORD_BYTES * k
        violated = check_properties(m) & properties if properties else 0
        broken = check_invariants(m) if register(s, INVARIANTS) else 0
        store8(register(s, ASIDE) + 8 * k, violated | (broken << INVARIANT_SHIFT))
    return filled


def successors(s: int, state: int, number: int, filled: int) -> int:
    """Put the successors of a state into the batch; gives how many it holds then.

    number: the state's place in its level.
    """
    symmetric = register(s, SYMMETRIC)
    notes = register(s, NOTES)
    batch = register(s, BATCH)
    before = filled
    busy = 0
    fresh = False
    for task in range(register(s, TASKS)):
        m = batch + RECORD_BYTES * filled
        if not fresh:
            copy_state(state, m)
        fresh = True
        begins = not in_operation(m, task)
        busy += 1 - begins
        action = load8(register(s, MENU) + 16 * task)
        end = load8(register(s, MENU) + 16 * task + 8) if begins else action + 1
        while action < end:
            a = register(s, ACTIONS) + 8 * ACTION_WORDS * action
            chance = 0
            chances = 1
            while chance < chances:
                m = batch + RECORD_BYTES * filled
                if not fresh:
                    copy_state(state, m)
                set_chance(m, chance)
                if not move(
                    m,
                    task,
                    load8(a),
                    load8(a + 8),
                    load8(a + 16),
                    load8(a + 24),
                    load8(a + 32),
                    load8(a + 40),
                    load8(a + 48),
                ):
                    fresh = not begins or not in_operation(m, task)  # else it has begun what cannot go on
                    break
                fresh = False
                chances = get_chances(m)
                if chances > register(s, OUTCOMES):
                    store8(s + 8 * OUTCOMES_MET, chances)
                    break
                if symmetric:
                    canonical(m)
                note = notes + 24 * filled
                store8(note, fingerprint(m))
                store8(note + 8, number)
                store8(note + 16, packed(task, action if begins else WENT_ON, chance))
                filled += 1
                chance += 1
            action += 1
    if filled == before and busy and register(s, STUCK) < 0:
        store8(s + 8 * STUCK, number)
    return filled


def flush(s: int, filled: int, new: int) -> int:
    """Insert the batch; gives the new count of TARGET."""
    table = register(s, TABLE)
    notes = register(s, NOTES)
    target = register(s, TARGET)
    uses = register(s, USES)
    aside = register(s, ASIDE)
    own = register(s, OWN)
    own_size = register(s, OWN_SIZE)
    touched = 0
    for k in range(filled):
        touched ^= touch(table, load8(notes + 24 * k))
    store8(s + 8 * TOUCHED, touched)
    for k in range(filled):
        via = load8(notes + 24 * k + 16)
        action = begun(via)
        if action != WENT_ON:
            store8(uses + 8 * action, load8(uses + 8 * action) + 1)
        h = load8(notes + 24 * k)
        if aside:
            if known(table, h) or not put(own, own_size, h):
                continue
            store8(aside + 8 * new, h)
        elif not insert(table, h):
            continue
        m = register(s, BATCH) + RECORD_BYTES * k
        copy_state(m, target + 8 * STATE_WORDS * new)
        store4(register(s, PARENTS) + 4 * new, load8(notes + 24 * k + 8))
        store2(register(s, VIAS) + 2 * new, via)
        look(s, m, register(s, BASE) + new)
        new += 1
    store8(s + 8 * TRANSITIONS, register(s, TRANSITIONS) + filled)
    return new


def look(s: int, m: int, place: int) -> None:
    """Whether a new state is the first bad one."""
    properties = register(s, PROPERTIES)
    violated = check_properties(m) & properties if properties else 0
    broken = check_invariants(m) if register(s, INVARIANTS) else 0
    if (violated or broken) and register(s, BAD) < 0:
        store8(s + 8 * BAD, place)
        store8(s + 8 * BAD_PROPERTIES, violated)
        store8(s + 8 * BAD_INVARIANT, broken)


def take_over(s: int, other: int, count: int, base: int) -> int:
    """Insert what another thread has put aside, `count` states in its order, and write down which are new.

    Gives how many those are; the first gets the place `base` in the next level.  other: the registers of that thread.
    If its first bad state is not new, the thread that found it before has found it bad.
    """
    table = register(s, TABLE)
    aside = register(other, ASIDE)
    kept = register(other, KEPT)
    new = 0
    touched = 0
    for k in range(count):
        touched ^= touch(table, load8(aside + 8 * k))
    store8(s + 8 * TOUCHED, touched)
    for k in range(count):
        if not insert(table, load8(aside + 8 * k)):
            continue
        store4(kept + 4 * new, k)
        if k == register(other, BAD) and register(s, BAD) < 0:
            store8(s + 8 * BAD, base + new)
            store8(s + 8 * BAD_PROPERTIES, register(other, BAD_PROPERTIES))
            store8(s + 8 * BAD_INVARIANT, register(other, BAD_INVARIANT))
        new += 1
    if register(s, STUCK) < 0:
        store8(s + 8 * STUCK, register(other, STUCK))
    if register(other, OUTCOMES_MET):
        store8(s + 8 * OUTCOMES_MET, register(other, OUTCOMES_MET))
    store8(s + 8 * TRANSITIONS, register(s, TRANSITIONS) + register(other, TRANSITIONS))
    return new


def keep(s: int, count: int, to: int) -> None:
    """Copy so many states of a thread's TARGET, those written down as new; how they were reached is left there."""
    kept = register(s, KEPT)
    target = register(s, TARGET)
    for place in range(count):
        k = load4(kept + 4 * place)
        copy_state(target + 8 * STATE_WORDS * k, to + 8 * STATE_WORDS * place)
        store4(register(s, PARENTS) + 4 * place, load4(register(s, PARENTS) + 4 * k))
        store2(register(s, VIAS) + 2 * place, load2(register(s, VIAS) + 2 * k))


def fingerprints_of(states: int, count: int, to: int) -> None:
    """The fingerprints of so many states."""
    for i in range(count):
        store8(to + 8 * i, fingerprint(states + 8 * STATE_WORDS * i))


def rest_of(states: int, count: int, to: int) -> None:
    """32 more bits of each one's fingerprint, for a search that has so many states that 64 are too few."""
    for i in range(count):
        store4(to + 4 * i, hashed(states + 8 * STATE_WORDS * i, KEY_D, KEY_E, KEY_F))
