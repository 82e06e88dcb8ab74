"""benchmarks/saved_runs.py: what it takes from a run file, and what it says of two trees."""

from __future__ import annotations

from typing import Any

from saved_runs import Comparison, facts_of_run

RUN: list[dict[str, Any]] = [
    {"line": "header", "schema": 1, "pinhold": "0.1.0"},
    {"line": "scenario", "run": 0, "name": "seed/1", "text": "scenario one\n"},
    {
        "line": "step",
        "run": 0,
        "index": 0,
        "step": "map P x anon",
        "observation": {"errno": 0},
        "decisions": [{"site": "wp_copy", "commit": "a", "sentence": "said so"}],
    },
    {"line": "verdict", "run": 0, "verdict": {"kind": "held"}, "seconds": 0.5},
    {"line": "end", "runs": 1},
]


def facts(**changed: Any) -> dict[str, str]:
    """Of the run with this changed in every line that has it."""
    return dict(facts_of_run(iter([record | {k: v for k, v in changed.items() if k in record} for record in RUN])))


def test_how_long_it_took_and_how_a_decision_is_told_are_no_facts() -> None:
    """Another version, other seconds, another sentence: nothing differs."""
    said = facts(pinhold="9", seconds=7.0, decisions=[{"site": "wp_copy", "commit": "b", "sentence": "told anew"}])
    assert Comparison("it", facts(), said).differing == []
    assert len(said) == 5


def test_what_differs_is_named_with_both_values() -> None:
    """An errno, a decision, a verdict, a test that is missing."""
    here = facts(observation={"errno": -14}, decisions=[], verdict={"kind": "violated"})
    found = Comparison("it", facts(), here)
    assert found.differing == [
        "seed/1 1 'map P x anon' observation",
        "seed/1 1 'map P x anon' decisions",
        "seed/1 verdict",
    ]
    assert '    base: {"kind": "held"}' in list(found.lines())
    assert Comparison("it", facts(), {}).differing == list(facts())


def test_what_only_this_tree_has_is_told_apart() -> None:
    """A new test is no difference; it is listed once, however much there is of it."""
    added = {f"known/collapse {what}": "" for what in ("text", "verdict")}
    found = Comparison("it", facts(), facts() | added)
    assert found.differing == []
    assert list(found.lines()) == ["it: 5 compared, 0 differ, 2 only here", "  only here: known/collapse"]


def test_what_the_base_has_two_values_of_is_passed_over() -> None:
    """Its own second run differs there: the kernel's doing."""
    found = Comparison("it", facts(), facts(verdict={"kind": "skipped"}), frozenset({"seed/1 verdict"}))
    assert found.differing == []
    assert next(found.lines()).endswith("1 passed over, in which the base differs from itself")
