"""Results as JUnit XML, which every continuous integration reads: one <testsuite> a target.

A test that did not hold says by which command it is run again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pinhold.report.remedies import step_of
from pinhold.report.results import CaseResult, TargetRun, one_line
from pinhold.scenario.ran import Search, Started

_ELEMENT = {
    "violated": "failure",
    "livelock": "failure",
    "unknown": "error",
    "error": "error",
    "crashed": "error",
    "skipped": "skipped",
    "xfail": "skipped",
}


@dataclass(frozen=True, slots=True)
class Together:
    """What several searches were asked together, a test of its own.  failure: in words, "" where it does not fail."""

    asked_of: str
    asked: str
    failure: str


def again(result: CaseResult, target: str, options: Sequence[str] = ()) -> str:
    """The command that runs the test again; options: those that it needs besides."""
    return shlex.join(["pinhold", "run", result.name, "--on", target, *options])


def _testcase(result: CaseResult, target: str, options: Sequence[str]) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=one_line(result.case),
        name=one_line(f"{result.name} {result.title}"),
        time=f"{result.result.seconds:.3f}",
    )
    tag = _ELEMENT.get(result.verdict.kind)
    if tag:
        verdict = result.verdict
        words = verdict.reason or verdict.text or verdict.kind
        ET.SubElement(case, tag, type=verdict.kind, message=one_line(words))
    said = [f"pinned by {', '.join(result.mechanisms)}"] if result.mechanisms else []
    if result.verdict.kind != "held":
        if step := step_of(result):
            said.append(f"what it would take: {step}")
        said.append(f"again: {one_line(again(result, target, options))}")
    if said:
        ET.SubElement(case, "system-out").text = "\n".join(said)
    return case


def _testsuite(run: TargetRun, cut: str | None, started: Started | None) -> ET.Element:
    tags = [_ELEMENT.get(r.verdict.kind) for r in run.results]
    suite = ET.Element(
        "testsuite",
        name=run.info.name,
        tests=str(len(tags)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{run.seconds:.3f}",
    )
    if started is not None:
        suite.attrib |= {"timestamp": started.time.removesuffix("Z"), "hostname": started.host}
    properties = ET.SubElement(suite, "properties")
    facts = {"release": run.info.release, "rules": run.info.rules, **run.info.config}
    if started is not None:
        facts["command"] = shlex.join(started.command)
    if cut is not None:
        facts["cut off by"] = cut
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=one_line(str(value)))
    suite.extend(_testcase(r, run.info.target, started.again if started else ()) for r in run.results)
    return suite


def _searched(search: Search) -> ET.Element:
    """A search: held if it was exhausted, failed if something bad was found, an error if a limit ended it.  One that
    looks for something fails where that is not reachable."""
    switched = "".join(f",{rule}={value}" for rule, value in search.switched.items())
    switched += "".join(f",with={name}" for name in search.patches)
    case = ET.Element(
        "testcase",
        classname=one_line(f"model:{search.rules}{switched}"),
        name=one_line(f"{search.scope} {search.asked}".strip()),
    )
    if search.failure:
        failure = ET.SubElement(case, "failure", type="violated", message=one_line(search.failure))
        failure.text = "\n".join(one_line(f"{task}: {does}") for task, does in search.path)
    elif search.limit and not search.found:
        ET.SubElement(case, "error", type="unknown", message=one_line(search.limit))
    depth = len(search.levels) - 1
    space = f"{search.states:,} states, {search.transitions:,} transitions, depth {depth}"
    ET.SubElement(case, "system-out").text = space
    return case


def _asked_together(one: Together) -> ET.Element:
    case = ET.Element("testcase", classname=one_line(one.asked_of), name=one_line(one.asked))
    if one.failure:
        ET.SubElement(case, "failure", type="violated", message=one_line(one.failure))
    return case


def _searches(searches: Sequence[Search], together: Sequence[Together]) -> ET.Element:
    failures = sum(bool(search.failure) for search in searches) + sum(bool(one.failure) for one in together)
    errors = sum(bool(search.limit and not search.found) for search in searches)
    tests = len(searches) + len(together)
    suite = ET.Element("testsuite", name="explore", tests=str(tests), failures=str(failures))
    suite.attrib |= {"errors": str(errors), "skipped": "0"}
    suite.extend(_searched(search) for search in searches)
    suite.extend(map(_asked_together, together))
    return suite


def junit(
    runs: Sequence[TargetRun],
    cut: str | None = None,
    searches: Sequence[Search] = (),
    started: Started | None = None,
    together: Sequence[Together] = (),
) -> Iterator[str]:
    """The lines of the document.  cut: what ended the run early.  searches, together: of the explorer, a suite of their
    own."""
    root = ET.Element("testsuites", name="pinhold")
    root.extend(_testsuite(run, cut, started) for run in runs)
    if searches:
        root.append(_searches(searches, together))
    ET.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ET.tostring(root, encoding="unicode").splitlines()
