"""KTAP whose result lines are the names of tests: unique, and the same in every run."""

from __future__ import annotations

import io

import pytest
from tap.parser import Parser

from fakes import case_result, target_run
from ktap_readers import kernel, lava
from pinhold.report.ktap import ktap, usual_names
from pinhold.report.ktapnames import UniqueKtap, numbering
from pinhold.report.results import CaseResult
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.verdict import Verdict

TITLE = suite("seed").test(151).scenario.title


def result(name: str, verdict: Verdict, title: str | None = None) -> CaseResult:
    """Of a test of a suite, by its own title, or of a file."""
    chosen, _, number = name.partition("/")
    words = title or suite(chosen).test(int(number)).scenario.title
    made = case_result(int(number) if number.isdigit() else 1, words, verdict)
    return CaseResult(made.number, name, made.text, made.result)


def test_tests_of_the_seed_alone_keep_its_lines() -> None:
    """All else is told by name."""
    assert usual_names(["seed/1", "seed/162"]) == "selftest"
    assert usual_names(["seed/1", "stock/1"]) == usual_names(["my.pin"]) == "unique"


@pytest.mark.parametrize("chosen", SUITES)
def test_no_two_tests_of_a_suite_have_one_name(chosen: str) -> None:
    """Nor do two whose names a parser has made of letters, digits and underscores."""
    titles = [test.scenario.title for test in suite(chosen).tests]
    assert len(set(titles)) == len(titles)
    lines = [f"ok {number} {title}" for number, title in enumerate(titles, 1)]
    assert len(set(lava(lines))) == len(titles)
    assert [name for *_, name, _ in kernel(lines)] == titles


@pytest.mark.parametrize(
    ("verdict", "line", "reason"),
    [
        (Verdict("held"), f"ok 151 {TITLE}", None),
        (Verdict("violated", reason="stale"), f"not ok 151 {TITLE}", "# stale"),
        (Verdict("livelock", reason="loops"), f"not ok 151 {TITLE} # TIMEOUT", "# loops"),
        (Verdict("skipped", reason="no #gup\ntest"), f"ok 151 {TITLE} # SKIP", "# no #gup test"),
        (Verdict("xfail", reason="known"), f"ok 151 {TITLE} # XFAIL", "# known"),
        (Verdict("unknown", reason="unseen"), f"not ok 151 {TITLE} # ERROR unknown", "# unseen"),
        (Verdict("crashed", reason="BUG"), f"not ok 151 {TITLE} # ERROR crashed", "# BUG"),
    ],
)
def test_every_verdict_has_the_name_and_a_reason_before_it(verdict: Verdict, line: str, reason: str | None) -> None:
    """The reason is not in the line, of all of which some parsers make the name."""
    lines = ktap([target_run("vm:6.1", result("seed/151", verdict))], "unique")
    at = lines.index(line)
    assert lines[at - 1] == (reason or f"ok 150 {suite('seed').test(150).scenario.title} # SKIP")
    assert {name for _, number, name, _ in kernel(lines) if number == 151} == {TITLE}


def test_a_part_has_the_numbers_of_the_whole() -> None:
    """What was not asked for is skipped, since the numbers of KTAP have no gaps."""
    lines = ktap([target_run("vm:6.1", *(result(f"stock/{n}", Verdict("held")) for n in (30, 7)))])
    assert lines[:4] == [
        "TAP version 13",
        "1..277",
        "# selftests: pinhold: vm:6.1: stock",
        "# asked for: 7, 30; all others are skipped",
    ]
    read = list(kernel(lines))
    assert [number for _, number, _, _ in read] == list(range(1, 278))
    assert [number for _, number, _, outcome in read if outcome == "ok"] == [7, 30]
    assert lines[-1] == "# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:275 error:0"


def test_several_suites_are_documents_of_their_own() -> None:
    """Each with its plan, in one of the target; one that fails fails both; own files are the last."""
    run = target_run(
        "vm:6.1",
        result("pins/2", Verdict("held")),
        result("seed/151", Verdict("violated")),
        result("my.pin", Verdict("held"), "mine"),
    )
    read = list(kernel(ktap([run])))
    assert [(number, name, outcome) for depth, number, name, outcome in read if depth == 0] == [
        (1, "pins", "ok"),
        (2, "seed", "not ok"),
        (3, "scenarios", "ok"),
    ]
    assert (1, 1, "mine (my.pin)", "ok") in read
    assert sum(depth for depth, *_ in read) == len(suite("pins").tests) + 162 + 1
    both = list(kernel(ktap([run, run])))
    assert [entry[2:] for entry in both if entry[0] == 0] == [("vm:6.1", "not ok"), ("vm:6.1", "not ok")]


def test_what_is_asked_for_twice_is_two_tests() -> None:
    """The second has a number behind the suite's and a name of its own."""
    run = target_run("live", *(result(name, Verdict("held"), "pins") for name in ("a.pin", "b.pin", "a.pin")))
    names = [name for *_, name, _ in kernel(ktap([run]))]
    assert names == ["pins (a.pin)", "pins (b.pin)", "pins (a.pin), run 2"]
    assert numbering([("pins/1", ""), ("pins/1", "")]).groups[0].asked == (1, len(suite("pins").tests) + 1)


def test_a_target_that_has_not_run_a_test_skips_it() -> None:
    """As joined run files may have it: the document is whole all the same."""
    both = [result("pins/1", Verdict("held")), result("pins/3", Verdict("held"))]
    read = list(kernel(ktap([target_run("a", *both), target_run("b", both[1])])))
    of_b = [entry for entry in read if entry[0] == 1][len(suite("pins").tests) :]
    assert [number for _, number, _, outcome in of_b if outcome == "ok"] == [3]
    assert len(of_b) == len(suite("pins").tests)


def test_each_result_is_written_when_it_is_known() -> None:
    """One that was asked for out of order waits for those before it; cut off, what is there is written."""
    stream = io.StringIO()
    report = UniqueKtap(stream, 1, [("pins/3", ""), ("pins/2", "")])
    report.begin(0, TargetInfo("live", "6.18", "6.18"))
    report.result(0, result("pins/3", Verdict("held")))
    assert [number for _, number, _, _ in kernel(stream.getvalue().splitlines())] == [1]
    report.close("Ctrl-C")
    lines = stream.getvalue().splitlines()
    assert [number for _, number, _, _ in kernel(lines)] == [1, 3]
    assert lines[-1] == "# cut off by Ctrl-C"


def test_tap_py_reads_it() -> None:
    """Numbers, names and skips, of a document of one target and one suite."""
    verdicts = (Verdict("held"), Verdict("violated", reason="stale"), Verdict("skipped", reason="no swap"))
    run = target_run("live", *(result(f"stock/{n}", verdict) for n, verdict in enumerate(verdicts, 1)))
    parsed = list(Parser().parse_text("\n".join(ktap([run]))))
    assert [line.category for line in parsed[:3]] == ["version", "plan", "diagnostic"]
    tests = [line for line in parsed if line.category == "test"]
    assert [line.number for line in tests] == list(range(1, 278))
    assert [line.description for line in tests] == [test.scenario.title for test in suite("stock").tests]
    assert [(line.ok, bool(line.skip)) for line in tests[:4]] == [
        (True, False),
        (False, False),
        (True, True),
        (True, True),
    ]
