"""benchmarks/: what it reads of the peers' output, and what it says where counts differ or a tool is missing."""

from __future__ import annotations

import json
import sys

import pytest

import peers
import sleep_sets
import steps
from peers import Contestant, Race
from pinhold.explore.scope import library
from pinhold.explore.search import Stepper
from pinhold.explore.world import world
from pinhold.mm import releases
from verifiers import Counts, PeerFailed, Run, rumur_counts, run, spin_counts

SPIN = """
State-vector 76 byte, depth reached 1640699, errors: {errors}
{states} states, stored
 86785246 states, matched
{transitions} transitions (= stored+matched)
"""


def test_spin_counts_as_far_as_it_prints_digits() -> None:
    """One transition more than there are; of a rounded number, all that it may stand for."""
    exact = spin_counts(SPIN.format(errors=0, states="280417", transitions="1147118"))
    assert exact == Counts(280_417, 1_147_117)
    assert not exact.agree(280_417, 1_147_118)
    rounded = spin_counts(SPIN.format(errors=0, states="26263930", transitions="1.1304918e+08"))
    assert rounded.agree(26_263_930, 113_049_174)
    assert not rounded.agree(26_263_930, 113_049_164)
    assert not rounded.agree(26_263_931, 113_049_174)


@pytest.mark.parametrize(
    "output", [SPIN.format(errors=1, states="12", transitions="30"), "pan: out of memory", "error: max search depth"]
)
def test_a_search_that_spin_did_not_end_counts_nothing(output: str) -> None:
    """An error, or too little memory, is not taken for counts."""
    with pytest.raises(PeerFailed, match="did not exhaust"):
        spin_counts(output)


def test_rumur_counts_only_without_an_error() -> None:
    """States and rules fired, from the summary."""
    assert rumur_counts("No error found.\n\n\t804 states, 2020 rules fired in 0s.") == Counts(804, 2020)
    with pytest.raises(PeerFailed, match="did not exhaust"):
        rumur_counts("1 error(s) found.\n\n\t804 states, 2020 rules fired in 0s.")


def test_a_program_that_fails_is_named() -> None:
    """Its status and its last words."""
    with pytest.raises(PeerFailed, match="ended with status 3: no more"):
        run([sys.executable, "-c", "print('no more'); raise SystemExit(3)"])


def contestant(name: str, symmetric: bool, states: int, transitions: int, threads: int = 1) -> Contestant:
    said = json.dumps(
        {"exhausted": True, "states": states, "transitions": transitions, "seconds": 1.0, "wall": 4.0 / threads}
    )
    runs = [Run(said, 9.0, 1.5, 1 << 20)]
    return Contestant(name, symmetric, (), peers.json_counts, peers.json_seconds, 2.0, None, threads, runs)


def race(*, ours: int = 3_183, rumur: int = 2_020) -> Race:
    everyone = [
        contestant("SPIN, depth first", False, 1_297, 3_183),
        contestant("pinhold", False, 1_297, ours),
        contestant("Rumur", True, 804, rumur),
        contestant("pinhold", True, 804, 2_020),
    ]
    return Race(library()["bench-tiny"], everyone, {"step": 0.5})


def test_counts_that_differ_are_said() -> None:
    """Who counts what, and what pinhold counts."""
    assert race().disagreements() == []
    assert race(rumur=2_021).disagreements() == [
        "bench-tiny: Rumur counts 804 states and 2,021 transitions, not 804 states and 2,020 transitions"
    ]
    assert race(ours=3_184).disagreements() == [
        "bench-tiny: SPIN, depth first counts 1,297 states and 3,183 transitions, "
        "not 1,297 states and 3,184 transitions"
    ]


def test_the_table_has_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Cold, start, search, elapsed, per transition, per state, and how many times faster than SPIN: several threads by
    the time that elapses."""
    first = contestant("SPIN, depth first", False, 1_297, 3_183)
    peers.print_head("bench-tiny", first)
    peers.print_row(contestant("Rumur", True, 804, 2_020), first)
    peers.print_row(contestant("Rumur, 2 threads", True, 804, 2_020, threads=2), first)
    head, *rows = capsys.readouterr().out.splitlines()[1:]
    assert "bench-tiny, beside SPIN, depth first" in head
    assert [row.split("symmetry")[1].split() for row in rows[1:]] == [
        ["804", "2.0", "0.50", "1.00", "4.00", "495,050", "1,304", "1.0", "1.0"],
        ["804", "2.0", "0.50", "1.00", "2.00", "495,050", "1,304", "2.0", "1.0"],
    ]


def test_a_missing_tool_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 4, and what to install."""
    monkeypatch.setattr(peers, "missing", lambda: ["spin", "rumur"])
    monkeypatch.setattr(sys, "argv", ["peers.py", "bench-tiny"])
    assert peers.main() == 4
    assert capsys.readouterr().err == "missing: spin, rumur; as root: apt-get install spin rumur\n"


def test_steps_are_counted_on_what_both_trees_can_read(tmp_path, monkeypatch, capsys) -> None:
    """A tree that does not know `observe` gets the scenarios without it, and those alone that it can read."""
    ran: list[tuple[str, list[str]]] = []

    def told(tree, program, texts, *_):
        if program == steps.READ:
            return json.dumps([n for n, text in enumerate(texts) if "observe" not in text and "collapse" not in text])
        ran.append((tree.name, list(texts)))
        return json.dumps([10 * len(texts), 2.0 if tree == tmp_path else 0.5, 4.0 if tree == tmp_path else 2.0])

    texts = [
        "scenario a\nobserve\ndrain\n",
        "scenario b\nobserve\nmadvise P x collapse\n",
        "scenario c\nobserve\ndrain\n",
    ]
    monkeypatch.setattr(steps, "scenarios", lambda seed, number: texts)
    monkeypatch.setattr(steps, "told", told)
    monkeypatch.setattr(sys, "argv", ["steps.py", str(tmp_path), "--rounds", "1"])
    assert steps.main() == 0
    assert ran == [
        (steps.HERE.name, [texts[0], texts[2]]),
        (tmp_path.name, ["scenario a\ndrain\n", "scenario c\ndrain\n"]),
    ]
    said = capsys.readouterr().out
    assert "here: 20 steps, 40 a second, 10 a second of processor time" in said
    assert "ratio: 4.00 of wall time, 2.00 of processor time" in said


def test_a_tree_that_cannot_run_is_said(tmp_path, monkeypatch, capsys) -> None:
    """A directory without the package: its last words, and status 4."""
    monkeypatch.setattr(steps, "scenarios", lambda seed, number: ["scenario a\n"])
    monkeypatch.setattr(steps, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["steps.py", "--rounds", "1"])
    monkeypatch.setattr(steps, "LIVE", "raise SystemExit('no such package')")
    assert steps.main() == 4
    assert f"{tmp_path}: no such package" in capsys.readouterr().err


def grid(steps: int) -> list[sleep_sets.State]:
    """Two tasks that take so many steps each and have nothing to do with each other."""
    side = steps + 1

    def moves(x: int, y: int) -> sleep_sets.State:
        one = {0: [(x + 1) * side + y]} if x < steps else {}
        other = {0: [x * side + y + 1]} if y < steps else {}
        return [one, other]

    return [moves(x, y) for x in range(side) for y in range(side)]


def test_sleep_sets_go_one_way_to_each_state() -> None:
    """Where all moves commute, what is left is a tree; where none does, everything."""
    assert sleep_sets.transitions(grid(3)) == 24
    visited = sleep_sets.visit(grid(3))
    assert (visited.states, visited.transitions) == (16, 15)
    apart: list[sleep_sets.State] = [[{0: [1]}, {0: [2]}], [{}, {}], [{}, {}]]
    assert sleep_sets.visit(apart) == sleep_sets.Visit(3, 2, 1)


def test_what_moves_commute_is_seen_action_by_action() -> None:
    """A move that takes another's away, one that gives it one, and two that end apart do not commute."""
    square = grid(1)
    assert sleep_sets.commute(square, 0, 0, 1)
    taken = [square[0], [{}, {}], square[2], square[3]]
    assert not sleep_sets.commute(taken, 0, 0, 1)
    given = [square[0], [{0: [3], 1: [3]}, {}], square[2], square[3]]
    assert not sleep_sets.commute(given, 0, 0, 1)
    apart = [*square[:2], [{}, {0: [4]}], square[3], [{}, {}]]
    assert not sleep_sets.commute(apart, 0, 0, 1)


def test_a_state_that_wakes_is_expanded_again() -> None:
    """bench-tiny has states that a longer way comes by with fewer tasks asleep: none is lost, and some are expanded
    more than once."""
    scope = library()["bench-tiny"]
    graph = sleep_sets.graph_of(Stepper(world(scope, releases.row(scope.rules))))
    visited = sleep_sets.visit(graph)
    assert (len(graph), sleep_sets.transitions(graph)) == (scope.states, scope.transitions)
    assert visited.states == len(graph)
    assert visited.transitions < sleep_sets.transitions(graph)
