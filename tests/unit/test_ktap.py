"""KTAP as the selftests of the seed's era print it."""

import pytest

from fakes import case_result, target_run
from pinhold.report.ktap import ktap
from pinhold.scenario.verdict import Verdict

PIN = "R/O longterm GUP pin ... with memfd"
RELIABLE = "Longterm R/O pin is reliable"


def test_a_single_target_prints_the_selftests_own_document() -> None:
    """Version, plan, [RUN] line, result and totals stand as kselftest prints them."""
    run = target_run("model:6.2", case_result(1, PIN, Verdict("held"), RELIABLE))
    assert list(ktap([run])) == [
        "TAP version 13",
        "1..1",
        f"# [RUN] {PIN}",
        f"ok 1 {RELIABLE}",
        "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0",
    ]


@pytest.mark.parametrize(
    ("verdict", "line", "total"),
    [
        (Verdict("violated"), f"not ok 1 {RELIABLE}", "fail:1"),
        (Verdict("livelock", reason="faultin_page"), f"not ok 1 {RELIABLE}", "fail:1"),
        (Verdict("skipped", reason="no gup_test here"), "ok 1 # SKIP no gup_test here", "skip:1"),
        (Verdict("xfail"), f"ok 1 # XFAIL {RELIABLE}", "xfail:1"),
        (Verdict("unknown", reason="bytes\nunseen"), "not ok 1 # error unknown: bytes unseen", "error:1"),
        (Verdict("error", reason="worker died"), "not ok 1 # error error: worker died", "error:1"),
        (Verdict("crashed", reason="BUG"), "not ok 1 # error crashed: BUG", "error:1"),
    ],
)
def test_each_verdict_has_its_result_line(verdict: Verdict, line: str, total: str) -> None:
    """A verdict that is not `held` is never printed as a plain ok."""
    lines = list(ktap([target_run("model:6.2", case_result(1, PIN, verdict, RELIABLE))]))
    assert lines[-2] == line
    assert total in lines[-1]


def test_a_violation_tells_its_reason_before_its_result() -> None:
    """The reason is a diagnostic line, so that the result line stays the selftest's."""
    run = target_run("model:6.1", case_result(1, PIN, Verdict("violated", reason="p sees 0x00"), RELIABLE))
    assert list(ktap([run]))[3:5] == ["# p sees 0x00", f"not ok 1 {RELIABLE}"]


def test_a_part_of_a_suite_is_numbered_from_one_and_names_its_tests() -> None:
    """KTAP numbers count from 1; the diagnostic line says which test of the suite it is."""
    lines = list(ktap([target_run("model:6.2", case_result(151, PIN, Verdict("held"), RELIABLE))]))
    assert lines[1:5] == ["1..1", f"# [RUN] {PIN}", "# this is seed/151", f"ok 1 {RELIABLE}"]


def test_several_targets_are_nested() -> None:
    """Each target is a subtest of one outer document, and fails it if one of its tests fails."""
    runs = [
        target_run("model:6.1", case_result(1, PIN, Verdict("violated"), RELIABLE)),
        target_run("model:6.2", case_result(1, PIN, Verdict("held"), RELIABLE)),
    ]
    lines = list(ktap(runs))
    assert lines[:5] == ["KTAP version 1", "1..2", "  KTAP version 1", "  # Subtest: model:6.1", "  1..1"]
    assert [line for line in lines if not line.startswith(" ")][2:] == ["not ok 1 model:6.1", "ok 2 model:6.2"]


def test_a_hash_in_a_description_starts_no_directive() -> None:
    """A text of the user's own cannot turn a failure into a skip."""
    run = target_run("model:6.2", case_result(1, "t", Verdict("violated"), "fine # SKIP"))
    assert "not ok 1 fine \\# SKIP" in list(ktap([run]))
