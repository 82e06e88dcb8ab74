"""JUnit XML."""

from xml.etree import ElementTree as ET

from fakes import case_result, target_run
from pinhold.report.junit import junit
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
