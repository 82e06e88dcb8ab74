"""The rules beside the changelogs and the sources of the stable series (backports.toml, benchmarks/changelogs.py and
source_marks.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import source_marks
from changelogs import differences, first_releases, read_table
from pinhold.mm.releases import backports, entry, releases, stable
from pinhold.mm.rules import BY_NAME, RULES
from pinhold.mm.rules.switch import parts

TABLE = read_table()


def test_every_change_of_a_rule_is_listed_with_each_stable_series_before_it() -> None:
    """No later value of mainline without its change, and no series of an older release that is not spoken of."""
    changes = [change for change in TABLE.values() if "since" in change]
    listed = {(rule, value, c["since"]): c for c in changes for rule, value in c["rules"].items()}
    later = [(rule, since) for rule in RULES for since in rule.mainline[1:] if parts(since.release) > parts("5.10")]
    assert set(listed) == {(rule.name, since.value, since.release) for rule, since in later}
    for rule, since in later:
        change = listed[rule.name, since.value, since.release]
        assert change.get("commit", "") == since.commit, rule.name
        assert set(change["stable"]) == {s for s in releases() if stable(s) and parts(s) < parts(since.release)}, (
            rule.name
        )


def test_the_stable_entries_of_the_rules_are_the_backports_that_are_listed() -> None:
    """Each stable release at which a rule's value changes, the value, and the commit: there and nowhere else."""
    listed = {
        (rule, release, change.get("gives", {}).get(series, value), change.get("commit", ""))
        for change in TABLE.values()
        for rule, value in change["rules"].items()
        for series, release in change["stable"].items()
        if release
    }
    assert {(rule.name, s.release, s.value, s.commit) for rule in RULES for s in backports(rule)} == listed


@pytest.mark.parametrize(
    ("rule", "before", "first", "value"),
    [
        ("fork_skips_pud", "5.10.252", "5.10.253", "by_chance"),
        ("fork_skips_pud", "6.1.166", "6.1.167", "by_chance"),
        ("fork_skips_pud", "6.12.73", "6.12.74", "by_chance"),
        ("fork_copies_pinned", "5.10.152", "5.10.153", "anonymous"),
        ("io_uring_files", "5.10.172", "5.10.173", "hugetlb_shmem_one_file"),
        ("io_uring_files", "6.1.15", "6.1.16", "hugetlb_shmem_one_file"),
        ("io_uring_ring", "5.10.161", "5.10.162", "free"),
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
    last = f"{series}.{stable(series)[-1][-1]}"
    assert entry(BY_NAME[rule], before).value != value
    assert entry(BY_NAME[rule], first).value == value
    assert entry(BY_NAME[rule], last).value == (value if first != "6.1.130" else "yes")


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


def test_every_change_is_known_by_its_title_and_in_the_source() -> None:
    """A mark that a source can be asked for, or where none tells, the function that was read."""
    for title, change in TABLE.items():
        assert ("mark" in change) != ("read" in change), title
        if "mark" in change:
            assert set(change["mark"]) <= {"files", "names", "functions", "gone", "from", "until"}, title
            assert change["mark"]["files"] and change["mark"]["names"], title


SOURCE = """\
static int before(int x) { return helper(x); }

static __always_inline int decides(struct thing *t,
\t\tint flags)
{
\treturn t->mark_of_it & flags; /* not
\t\tsaid_only */
}

int after(void)
{
\treturn other;
}
"""


@pytest.mark.parametrize(
    ("names", "functions", "found"),
    [
        (["mark_of_it"], None, True),
        (["mark_of"], None, False),
        (["said_only"], ["decides"], False),
        (["nothing", "other"], None, True),
        (["mark_of_it"], ["decides"], True),
        (["mark_of_it"], ["after"], False),
        (["other"], ["decides", "after"], True),
        (["other"], ["gone"], False),
    ],
)
def test_a_mark_is_looked_for_as_a_word_in_its_function(
    tmp_path: Path, names: list[str], functions: list[str] | None, found: bool
) -> None:
    """Whole names only, and nothing of other functions or of comments."""
    (tmp_path / "a.c").write_text(SOURCE)
    mark = {"files": ["none.c", "a.c"], "names": names} | ({"functions": functions} if functions else {})
    assert source_marks.named(tmp_path, mark) == found


def test_which_source_should_have_a_mark() -> None:
    """From mainline's release on, or the stable release; unknown where neither the table nor the mark tells."""
    change = {
        "since": "6.6",
        "stable": {"5.10": "", "6.1": "6.1.9"},
        "also": {"6.5": "6.5.3"},
        "mark": {"until": "7.0"},
    }
    asked = [(5, 10, 262), (6, 1, 8), (6, 1, 10), (6, 4, 9), (6, 5, 2), (6, 5, 3), (6, 6, 0), (7, 0, 0)]
    answers = [False, False, True, False, False, True, True, None]
    assert [source_marks.expected(change, number) for number in asked] == answers
    alone = {"stable": {"6.1": "6.1.9"}, "mark": {"from": "6.0"}}
    assert [source_marks.expected(alone, number) for number in [(5, 10, 1), (6, 1, 9), (6, 12, 1)]] == [
        None,
        True,
        None,
    ]


def test_a_backport_that_the_table_does_not_know_is_told(tmp_path: Path) -> None:
    """As with a title that no changelog has: the source has the mark, and the table says that it should not."""
    (tmp_path / "6.1" / "mm").mkdir(parents=True)
    (tmp_path / "6.1" / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n")
    (tmp_path / "6.1" / "mm" / "mremap.c").write_text("static void remap_move(void)\n{\n}\n")
    told = source_marks.differences(tmp_path)
    assert any(
        "6.1.192: mm/mremap: permit mremap() move of multiple VMAs: does not have it here, but" in t for t in told
    )


@pytest.mark.skipif("PINHOLD_SOURCES" not in os.environ, reason="PINHOLD_SOURCES names no directory of them")
def test_the_sources_say_the_same() -> None:
    """Where sources of the kernel are at hand."""
    assert source_marks.differences(Path(os.environ["PINHOLD_SOURCES"])) == []
