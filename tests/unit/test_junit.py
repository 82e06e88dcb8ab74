"""JUnit XML."""

from dataclasses import replace
from xml.etree import ElementTree as ET

from fakes import case_result, target_run
from pinhold.report.junit import junit
from pinhold.scenario.ran import Search, Started
from pinhold.scenario.verdict import Verdict


def test_counts_and_reasons_are_what_a_continuous_integration_reads() -> None:
    """Failures, errors and skips are counted and carry their reasons; titles survive control characters."""
    run = target_run(
        "live",
        case_result(1, "held \x01 one", Verdict("held"), pin="vmsplice"),
        case_result(2, "t", Verdict("violated", reason="stale & <old>")),
        case_result(3, "t", Verdict("skipped", reason="no gup_test")),
        case_result(4, "t", Verdict("unknown", reason="unseen")),
    )
    root = ET.fromstring("\n".join(junit([run])))
    suite = root[0]
    assert {k: suite.get(k) for k in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "live",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    failure, skipped = suite.find(".//failure"), suite.find(".//skipped")
    assert failure is not None
    assert failure.get("message") == "stale & <old>"
    assert skipped is not None
    assert skipped.get("message") == "no gup_test"
    assert suite.findtext(".//system-out") == "pinned by vmsplice"
    assert suite.find(".//property[@name='THP']") is not None


def test_searches_are_a_suite_of_their_own() -> None:
    """Exhausted: held; something found: a failure with the way to it; ended by a limit: an error."""
    searches = (
        Search("good", "6.2", {}, 4, 5, (1, 3)),
        Search("bad", "6.1", {"thp": "no"}, 2, 2, (1, 1), found="stale & <old>", path=(("cpu", "write P x 1"),)),
        Search("large", "6.2", {}, 9, 9, (1, 8), limit="the depth of 1 is reached"),
    )
    (suite,) = ET.fromstring("\n".join(junit([], searches=searches)))
    assert {k: suite.get(k) for k in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "explore",
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    cases = {case.get("name"): case for case in suite}
    assert [element.tag for element in cases["good"]] == ["system-out"]
    assert cases["good"].findtext("system-out") == "4 states, 5 transitions, depth 1"
    failure, error = cases["bad"].find("failure"), cases["large"].find("error")
    assert failure is not None and error is not None
    assert (failure.get("message"), failure.text) == ("stale & <old>", "cpu: write P x 1")
    assert cases["bad"].get("classname") == "model:6.1,thp=no"
    assert error.get("message") == "the depth of 1 is reached"


def test_a_test_that_did_not_hold_says_how_it_is_run_again() -> None:
    """With the options that it needs; and the suite when and where it was run, by which command."""
    run = target_run("mine", case_result(1, "t", Verdict("violated")), case_result(2, "t", Verdict("held")))
    run = replace(run, info=replace(run.info, what="vm:my kernel/bzImage"))
    begun = Started("2026-01-02T03:04:05Z", "host", ("pinhold", "run", "seed"), ("--swap", "zram"))
    (suite,) = ET.fromstring("\n".join(junit([run], started=begun)))
    assert [case.findtext("system-out") for case in suite.findall("testcase")] == [
        "again: pinhold run seed/1 --on 'vm:my kernel/bzImage' --swap zram",
        None,
    ]
    assert (suite.get("timestamp"), suite.get("hostname")) == ("2026-01-02T03:04:05", "host")
    command = suite.find(".//property[@name='command']")
    assert command is not None and command.get("value") == "pinhold run seed"
