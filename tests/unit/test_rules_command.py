"""`pinhold rules`: the switches, a release's row, and what differs between two."""

import pytest

from pinhold.cli import main
from pinhold.mm.releases import held, releases, row
from pinhold.mm.rules import RULES, Commit


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints, as one line of words."""
    assert main(["rules", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_list_has_every_switch_with_commit_and_first_release(capsys: pytest.CaptureFixture[str]) -> None:
    """Each switch is there by name, with its function, its commit and since when each value holds."""
    text = printed(capsys, "list")
    for rule in RULES:
        about = text.partition(f" {rule.name} {rule.doc} Decided in {rule.function}(). ")[2]
        for value in rule.values:
            said = about.partition(f"{value.name}: {value.sentence}.")[2]
            assert said, f"{rule.name}={value.name}"
            if isinstance(value.by, Commit) and value.by.since.count(".") == 1:
                assert f"since {value.by.since} (commit {value.by.hash})" in said
    assert "pages. none: no read-only pin breaks COW." not in text
    assert "in the stable series since 5.10.153 (commit 935a8b620210)" in text
    assert printed(capsys) == text


@pytest.mark.parametrize("release", releases())
def test_a_release_is_shown_with_a_value_of_each_switch(capsys: pytest.CaptureFixture[str], release: str) -> None:
    """The row is printed by the names of its values, each with the commit that brought it and how it is known."""
    text = printed(capsys, "show", release)
    values = row(release)
    assert all(f"{rule.name} {rule.names[values[rule.name]]}" in text for rule in RULES)
    assert all(str(held(rule, release).evidence) in text for rule in RULES)
    assert ("gup_unshares anon a7f226604170 source (include/linux/mm.h:" in text) == (release == "6.1")


def test_a_stable_release_is_shown_with_the_entry_that_brought_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    """What the changelog lists, and from which release on; all else is as in the release that it is of."""
    assert "fork_skips_pud by_chance 14967a9c7d24 changelog (6.1.167, 'mm/hugetlb: fix" in printed(
        capsys, "show", "6.1.192"
    )
    assert "fork_skips_pud no changelog (before 6.1.167)" in printed(capsys, "show", "6.1.166")


def test_a_difference_has_the_changed_switches_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """From 6.1 to 6.2 the switch of the seed turns, and PageAnonExclusive was there before."""
    text = printed(capsys, "diff", "6.1", "6.2")
    assert "gup_unshares: anon in 6.1, cow_longterm in 6.2" in text
    assert "6.2: history (after 84209e87c696)" in text
    assert "anon_exclusive:" not in text
    assert printed(capsys, "diff", "6.2", "6.2") == "6.2 and 6.2 have the same rules."


@pytest.mark.parametrize("arguments", [["show", "6.3"], ["diff", "6.1", "6.3"]])
def test_an_unknown_release_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Status 3 and one line that names a release with a row."""
    assert main(["rules", *arguments]) == 3
    err = capsys.readouterr().err
    assert "6.3" in err
    assert "6.2" in err
    assert err.count("\n") == 1
