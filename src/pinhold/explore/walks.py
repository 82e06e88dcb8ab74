"""Random walks, compiled: the inner loop.

Like engine.py this text is not run as a module; its functions are put into a scope's image.  What is random comes from
`started` and `turned` of lots.py alone, so that Python walks the same ways (walk.py).
"""

from __future__ import annotations

from pinhold.compiler.memory import load1, load8, store1, store2, store8
from pinhold.explore.engine import (
    ACTION_WORDS,
    ACTIONS,
    BAD,
    BAD_INVARIANT,
    BAD_PROPERTIES,
    BATCH,
    INVARIANTS,
    MENU,
    OUTCOMES,
    OUTCOMES_MET,
    PROPERTIES,
    SOURCE,
    STUCK,
    SYMMETRIC,
    TARGET,
    TASKS,
    TRANSITIONS,
    USES,
    VIAS,
    copy_state,
    fingerprint,
    register,
)
from pinhold.explore.linked import (
    RECORD_BYTES,
    canonical,
    check_invariants,
    check_properties,
    get_chances,
    in_operation,
    move,
    set_chance,
)
from pinhold.explore.lots import SKETCH, rank_of, started, turned
from pinhold.explore.via import WENT_ON, packed


def walk_on(s: int, seed: int, first: int, last: int, most: int) -> int:
    """Walks first … last - 1 from the state at SOURCE, each of so many steps at most, up to the first that comes to
    something bad.

    Gives the number of the walk that ended them, or `last`; its ways are in VIAS, how many in BAD.  TARGET: the sketch.
    """
    for number in range(first, last):
        x = started(seed, number)
        here = register(s, BATCH)
        there = here + RECORD_BYTES
        copy_state(register(s, SOURCE), here)
        steps = 0
        going = True
        while going and steps < most:
            going = False
            busy = 0
            x = turned(x)
            tasks = register(s, TASKS)
            begin = x % tasks
            for turn in range(tasks):
                task = (begin + turn) % tasks
                if going:
                    break
                begins = not in_operation(here, task)
                busy += 1 - begins
                lowest = load8(register(s, MENU) + 16 * task)
                count = load8(register(s, MENU) + 16 * task + 8) - lowest if begins else 1
                x = turned(x)
                pick = x % count if count else 0
                for other in range(count):
                    action = lowest + (pick + other) % count
                    a = register(s, ACTIONS) + 8 * ACTION_WORDS * action
                    x = turned(x)
                    copy_state(here, there)
                    set_chance(there, x)
                    if move(
                        there,
                        task,
                        load8(a),
                        load8(a + 8),
                        load8(a + 16),
                        load8(a + 24),
                        load8(a + 32),
                        load8(a + 40),
                        load8(a + 48),
                    ):
                        chances = get_chances(there)
                        if chances > register(s, OUTCOMES):
                            store8(s + 8 * OUTCOMES_MET, chances)
                            return number
                        store2(register(s, VIAS) + 2 * steps, packed(task, action if begins else WENT_ON, x % chances))
                        if begins:
                            store8(register(s, USES) + 8 * action, load8(register(s, USES) + 8 * action) + 1)
                        going = True
                        break
            if going:
                if register(s, SYMMETRIC):
                    canonical(there)
                here, there = there, here
                steps += 1
                store8(s + 8 * TRANSITIONS, register(s, TRANSITIONS) + 1)
                sketched(register(s, TARGET), fingerprint(here))
                properties = register(s, PROPERTIES)
                violated = check_properties(here) & properties if properties else 0
                broken = check_invariants(here) if register(s, INVARIANTS) else 0
                if violated or broken:
                    store8(s + 8 * BAD, steps)
                    store8(s + 8 * BAD_PROPERTIES, violated)
                    store8(s + 8 * BAD_INVARIANT, broken)
                    return number
            elif busy:
                store8(s + 8 * BAD, steps)
                store8(s + 8 * STUCK, number)
                return number
    return last


def sketched(sketch: int, h: int) -> None:
    """Put a fingerprint into the sketch."""
    place = sketch + (h & (SKETCH - 1))
    r = rank_of(h)
    if r > load1(place):
        store1(place, r)
