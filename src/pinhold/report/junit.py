"""Results as JUnit XML, which every continuous integration reads: one <testsuite> a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from pinhold.report.results import CaseResult, TargetRun, one_line

_ELEMENT = {
    "violated": "failure",
    "livelock": "failure",
    "unknown": "error",
    "error": "error",
    "crashed": "error",
    "skipped": "skipped",
    "xfail": "skipped",
}


def _testcase(result: CaseResult) -> ET.Element:
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
    if result.mechanisms:
        ET.SubElement(case, "system-out").text = f"pinned by {', '.join(result.mechanisms)}"
    return case


def _testsuite(run: TargetRun, cut: str | None) -> ET.Element:
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
    properties = ET.SubElement(suite, "properties")
    facts = {"release": run.info.release, "rules": run.info.rules, **run.info.config}
    if cut is not None:
        facts["cut off by"] = cut
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=one_line(str(value)))
    suite.extend(_testcase(r) for r in run.results)
    return suite


def junit(runs: Sequence[TargetRun], cut: str | None = None) -> Iterator[str]:
    """The lines of the document.  cut: what ended the run early."""
    root = ET.Element("testsuites", name="pinhold")
    root.extend(_testsuite(run, cut) for run in runs)
    ET.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ET.tostring(root, encoding="unicode").splitlines()
