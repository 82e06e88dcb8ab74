"""What no search comes by, worked out from the records of searches."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pinhold.cli import main
from pinhold.explore.coverage import RULE_OF, coverage
from pinhold.mm.rules import RULES
from pinhold.mm.sites import SITES
from pinhold.scenario.ran import Search


def record(rules: str, *passed: str, **switched: str) -> Search:
    return Search("any", rules, switched, 1, 1, (1,), passed=passed)


def test_what_no_record_has_is_missing() -> None:
    """Without records every decision and every rule that a decision tells of; with one what it has is not."""
    nothing = coverage([])
    assert nothing.sites == tuple(site.name for site in SITES)
    assert set(nothing.rules) | set(nothing.silent) == {rule.name for rule in RULES}
    assert set(nothing.silent).isdisjoint(RULE_OF.values())
    one = coverage([record("6.2", "must_unshare_cow_mapping")])
    assert set(nothing.sites) - set(one.sites) == {"must_unshare_cow_mapping"}
    assert set(nothing.rules) - set(one.rules) == {"gup_unshares"}


def test_a_value_counts_where_a_decision_of_its_rule_was_taken() -> None:
    """The release's value, or the switched one; a search that takes none of its decisions shows nothing of a value."""
    one = coverage([record("6.2", "must_unshare_cow_mapping"), record("5.10", "wp_copy")])
    assert one.values == (("gup_unshares", "none"), ("gup_unshares", "anon"))
    both = coverage(
        [record("6.2", "must_unshare_cow_mapping"), record("6.2", "unshare_rule_absent", gup_unshares="anon")]
    )
    assert both.values == (("gup_unshares", "none"),)


def test_scopes_are_searched_whatever_is_bad_in_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Under their own rules, those that bring the defect back, and those asked for; the records are written, read back
    they say the same."""
    file = tmp_path / "searches.json"
    command = ["explore", "--coverage", "seed-shmem", "--rules", "5.10"]
    assert main([*command, "--format", "json", "-o", str(file)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("3 searches.\n")
    assert "must_unshare_cow_mapping" not in out and "fast_fork_seen" in out
    assert "gup_unshares=" not in out
    assert main(["explore", "--coverage", str(file)]) == 1
    assert capsys.readouterr().out == out
    assert main(["explore", "--coverage", "seed-shmem", "--depth", "3"]) == 2


def test_gaps_are_tests_for_continuous_integration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each search one, and each sort of what can be missing one, which fails with the names."""
    file = tmp_path / "searches.xml"
    command = ["explore", "--coverage", "seed-shmem", "--format", "junit", "-o", str(file)]
    assert main(command) == 1
    out = capsys.readouterr().out
    (suite,) = ET.fromstring(file.read_text())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "3", "0")
    missing = {case.get("name"): case.find("failure") for case in suite if case.get("classname") == "coverage"}
    failure = missing["Values of rules that decide nowhere"]
    assert failure is not None
    assert f"Values of rules that decide nowhere, 4: {failure.get('message')}." in " ".join(out.split())


def test_what_does_not_go_with_coverage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3 and a line; so for several releases of a search."""
    assert main(["explore", "--coverage", "seed-shmem", "--without", "gup_unshares"]) == 3
    assert "--coverage goes with" in capsys.readouterr().err
    assert main(["explore", "seed-shmem", "--rules", "6.1", "--rules", "6.2"]) == 3
    assert "--rules is given once" in capsys.readouterr().err
    assert main(["explore", "--coverage", "seed-shmen"]) == 3
    assert "did you mean seed-shmem?" in capsys.readouterr().err
