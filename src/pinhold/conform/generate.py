"""Random scenarios, made by executing each step that is proposed on the model: same seed and number, same scenario."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from pinhold.conform.profiles import PROFILES
from pinhold.conform.propose import MOST_PAGES, MOST_PINS, Proposer
from pinhold.conform.wanted import Wanted, by_any
from pinhold.mm.state import X86_64
from pinhold.scenario import steps as s
from pinhold.scenario.check import Misuse, Things
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES
from pinhold.targets.base import Broken, CannotDo, Livelock
from pinhold.targets.model.film import Film
from pinhold.targets.model.target import ModelTarget

ROOM = replace(
    X86_64,
    pages=1 << 15,
    tables=400,
    vmas_per_mm=96,
    file_pages=1 << MOST_PAGES.bit_length(),
    pins=MOST_PINS + 1,
    runs_per_pin=2 * MOST_PAGES,
    swap=1 << 14,
)
"""As large as a random scenario can need: nobody knows it before the steps are there."""

SHORTEST, LONGEST = 10, 50
TRIES = 20
"""So many steps are proposed for one that is taken, before the scenario is as long as it gets."""
LOOPS = 0.1
"""How often what the specification never ends is given to a guest: each time costs minutes of its processor, and the
guest, and what is found is known (docs/findings.md)."""
RISK = "random steps, among them some that a kernel may not come back from"


@dataclass(frozen=True, slots=True)
class Made:
    """A scenario, and the film of the run on the model by which it was made, where one is kept."""

    scenario: s.Scenario
    film: Film | None


def generate(model: ModelTarget, wanted: Wanted, seed: int, number: int) -> s.Scenario:
    """Scenario `number` of a seed: see make()."""
    return make(model, wanted, seed, number).scenario


def make(model: ModelTarget, wanted: Wanted, seed: int, number: int) -> Made:
    """Scenario `number` of a seed: 10 to 50 steps, whatever comes of each.

    What the specification breaks at is the last step of its scenario.  What it never ends is so now and then, on a
    kernel that may loop; else the scenario ends before it.
    """
    rng = random.Random(f"{seed} {number} {wanted.profile}")
    length = rng.randint(SHORTEST, LONGEST)
    title = f"{wanted.profile} {seed}:{number}"
    steps: list[s.Step] = []
    things = Things(PMD_PAGES, PUD_PAGES)
    room = model.sized(ROOM)
    nothing = s.Scenario(title, ())
    with room.open(nothing) as session:
        film = Film(session, room.given(nothing))
        proposer = Proposer(rng, PROFILES[wanted.profile], session, things.unit, wanted)
        for _ in range(TRIES * length):
            if len(steps) == length:
                break
            step = proposer.step()
            if step is None:
                continue
            try:
                taken = things.step(step, len(steps) + 1)
                if things.loses_reserve(step) and not wanted.disposable:
                    continue
                assert isinstance(taken, s.Action)
                action = by_any(taken, proposer.taker(taken))
                outcome = session.do(action)
            except (Misuse, CannotDo):
                continue
            except Livelock:
                if wanted.disposable and rng.random() < LOOPS:
                    steps.append(taken)
                break
            except Broken:
                steps.append(taken)
                break
            steps.append(taken)
            film.take(action, outcome)
            proposer.did(taken)
    return Made(s.Scenario(title, tuple(steps), vm_only=RISK if wanted.disposable else None, observe=True), film)
