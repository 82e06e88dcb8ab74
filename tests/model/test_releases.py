"""What a release's row is made of: which value is in force, since when and by which commit."""

from __future__ import annotations

import pytest

from pinhold.mm.releases import commit, row
from pinhold.mm.rules import RULES
from pinhold.scenario.parse import parse
from pinhold.targets.model import ModelTarget
from pinhold.targets.runner import run_scenario

SHARED_ANON = "scenario fork, then a pin\nmap P x anon\nwrite P x 0x11\nfork P C\npin P x as p longterm\n"


@pytest.mark.parametrize(
    ("target", "by"),
    [
        (ModelTarget("6.1"), "a7f226604170"),
        (ModelTarget("6.1.192"), "a7f226604170"),
        (ModelTarget("6.2"), "84209e87c696"),
        (ModelTarget("6.2", switches={"gup_unshares": "anon"}), "a7f226604170"),
    ],
    ids=lambda given: given.name if isinstance(given, ModelTarget) else given,
)
def test_a_decision_is_told_with_the_commit_of_the_value_in_force(target: ModelTarget, by: str) -> None:
    """A kernel whose value is older than the newest did not decide so by the newest value's commit."""
    *_, pin = run_scenario(target, parse(SHARED_ANON)).steps
    assert {d.commit for d in pin.outcome.decisions if d.rule == "gup_unshares"} == {by}


def test_a_backport_has_the_commit_that_it_took_back() -> None:
    """What a stable series took from mainline is told by mainline's commit, and what it does not have is not."""
    seq = row("5.10.4")["write_protect_seq"]
    assert commit("write_protect_seq", "5.10.4", seq) == commit("write_protect_seq", "6.1", seq) == "57efa1fe5957"
    assert commit("write_protect_seq", "5.10.3", row("5.10.3")["write_protect_seq"]) == ""


def test_every_value_is_one_of_the_rules() -> None:
    """An entry names a value of its rule; mainline's come in order."""
    for rule in RULES:
        assert {value for _, value, _ in (*rule.since, *rule.stable)} <= set(rule.values)
        releases = [tuple(map(int, first.split("."))) for first, _, _ in rule.since[1:]]
        assert releases == sorted(set(releases))
        assert rule.since[0][0] == ""
