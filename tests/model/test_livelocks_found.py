"""Cycles in which no operation ends: found where the kernel has them, and only where nobody under way can end them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from by_hand import by_hand
from naive import machine
from pinhold.cli import main
from pinhold.explore.livelock import livelock
from pinhold.explore.moves import move
from pinhold.explore.moving import ByPython, Moves
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, maker_for
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper
from pinhold.explore.shortest import state_at
from pinhold.explore.via import WENT_ON, packed
from pinhold.explore.world import World, world
from pinhold.mm import releases

HALF = {"gup_unshares": "cow_longterm"}
WHOLE = {**HALF, "unshare_breaks": "cow_mapping"}


def ready(switches: Mapping[str, str], name: str = "seed-shmem") -> World:
    return world(library()[name], releases.switched(releases.row("6.1"), switches))


def by_python(made: World) -> ByPython:
    return ByPython(Stepper(made, properties=0, invariants=False))


def numbers(result: SearchResult) -> tuple[object, ...]:
    return (result.levels, result.transitions, result.violation, result.path, result.uses, result.sites)


def for_ever(made: World) -> set[bytes]:
    """The states out of which steps lead for ever without the begin or the end of an operation: of all states those are
    taken away, again and again, that have no such step to one that is left."""
    goes_on: dict[bytes, set[bytes]] = {}
    waiting = [made.machine.saved()]
    while waiting:
        state = waiting.pop()
        if state in goes_on:
            continue
        goes_on[state] = set()
        for task, menu in enumerate(made.menu):
            busy = machine(made, state).task_depth[task]
            for numbers in [(0,) * 7] if busy else [made.actions[action].numbers for action in menu]:
                chance, chances = 0, 1
                while chance < chances:
                    m = machine(made, state)
                    m.choice[0], m.choices[0] = chance, 1
                    if move(m, task, *numbers):
                        chances = m.choices[0]
                        waiting.append(m.saved())
                        if busy and m.task_depth[task]:
                            goes_on[state].add(m.saved())
                    chance += 1
    left = set(goes_on)
    while ended := {state for state in left if not goes_on[state] & left}:
        left -= ended
    return left


def test_the_half_patch_goes_round_for_ever_and_the_whole_one_does_not() -> None:
    """GUP asks for an unsharing that the fault does not do: found in the scope, by the shortest way; not in 6.1, nor
    with both halves.  The plainest way to look says the same."""
    result = livelock(by_python(ready(HALF)), 9)
    assert result.violation is not None and result.violation.cycle == 2
    assert len(result.path) == 6
    assert for_ever(ready(HALF))
    for switches in ({}, WHOLE):
        assert livelock(by_python(ready(switches)), 9).exhausted
        assert not for_ever(ready(switches))


def test_the_cycle_leads_back_to_where_it_begins() -> None:
    """Walked, its last state is its first, and no step of it begins an operation."""
    made = ready(HALF)
    result = livelock(by_python(made), 9)
    assert result.violation is not None
    stepper = Stepper(made)
    before = len(result.path) - result.violation.cycle
    assert state_at(stepper, result.path) == state_at(stepper, result.path[:before])
    assert all(via.action == WENT_ON for via in result.path[before:])


@pytest.mark.parametrize("switches", [HALF, WHOLE], ids=["half", "whole"])
def test_machine_code_comes_to_the_same(
    switches: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many states and transitions at each depth, and the same cycle."""
    pytest.importorskip("numba")
    made = ready(switches)
    by_hand(monkeypatch, made, tmp_path)
    found = livelock(maker_for(made, Options("compiled")), len(made.actions))
    expected = livelock(by_python(made), len(made.actions))
    assert numbers(found) == numbers(expected)


class Drawn:
    """A graph of one's own: state -> moves, each the task, what it begins or WENT_ON, and the next state; the tasks
    that are in an operation in each state, a bit each."""

    compile_seconds = 0.0

    def __init__(self, graph: Mapping[str, Sequence[tuple[int, int, str]]], busy: Mapping[str, int]) -> None:
        self.graph, self.busy = graph, busy

    def first(self) -> tuple[Any, str]:
        return ["start"], "start"

    def moves(self, level: Any) -> Iterator[Moves]:
        for source, state in enumerate(level):
            out = self.graph[state]
            after = [target for _, _, target in out]
            vias = [packed(task, action, 0) for task, action, _ in out]
            busy = [self.busy[target] for target in after]
            yield Moves([source] * len(out), vias, after, busy, [False] * len(out), after)

    def sites(self) -> frozenset[int]:
        return frozenset()

    def picked(self, states: Any, places: Sequence[int]) -> Any:
        return [states[place] for place in places]

    def joined(self, levels: Sequence[Any]) -> Any:
        return [state for level in levels for state in level]


ON = int(WENT_ON)
FAIR = {
    "alone": ({"start": [(0, 0, "a")], "a": [(0, ON, "b")], "b": [(0, ON, "a")]}, {"start": 0, "a": 1, "b": 1}, 2),
    "an end in the cycle": (
        {"start": [(0, 0, "a")], "a": [(0, ON, "b")], "b": [(0, ON, "start")]},
        {"start": 0, "a": 1, "b": 1},
        0,
    ),
    "another could go on and end it": (
        {
            "start": [(1, 1, "o")],
            "o": [(0, 0, "a")],
            "a": [(0, ON, "b"), (1, ON, "z")],
            "b": [(0, ON, "a"), (1, ON, "z")],
        }
        | {"z": [(0, ON, "start")]},
        {"start": 0, "o": 2, "a": 3, "b": 3, "z": 1},
        0,
    ),
    "another waits somewhere in it": (
        {"start": [(1, 1, "o")], "o": [(0, 0, "a")], "a": [(0, ON, "b"), (1, ON, "z")], "b": [(0, ON, "a")]}
        | {"z": [(0, ON, "start")]},
        {"start": 0, "o": 2, "a": 3, "b": 3, "z": 1},
        2,
    ),
    "another has to take a turn of its own in it": (
        {
            "start": [(1, 1, "o")],
            "o": [(0, 0, "a")],
            "a": [(0, ON, "b"), (1, ON, "c")],
            "b": [(0, ON, "a"), (1, ON, "c")],
        }
        | {"c": [(0, ON, "a"), (1, ON, "b")]},
        {"start": 0, "o": 2, "a": 3, "b": 3, "c": 3},
        4,
    ),
    "a step that changes nothing": ({"start": [(0, 0, "a")], "a": [(0, ON, "a")]}, {"start": 0, "a": 1}, 1),
}
"""Graph, tasks in an operation, and how long the cycle is that counts: 0 none does."""


@pytest.mark.parametrize("case", FAIR)
def test_a_cycle_counts_only_if_who_is_under_way_has_had_a_turn(case: str) -> None:
    """Each task in an operation moves in it, or waits somewhere; and no operation ends in it."""
    graph, busy, length = FAIR[case]
    result = livelock(Drawn(graph, busy), 2)
    assert (result.violation.cycle if result.violation else 0) == length


def test_the_command_tells_the_cycle_and_writes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 1, the cycle below its way, and a scenario whose verdict is livelock; 0 with both halves; 2 at a limit."""
    file = tmp_path / "round.pin"
    half = ["explore", "seed-shmem", "--livelock", "--rules", "6.1", "--without", "gup_unshares=cow_longterm"]
    assert main([*half, "-o", str(file)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "Found: operations go round for ever, in a cycle of 2 steps, 4 from the start." in out
    assert "from here on round and round: 5 driver … __get_user_pages" in out
    assert "pinhold run" in out and "shows it." in out
    assert main(["run", str(file), "--on", "model:6.1,gup_unshares=cow_longterm"]) == 1
    assert "livelock" in capsys.readouterr().out.lower()
    assert main([*half, "--without", "unshare_breaks=cow_mapping"]) == 0
    assert "Exhausted: every operation ends" in capsys.readouterr().out
    assert main([*half, "--depth", "3"]) == 2
    assert main([*half, "--format", "json", "-o", str(file)]) == 1
    assert '"asked":"livelock"' in file.read_text()
