"""The inner loop of the compiled search: one level of breadth-first search, in batches.

Nothing but 64-bit integers and addresses: numba compiles it together with a scope's specialised functions (image.py),
which define `move`, `canonical`, `check_properties` and `check_invariants`.  Successors are made in a batch of full
records; when it is full their places in the table of fingerprints are touched first, so that the cache misses overlap,
and then they are inserted; what is new goes to the next level's frontier.
"""

from __future__ import annotations

# ruff: noqa: F821
from pinhold.explore.memory import load1, load2, load4, load8, store1, store2, store4, store8  # noqa: F401

ACTION_WORDS = 7
"""Words of an operation in the table of actions: kind, function, mm, addr, end, flags, arg."""

(
    STAT_TRANSITIONS,
    STAT_UNUSED,
    STAT_BAD,
    STAT_BAD_PROPERTIES,
    STAT_BAD_INVARIANT,
    STAT_STUCK,
    STAT_TOUCH,
    STAT_NEXT,
) = range(8)
"""Words of the statistics: transitions; unused; place in the next frontier of the first bad one, or -1, with its
violated properties and broken invariant; place in this frontier of the first state in which everybody waits, or -1;
what keeps the touching of the table alive; the first state that was not expanded for want of room."""

BATCH = 64
MULTIPLIER = -7046029254386353131
SECOND = -4417276706812531889


def fingerprint(state, words):  # type: ignore[no-untyped-def]
    """A 64-bit hash of the state's words, never 0."""
    a = 0x243F6A8885A308D3
    b = 0x13198A2E03707344
    place = state
    end = state + 8 * (words & -2)
    while place < end:
        a = (a ^ load8(place)) * MULTIPLIER
        b = (b ^ load8(place + 8)) * SECOND
        a ^= (a >> 29) & 0x7FFFFFFFF
        b ^= (b >> 31) & 0x1FFFFFFFF
        place += 16
    if words & 1:
        a = (a ^ load8(place)) * MULTIPLIER
        a ^= (a >> 29) & 0x7FFFFFFFF
    h = (a ^ (b << 1)) * SECOND
    h ^= (h >> 32) & 0xFFFFFFFF
    h *= MULTIPLIER
    h ^= (h >> 29) & 0x7FFFFFFFF
    return h if h else 1


def copy_words(source, target, words):  # type: ignore[no-untyped-def]
    for i in range(words):
        store8(target + 8 * i, load8(source + 8 * i))


def insert(table, mask, h):  # type: ignore[no-untyped-def]
    """Whether the fingerprint is new; it is in the table afterwards."""
    place = h & mask
    while True:
        found = load8(table + 8 * place)
        if found == 0:
            store8(table + 8 * place, h)
            return True
        if found == h:
            return False
        place = (place + 1) & mask


def rehash(old, size, table, mask):  # type: ignore[no-untyped-def]
    """Move every fingerprint of an old table to a larger one."""
    for place in range(size):
        h = load8(old + 8 * place)
        if h != 0:
            insert(table, mask, h)


def expand(  # type: ignore[no-untyped-def]
    batch,
    record,
    words,
    source,
    first,
    last,
    target,
    new,
    room,
    branch,
    table,
    mask,
    parents,
    vias,
    actions,
    menu,
    tasks,
    symmetric,
    properties,
    invariants,
    stats,
    uses,
):
    """Expand the states first … last - 1 of `source`; those not seen before go to `target` from place `new` on.

    Gives the new count of `target`.  room: the count at which to stop, as far as the next state's successors (at most
    `branch`) could pass it.  menu: for each task the numbers of its first action and of the one behind its last.
    parents, vias: for each state of `target` its parent's place in `source`, and (task, action, chance) that led there.
    uses: per action, how often it was begun.
    """
    reached = last
    filled = 0
    for i in range(first, last):
        if new + filled + branch > room:
            reached = i
            break
        state = source + 8 * words * i
        moved = 0
        busy = 0
        for task in range(tasks):
            m = batch + record * filled
            copy_words(state, m, words)
            begins = not in_operation(m, task)
            busy += 1 - begins
            action = load8(menu + 16 * task)
            end = load8(menu + 16 * task + 8)
            if not begins:
                end = action + 1
            while action < end:
                chance = 0
                chances = 1
                while chance < chances:
                    m = batch + record * filled
                    if action != load8(menu + 16 * task) or chance:
                        copy_words(state, m, words)
                    set_chance(m, chance)
                    a = actions + 8 * 7 * action
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
                        break
                    chances = get_chances(m)
                    if begins:
                        store8(uses + 8 * action, load8(uses + 8 * action) + 1)
                    if symmetric:
                        canonical(m)
                    store8(batch + record * BATCH + 24 * filled, fingerprint(m, words))
                    store8(batch + record * BATCH + 24 * filled + 8, i)
                    via = (task << 14) | (((action + 1) if begins else 0) << 6) | chance
                    store8(batch + record * BATCH + 24 * filled + 16, via)
                    filled += 1
                    moved += 1
                    chance += 1
                    if filled == BATCH:
                        new = flush(
                            batch,
                            record,
                            words,
                            filled,
                            target,
                            new,
                            table,
                            mask,
                            parents,
                            vias,
                            properties,
                            invariants,
                            stats,
                        )
                        filled = 0
                action += 1
                if filled < BATCH and action < end:
                    copy_words(state, batch + record * filled, words)
        store8(stats, load8(stats) + moved)
        if moved == 0 and busy and load8(stats + 8 * 5) < 0:
            store8(stats + 8 * 5, i)
    store8(stats + 8 * 7, reached)
    return flush(batch, record, words, filled, target, new, table, mask, parents, vias, properties, invariants, stats)


def flush(  # type: ignore[no-untyped-def]
    batch, record, words, filled, target, new, table, mask, parents, vias, properties, invariants, stats
):
    """Insert the batch; gives the new count of `target`."""
    notes = batch + record * BATCH
    touched = 0
    for k in range(filled):
        touched ^= load8(table + 8 * (load8(notes + 24 * k) & mask))
    store8(stats + 8 * 6, touched)
    for k in range(filled):
        if not insert(table, mask, load8(notes + 24 * k)):
            continue
        m = batch + record * k
        copy_words(m, target + 8 * words * new, words)
        store4(parents + 4 * new, load8(notes + 24 * k + 8))
        store2(vias + 2 * new, load8(notes + 24 * k + 16))
        violated = check_properties(m) & properties if properties else 0
        broken = check_invariants(m) if invariants else 0
        if (violated or broken) and load8(stats + 8 * 2) < 0:
            store8(stats + 8 * 2, new)
            store8(stats + 8 * 3, violated)
            store8(stats + 8 * 4, broken)
        new += 1
    return new


def fingerprint_of(state, words):  # type: ignore[no-untyped-def]
    """The fingerprint of one state."""
    return fingerprint(state, words)
