"""Pools: a pin's name may stand for several pins at once, and which slot each has makes no difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from naive import every_state
from pinhold.explore import moves
from pinhold.explore.history import bad_world
from pinhold.explore.moves import pin_slot
from pinhold.explore.replay import Replay
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.scope import Scope, library
from pinhold.explore.search import Stepper, search
from pinhold.explore.story import scenario, story
from pinhold.explore.via import Via
from pinhold.explore.world import World, world
from pinhold.mm import pinning, releases
from pinhold.mm.flags import NO_MM, PIN_FREE
from pinhold.mm.pinning import unpin
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE
from pinhold.mm.state import State
from pinhold.scenario import steps as s
from pinhold.scenario.parse import parse
from pinhold.scenario.verdict import Verdict
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

PIN, WRITE_PIN = "pin P x as p longterm", "pin P x as p write longterm"

TWO = library()["two-buffers"]
ONE = replace(TWO, pools={})
NARROW = replace(
    TWO,
    small=replace(TWO.small, pages=2, memory_ends=1),
    tasks={"cpu": ("write P x 1", "fork P C"), "driver": (PIN, "unpin p")},
)
LOST_AT_FORK = {"fork_copies_pinned": "none"}


def good(scope: Scope) -> World:
    return world(scope, releases.row(scope.rules))


def bad(scope: Scope) -> World:
    return world(scope, releases.switched(releases.row(scope.rules), LOST_AT_FORK))


def both(ready: World) -> list[SearchResult]:
    """The searches with symmetry and without."""
    return [search(Stepper(ready, symmetric=symmetric)) for symmetric in (True, False)]


def test_symmetry_gives_the_same_verdicts() -> None:
    """Good rules are exhausted, in the known numbers; the pin that is lost at fork comes as early."""
    symmetric, plain = both(good(TWO))
    assert (symmetric.states, symmetric.transitions, symmetric.depth) == (TWO.states, TWO.transitions, TWO.depth)
    assert symmetric.exhausted
    assert plain.exhausted
    assert all(symmetric.uses)
    found = both(bad(TWO))
    assert [result.violation for result in found] == [Violation(LONGTERM_PIN_RELIABLE)] * 2
    assert len({len(result.path) for result in found}) == 1


def test_the_plainest_search_agrees() -> None:
    """In a smaller scope, as many states at each depth as without symmetry, none bad; and bad rules as early."""
    naive, (_, plain) = every_state(good(NARROW)), both(good(NARROW))
    assert (naive.levels, naive.transitions, naive.bad) == (plain.levels, plain.transitions, -1)
    assert [len(result.path) for result in both(bad(NARROW))] == [every_state(bad(NARROW)).bad] * 2


def test_which_free_slot_is_taken_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking the highest instead of the lowest, every level has as many states."""
    lowest = both(good(NARROW))

    def highest(m: State, first: int, state: int) -> int:
        slots = range(first, first + 1 + m.pool_rest[first])
        free = [slot for slot in slots if m.pin_state[slot] == PIN_FREE]
        return max(free, default=moves.NO_PIN) if state == PIN_FREE else pin_slot(m, first, state)

    monkeypatch.setattr(moves, "pin_slot", highest)
    assert [(r.levels, r.transitions) for r in both(good(NARROW))] == [(r.levels, r.transitions) for r in lowest]


def test_two_pins_show_what_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that forgot with the first unpin that a process has pins would be right as long as there is one; with
    two, fork shares the page that the other holds.  (mm->has_pinned is never cleared: 008cfe4418b3.)"""

    def forgetful(m: State, pin: int) -> None:
        if m.pin_mm[pin] != NO_MM:
            m.mm_has_pinned[m.pin_mm[pin]] = 0
        unpin(m, pin)

    monkeypatch.setattr(pinning, "unpin", forgetful)
    assert search(Stepper(good(ONE))).exhausted
    found = search(Stepper(good(TWO)))
    assert found.violation == Violation(LONGTERM_PIN_RELIABLE)
    assert "unpin p" in [str(good(TWO).actions[via.action]) for via in found.path]


# --- told, and written as scenarios ---


def way(ready: World, *wanted: tuple[str, int]) -> Iterator[Via]:
    """The moves of these operations one after the other, each with the outcome that chance has for its first step."""
    stepper = Stepper(ready)
    state = stepper.first()
    for text, chance in wanted:
        action = next(n for n, action in enumerate(ready.actions) if str(action) == text)
        found = (
            (via, after) for via, after in stepper.successors(state) if (via.action, via.chance) == (action, chance)
        )
        via, state = next(found)
        yield via
        while True:
            goes_on = [x for x in stepper.successors(state) if x[0].action < 0]
            if not goes_on:
                break
            via, state = goes_on[0]
            yield via


def told(scope: Scope, *wanted: tuple[str, int]) -> tuple[World, tuple[Via, ...], list[s.Step]]:
    ready = good(scope)
    path = tuple(way(ready, *wanted))
    return ready, path, [m.begins for m in Replay(ready, path).moments() if m.begins is not None]


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up violation is taken for one: a scenario is run before it is written."""
    monkeypatch.setattr("pinhold.explore.story.outcome", lambda *_: Verdict("violated"))


@pytest.mark.usefixtures("believed")
def test_each_pin_has_a_name_of_its_own() -> None:
    """p, p2, p3 in the order in which they are taken; letting go names the one that goes; and the language takes it."""
    ready, path, steps = told(TWO, (PIN, 0), (WRITE_PIN, 0), ("unpin p", 0), (PIN, 0), ("unpin p", 1))
    holds = [step.pin for step in steps if isinstance(step, s.Hold)]
    gone = [step.pin for step in steps if isinstance(step, s.Unpin)]
    assert holds == ["p", "p2", "p3"]
    assert gone[0] != "p3"
    assert not any(moment.chance for moment in Replay(ready, path).moments()), "chance chose the pin, which is named"
    assert gone[1] in {"p", "p2", "p3"} - {gone[0]}
    text = scenario(ready, path, Violation(LONGTERM_PIN_RELIABLE))
    assert [step.pin for step in parse(text).steps if isinstance(step, s.Unpin)] == gone
    assert run_scenario(ModelTarget("6.2"), parse(text)).verdict.kind == "held"
    assert "pin p3: holds frame 1" in " ".join(story(ready, path, Violation(LONGTERM_PIN_RELIABLE)).split())


@pytest.mark.usefixtures("believed")
def test_a_pin_taken_again_has_a_new_name_too() -> None:
    """Without a pool as with one: a scenario gives a name once."""
    ready, path, steps = told(ONE, (PIN, 0), ("unpin p", 0), (PIN, 0))
    assert [step.pin for step in steps if isinstance(step, (s.Pin, s.Unpin))] == ["p", "p", "p2"]
    text = scenario(ready, path, Violation(LONGTERM_PIN_RELIABLE))
    assert "expect p2 sees P x" in text
    assert run_scenario(ModelTarget("6.2"), parse(text)).verdict.kind == "held"


def test_a_name_that_is_another_pins_is_passed_over() -> None:
    """Beside a pin p2, the second of p is p3."""
    three = replace(TWO, tasks={**TWO.tasks, "other": ("pin P x as p2", "unpin p2")})
    _, _, steps = told(three, (PIN, 0), ("pin P x as p2", 0), (PIN, 0))
    assert [step.pin for step in steps if isinstance(step, s.Pin)] == ["p", "p2", "p3"]


def test_the_pin_that_is_wrong_is_the_one_that_is_shown() -> None:
    """Not the last one taken, which came after the write and is right."""
    tasks = {**TWO.tasks, "reader": ("read P x",)}
    stale = replace(TWO, rules="6.1", setup=("map P x memfd private",), tasks=tasks)
    ready, path, _ = told(stale, ("read P x", 0), (PIN, 0), ("write P x 0x01", 0), (PIN, 0))
    assert list(Replay(ready, path).moments())[-1].wrong == ("p",)
    text = scenario(ready, path, Violation(LONGTERM_PIN_RELIABLE))
    assert "expect p sees P x" in text
    assert run_scenario(ModelTarget("6.1"), parse(text)).verdict.kind == "violated"
    assert run_scenario(ModelTarget("6.2"), parse(text)).verdict.kind == "held"


def test_a_race_of_a_pool_is_a_schedule() -> None:
    """As of one pin: models replay it, and it is sound without the switch."""
    scope = replace(library()["fork-races-gup-fast"], pools={"p": 2})
    ready = bad_world(scope)
    result = search(Stepper(ready))
    assert result.violation is not None
    text = parse(scenario(ready, result.path, result.violation))
    assert text.small is not None
    assert run_scenario(ModelTarget(scope.rules, switches=scope.without), text).verdict.kind == "violated"
    assert run_scenario(ModelTarget(scope.rules), text).verdict.kind == "held"


def test_a_pin_of_the_set_up_is_one_of_its_pool() -> None:
    """Wherever the set-up took it: it can be let go of, and leaves its name to nobody."""
    held = replace(TWO, setup=(*TWO.setup, "pin P x as q", "pin P x as p", "unpin q"))
    _, _, steps = told(held, ("unpin p", 0), (PIN, 0), (PIN, 0))
    assert [step.pin for step in steps if isinstance(step, (s.Pin, s.Unpin))] == ["p", "p2", "p3"]
    assert good(held).machine.pin_state[held.pins["p"].start]
