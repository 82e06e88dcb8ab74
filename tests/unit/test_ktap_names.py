"""KTAP whose result lines are the names of tests: unique, and the same in every run."""

from __future__ import annotations

import io

import pytest
from tap.parser import Parser

from fakes import case_result, target_run
from ktap_readers import kernel, lava, lava_before
from pinhold.report.kselftest import results as results_of
from pinhold.report.kselftest import selftest
from pinhold.report.ktap import ktap, usual_names
from pinhold.report.ktapnames import UniqueKtap, numbering
from pinhold.report.results import CaseResult, TargetRun
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
    assert lava(lines) == list(dict.fromkeys(lava(lines)))
    assert not any("_dup" in name for name in lava(lines))
    assert len(set(lava_before(lines))) == len(titles)
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


def several() -> list[CaseResult]:
    """Results of two suites, and of a file."""
    return [
        result("pins/2", Verdict("held")),
        result("seed/151", Verdict("violated", reason="stale")),
        result("my.pin", Verdict("xfail"), "mine"),
    ]


def test_several_suites_are_one_flat_list() -> None:
    """Numbered on, with the plan of all: a name begins with the suite and the number in it; own files are the last."""
    lines = ktap([target_run("vm:6.1", *several())])
    pins = len(suite("pins").tests)
    assert lines[:3] == ["TAP version 13", f"1..{pins + 162 + 1}", "# selftests: pinhold: vm:6.1: pins"]
    read = list(kernel(lines))
    assert [(depth, number) for depth, number, *_ in read] == [(0, number) for number in range(1, pins + 164)]
    assert [(number, name, outcome) for _, number, name, outcome in read if outcome != "SKIP"] == [
        (2, f"pins/2 {suite('pins').test(2).scenario.title}", "ok"),
        (pins + 151, f"seed/151 {TITLE}", "not ok"),
        (pins + 163, "mine (my.pin)", "XFAIL"),
    ]
    assert lines.count("# Totals: pass:1 fail:1 xfail:1 xpass:0 skip:204 error:0") == 1


def test_several_targets_are_one_flat_list() -> None:
    """A name begins with the target; two runs on one are told apart."""
    runs = [target_run(name, result("seed/151", Verdict("held"))) for name in ("vm:6.1", "mine", "vm:6.1")]
    lines = ktap(runs, "unique")
    assert lines[1] == f"1..{3 * 162}"
    read = list(kernel(lines))
    assert [number for _, number, *_ in read] == list(range(1, 3 * 162 + 1))
    assert [name for *_, name, outcome in read if outcome == "ok"] == [
        f"vm:6.1 seed/151 {TITLE}",
        f"mine seed/151 {TITLE}",
        f"vm:6.1(2) seed/151 {TITLE}",
    ]


@pytest.mark.parametrize("targets", [("live",), ("live", "vm:6.1")])
def test_lava_and_tap_py_see_every_test_of_several_suites(targets: tuple[str, ...]) -> None:
    """Each by a name of its own, in which nothing says how it came out: that is the same whatever the verdict is."""
    suites = ("seed", "stock")
    named = {}
    for kind in ("held", "violated", "xfail", "skipped", "livelock", "crashed"):
        found = [
            result(f"{chosen}/{n}", Verdict(kind, reason="why #1"))
            for chosen in suites
            for n in range(1, len(suite(chosen).tests) + 1)
        ]
        lines = ktap([target_run(target, *found) for target in targets])
        assert len([line for line in Parser().parse_text("\n".join(lines)) if line.category == "test"]) == int(
            lines[1].removeprefix("1..")
        )
        named[kind] = [line.rpartition(" ")[0] for line in lava(lines)]
    assert len(named["held"]) == len(targets) * (162 + 277)
    assert not any("_dup" in name for name in named["held"])
    assert all(names == named["held"] for names in named.values())


def test_it_is_read_back_as_the_tests_of_its_suites() -> None:
    """Of a document of several suites, in which `seed` and `stock` have tests of one title."""
    found = [result(f"{chosen}/1", Verdict("held")) for chosen in ("seed", "stock")]
    run = selftest(ktap([target_run("live", *found)]), "x.ktap").run
    assert [result.name for result in run.results if result.verdict.kind == "held"] == ["seed/1", "stock/1"]
    assert len(run.results) == 162 + 277


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
    tests = len(suite("pins").tests)
    assert [number for _, number, _, outcome in read if outcome == "ok"] == [1, 3, tests + 3]
    assert len(read) == 2 * tests


def test_targets_that_end_in_another_order_are_written_in_theirs() -> None:
    """The second waits for the first; the totals are of both, and the last line."""
    stream = io.StringIO()
    report = UniqueKtap(stream, 2, [("pins/1", "")])
    for place, name in ((1, "b"), (0, "a")):
        report.begin(place, TargetInfo(name, "6.18", "6.18"))
    for place in (1, 0):
        report.result(place, result("pins/1", Verdict("held")))
        report.end(place, 1.0)
    report.close(None)
    lines = stream.getvalue().splitlines()
    assert [number for _, number, *_ in kernel(lines)] == list(range(1, 2 * len(suite("pins").tests) + 1))
    assert lines[-1] == f"# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:{2 * len(suite('pins').tests) - 2} error:0"


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
    """Numbers, names and skips."""
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


@pytest.mark.parametrize("names", ["unique", "selftest"])
def test_a_reason_is_read_back_as_it_was(names: str) -> None:
    """The step below it, the head of the document and the comment that names a test are no part of it."""
    config = {"hugetlb_2M": "0 free of 0", "hugetlb_1G": "0 free of 0", "swap_kib": "0", "files": "ext4"}
    reason = "needs a read-only short-term but held pin: no /dev/pinprobe here"
    results = (
        result("pins/1", Verdict("skipped", reason=reason)),
        result("pins/2", Verdict("violated", reason="stale")),
    )
    lines = ktap([TargetRun(TargetInfo("live", "6.12.1", "6.12", config, {}), results, 1.5)], names)
    assert any(line.startswith("# -> ") for line in lines)
    skipped, stale = (told.verdict.reason for told in results_of(lines) if told.verdict.reason)
    assert skipped == reason
    assert stale and stale.startswith("stale")
