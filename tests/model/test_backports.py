"""The rules beside the changelogs of the stable series (backports.toml, benchmarks/changelogs.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from changelogs import differences, first_releases, read_table
from pinhold.mm.releases import STABLE, entry, parts
from pinhold.mm.rules import BY_NAME, RULES

TABLE = read_table()


def test_every_change_of_a_rule_is_listed_with_each_stable_series_before_it() -> None:
    """No later value of mainline without its change, and no series of an older release that is not spoken of."""
    listed = {(rule, value): c for c in TABLE.values() if "since" in c for rule, value in c["rules"].items()}
    later = [(rule, entry) for rule in RULES for entry in rule.since[1:] if parts(entry[0]) > parts("5.10")]
    assert set(listed) == {(rule.name, value) for rule, (_, value, _) in later}
    for rule, (first, value, commit) in later:
        change = listed[rule.name, value]
        assert (change["since"], change.get("commit", "")) == (first, commit), rule.name
        assert set(change["stable"]) == {series for series in STABLE if parts(series) < parts(first)}, rule.name


def test_the_stable_entries_of_the_rules_are_the_backports_that_are_listed() -> None:
    """Each stable release at which a rule's value changes, the value, and the commit: there and nowhere else."""
    listed = {
        (rule, release, change.get("gives", {}).get(series, value), change.get("commit", ""))
        for change in TABLE.values()
        for rule, value in change["rules"].items()
        for series, release in change["stable"].items()
        if release
    }
    assert {(rule.name, *entry) for rule in RULES for entry in rule.stable} == listed


@pytest.mark.parametrize(
    ("rule", "before", "first", "value"),
    [
        ("fork_skips_pud", "5.10.252", "5.10.253", "by_chance"),
        ("fork_skips_pud", "6.1.166", "6.1.167", "by_chance"),
        ("fork_skips_pud", "6.12.73", "6.12.74", "by_chance"),
        ("fork_copies_pinned", "5.10.152", "5.10.153", "anonymous"),
        ("io_uring_files", "5.10.161", "5.10.162", "hugetlb_shmem"),
        ("zero_page_pin_exempt", "6.1.129", "6.1.130", "slow_fails"),
        ("zero_page_pin_exempt", "6.1.134", "6.1.135", "yes"),
        ("lazyfree_thp", "6.12.116", "6.12.117", "split"),
        ("pmd_modify_dirty", "6.12.110", "6.12.111", "kept"),
        ("hugetlb_restores_reserve", "6.12.109", "6.12.110", "last_unmap"),
    ],
)
def test_a_value_begins_with_its_stable_release(rule: str, before: str, first: str, value: str) -> None:
    """The release before has another one, and the last that was read still has it."""
    series = first.rpartition(".")[0]
    last = f"{series}.{STABLE[series][-1][-1]}"
    assert entry(BY_NAME[rule], before)[1] != value
    assert entry(BY_NAME[rule], first)[1] == value
    assert entry(BY_NAME[rule], last)[1] == (value if first != "6.1.130" else "yes")


CHANGELOG = """\
linux (9.9.3-1) unstable; urgency=medium

  * New upstream stable update:
    https://www.kernel.org/pub/linux/kernel/v9.x/ChangeLog-9.9.2
    - [amd64] mm: one thing that is too long for a line
      of it (CVE-2026-1) (regression in 9.9.1)
    - mm: one thing that is too long for a line of another kind
    https://www.kernel.org/pub/linux/kernel/v9.x/ChangeLog-9.9.3
    - Revert "mm: other"
    - mm: other

  [ A Person ]
    - mm: ours
linux (9.8.1-1) unstable; urgency=medium
    https://www.kernel.org/pub/linux/kernel/v9.x/ChangeLog-9.8.1
    - mm: older
"""


def test_a_changelog_is_read_title_by_title() -> None:
    """Over lines, without architecture and remarks; nothing of Debian's own, of reverts or of other series."""
    one = "mm: one thing that is too long for a line of it"
    titles = [one, "mm: other", "mm: ours", "mm: older", "mm: one"]
    found = first_releases(CHANGELOG.splitlines(), "9.9", titles)
    assert found == {one: "9.9.2", "mm: other": "9.9.3"}


@pytest.mark.skipif("PINHOLD_CHANGELOGS" not in os.environ, reason="PINHOLD_CHANGELOGS names no directory of them")
def test_the_changelogs_say_the_same() -> None:
    """Where Debian's changelogs are at hand."""
    assert differences(Path(os.environ["PINHOLD_CHANGELOGS"])) == []
