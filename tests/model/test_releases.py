"""What a release's row is made of: which value is in force, since when and by which commit."""

from __future__ import annotations

import pytest

from pinhold.mm.releases import UnknownRelease, backports, commit, older, releases, row, stable, stand_in
from pinhold.mm.rules import RULES
from pinhold.mm.rules.switch import parts
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
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
    told = {(d.value, d.commit) for d in pin.outcome.decisions if d.rule == "gup_unshares"}
    assert told == {("anon" if by == "a7f226604170" else "cow_longterm", by)}


def test_a_backport_has_the_commit_that_it_took_back() -> None:
    """What a stable series took from mainline is told by mainline's commit, and what it does not have is not."""
    seq = row("5.10.4")["write_protect_seq"]
    assert commit("write_protect_seq", "5.10.4", seq) == commit("write_protect_seq", "6.1", seq) == "57efa1fe5957"
    assert commit("write_protect_seq", "5.10.3", row("5.10.3")["write_protect_seq"]) == ""


def test_every_value_is_one_of_the_rules() -> None:
    """An entry names a value of its rule; mainline's come in order."""
    for rule in RULES:
        assert {since.value for since in (*rule.mainline, *backports(rule))} <= set(rule.names)
        begun = [parts(since.release) for since in rule.mainline]
        assert begun == sorted(set(begun))
        assert begun[0] == ()


@pytest.mark.parametrize(
    ("release", "told"),
    [
        ("5.10.400", "of this stable series 5.10.0 to 5.10.262 are known; nearest: 5.10.262"),
        ("6.1.193", "of this stable series 6.1.0 to 6.1.192 are known; nearest: 6.1.192"),
        ("6.18.30", "of this stable series 6.18.0 to 6.18.15 and 6.18.44 are known; nearest: 6.18.15"),
        ("6.18.90", "of this stable series 6.18.0 to 6.18.15 and 6.18.44 are known; nearest: 6.18.44"),
        ("6.2.1", "the stable series 6.2.1 has not been read; nearest: 6.2"),
        ("6.6.30", "its source has not been read; known: 5.10, 6.1, 6.2, 6.12, 6.18, 7.3; nearest: 6.2"),
        ("7.9", "its source has not been read; known: 5.10, 6.1, 6.2, 6.12, 6.18, 7.3; nearest: 7.3.4"),
    ],
)
def test_a_release_that_was_not_read_says_how_far_was_read(release: str, told: str) -> None:
    """No row beyond the evidence, and none between two ends that differ."""
    with pytest.raises(UnknownRelease) as refused:
        row(release)
    assert str(refused.value) == f"no rules for {release}: {told}"


def test_the_releases_that_are_known_are_those_with_a_row() -> None:
    """The last one that was read is in, the next is not."""
    for series in releases():
        last = stable(series)[-1][-1] if stable(series) else -1
        assert row(f"{series}.{last}" if last >= 0 else series)
        with pytest.raises(UnknownRelease):
            row(f"{series}.{last + 1}")


@pytest.mark.parametrize(
    ("release", "nearest"),
    [("6.1.192", "6.1.192"), ("6.1.250-1-amd64", "6.1.192"), ("6.18.30", "6.18.15"), ("6.18.90", "6.18.44"),
     ("6.2.9", "6.2"), ("7.3.77", "7.3.4"), ("7.4.2", "7.3.4")],
)  # fmt: skip
def test_the_nearest_rules_stand_in_for_a_kernel_that_is_newer_than_what_was_read(release: str, nearest: str) -> None:
    """The row before it in its series, or the newest of all; and it is said where it is another one."""
    found, why = stand_in(release)
    assert found == nearest
    assert bool(why) == (release != nearest)
    assert nearest in why or not why


def test_nothing_stands_in_for_a_kernel_between_two_releases() -> None:
    """Which of the changes between 6.2 and 6.12 a 6.6 has is not known."""
    with pytest.raises(UnknownRelease):
        stand_in("6.6.30")


@pytest.mark.parametrize(
    ("release", "rules"), [("7.2.12", "6.18"), ("6.6.30", "6.2"), ("6.3-rc1", "6.2"), ("5.15", "5.10")]
)
def test_the_older_rules_stand_in_for_a_release_between_two(release: str, rules: str) -> None:
    """Never a later one, however near, and a sentence says so."""
    found, why = older(release)
    assert found == rules
    assert why.startswith(f"no rules for {release}: ")
    assert why.endswith(f"the next older: {rules}, whose rules stand in")


@pytest.mark.parametrize("release", ["6.1", "6.1.192", "6.1.999", "9.9"])
def test_where_no_older_rules_are_needed_the_nearest_stand_in(release: str) -> None:
    """A series that was read, and what is newer than all."""
    assert older(release) == stand_in(release)


def test_older_than_all_has_no_rules() -> None:
    """There is nothing that could stand in."""
    with pytest.raises(UnknownRelease, match=r"no rules for 4\.4"):
        older("4.4")
