"""What `pinhold conform` says: the same from one campaign in every format, with the status that goes with it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from pinhold.commands.conformed import Campaigned, case, cases, chart, document, status, text
from pinhold.conform.campaign import Ran
from pinhold.conform.coverage import Coverage, reachable
from pinhold.conform.tally import Difference, Tally
from pinhold.conform.wanted import wanted
from pinhold.report.junit import junit
from pinhold.report.ktap import ktap
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget

MODEL = ModelTarget("6.12", {"swap": 0})
SCENARIO = parse("scenario anon 1:0\nobserve\nmap P a anon\nwrite P a 1\n")
AGAIN = Difference("anon 1:0", "it differs", 3, SCENARIO, "write", "byte")
ONCE = replace(AGAIN, came=1)


def told(*differences: Difference, trouble: str = "", cut: str | None = None) -> Campaigned:
    profiles = [wanted("anon", MODEL, disposable=True)]
    whole = reachable(MODEL.info(), MODEL, profiles)
    tally = Tally(2, 40, 1000, Counter({"the batch": 10}), profiles=Counter({"anon": 2}))
    tally.coverage = Coverage(steps=Counter({"map": 3}))
    tally.differences = list(differences)
    tally.trouble = [(SCENARIO, trouble)] if trouble else []
    tally.left_out = Counter({("pin", "nothing takes it"): 2})
    ran = Ran("vm:6.12", MODEL.info(), MODEL, profiles, whole, 1, [], tally, 0.0, 2.0)
    return Campaigned([ran], ["anon", "swap"], 1, cut)


@pytest.mark.parametrize(
    ("differences", "trouble", "gives"),
    [((), "", 0), ((AGAIN,), "", 1), ((ONCE,), "", 2), ((ONCE, AGAIN), "", 1), ((AGAIN,), "it crashed", 5)],
)
def test_status(differences: tuple[Difference, ...], trouble: str, gives: int) -> None:
    """What came again before what did not, and a run that broke before both."""
    campaigned = told(*differences, trouble=trouble)
    assert status(campaigned.ran[0]) == gives
    assert json.loads(document(campaigned))["status"] == gives


def test_words() -> None:
    """What differs is first, with its scenario; then figures, what was reached and what never was."""
    whole = "\n".join(text(told(AGAIN, ONCE, cut="Ctrl-C")))
    lines = whole.splitlines()
    assert lines[0] == "CUT OFF by Ctrl-C."
    assert lines[2] == "it differs (3 of 3 runs, anon 1:0)"
    assert ["write", "P", "a", "0x01"] in [line.split() for line in lines[:12]]
    assert "vm:6.12 and model:6.12: 2 scenarios, 40 steps, 1,000 values, 2 differences; seed 1" in lines
    assert "  settled by an allowed outcome: the batch 10 (1.00 % of the values)" in lines
    assert "  masked: none" in lines
    assert "  not run: swap, which needs swap" in lines
    assert "steps: map 3" in lines
    assert "never unmap, read, write" in whole
    assert "left out 2 times: pin: nothing takes it" in lines


def test_json_has_everything() -> None:
    """With all that was never reached, and each scenario as a text that parses."""
    found = json.loads(document(told(AGAIN)))
    (target,) = found["targets"]
    assert (found["schema"], found["seed"], found["cut"]) == (1, 1, None)
    assert (target["scenarios"], target["steps"], target["values"]) == (2, 40, 1000)
    assert (target["settled"], target["masked"]) == ({"the batch": 10}, {})
    assert parse(target["differences"][0]["scenario"]) == SCENARIO
    assert target["reached"]["steps"] == {"map": 3}
    assert "read" in target["never_reached"]["steps"]
    assert target["not_run"] == {"swap": "swap"}


def test_each_profile_is_a_test_elsewhere() -> None:
    """KTAP and JUnit: what agrees, what differs, and what could not be run."""
    assert [result.verdict.kind for result in cases(told())[0].results] == ["held", "skipped"]
    assert [result.verdict.kind for result in cases(told(AGAIN))[0].results] == ["violated", "skipped"]
    assert [result.verdict.kind for result in cases(told(ONCE))[0].results] == ["unknown", "skipped"]
    assert [result.verdict.kind for result in cases(told(trouble="it crashed"))[0].results] == ["error", "skipped"]
    assert "not ok 1 random scenarios of the profile anon" in "\n".join(ktap(cases(told(AGAIN))))
    suite = ET.fromstring("\n".join(junit(cases(told(AGAIN)))))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")


def test_a_case_says_where_it_comes_from() -> None:
    """What differed, on which kernel, beside which model, and as which number of which seed; and it parses."""
    file = case(told().ran[0], SCENARIO, AGAIN.words)
    assert parse(file) == SCENARIO
    assert file.splitlines()[:3] == [
        "scenario anon 1:0",
        "# it differs",
        "# Found on vm:6.12 (Linux 6.12) beside model:6.12, as number anon 1:0.",
    ]


def test_the_chart_has_what_was_reached_and_what_was_not() -> None:
    """A column a target that ran, with its share."""
    drawn = chart(told())
    (column,) = drawn.columns
    assert column.name == "vm:6.12" and column.note.startswith("2 scenarios, ")
    steps = {line.name: line.cells[0].text for line in drawn.rows if line.group == "steps"}
    assert steps["map"] == "3" and steps["unmap"].endswith("never")
