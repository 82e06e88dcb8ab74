"""What a campaign came to: a record, JUnit, and a chart of rows by columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from pinhold.report.results import one_line
from pinhold.scenario.runfile import RunFile

MISSING = "not done"
FINE = ("held", "skipped", "xfail")
MOST = 5
"""Tests that are named."""


@dataclass(frozen=True)
class Told:
    """One job: what it is (kind, row, column), its command, and what it came to: a word, seconds, what it said, the
    folder in which it wrote, and, in words, what its run file has that did not hold."""

    kind: str
    row: str
    column: str
    command: str
    word: str
    seconds: float
    said: str
    folder: str
    came_to: str = ""

    @property
    def failed(self) -> bool:
        return self.word not in ("held", MISSING)

    @property
    def last(self) -> str:
        """What it came to, or the last thing that it said."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return self.came_to or (one_line(lines[-1]) if lines else "it said nothing")


def came_to(file: RunFile) -> str:
    """In one line, what a run file has that did not hold."""
    verdicts = [(run.name, run.verdict.kind if run.verdict else "cut off") for run in file.runs]
    bad = [(name, kind) for name, kind in verdicts if kind not in FINE]
    found = [f"{search.scope}: {search.failure or search.limit}" for search in file.searches]
    told = [f"{name} {kind}" for name, kind in bad[:MOST]] + [each for each in found if not each.endswith(": ")]
    more = [f"{len(bad) - MOST} more of {len(verdicts)}"] if len(bad) > MOST else []
    return one_line(", ".join(told[: MOST + len(found)] + more))


def record(title: str, version: str, jobs: Sequence[Told]) -> dict[str, Any]:
    """As JSON has it."""
    return {"schema": 1, "pinhold": version, "title": title, "jobs": [vars(job) for job in jobs]}


def junit(title: str, jobs: Sequence[Told]) -> Iterator[str]:
    """The lines of the document: a suite a kind, a test a job."""
    root = ET.Element("testsuites", name=one_line(title))
    for kind in dict.fromkeys(job.kind for job in jobs):
        mine = [job for job in jobs if job.kind == kind]
        words = [job.word for job in mine]
        counts = {
            "tests": str(len(mine)),
            "failures": str(words.count("failed")),
            "errors": str(sum(job.failed for job in mine) - words.count("failed")),
            "skipped": str(words.count(MISSING)),
        }
        suite = ET.SubElement(root, "testsuite", name=kind)
        suite.attrib |= counts
        suite.extend(_testcase(job) for job in mine)
    ET.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ET.tostring(root, encoding="unicode").splitlines()


def _testcase(job: Told) -> ET.Element:
    case = ET.Element("testcase", classname=one_line(job.column), name=one_line(job.row), time=f"{job.seconds:.1f}")
    if job.word == MISSING:
        ET.SubElement(case, "skipped", message=MISSING)
    elif job.failed:
        tag = "failure" if job.word == "failed" else "error"
        ET.SubElement(case, tag, type=job.word, message=job.last).text = "\n".join(map(one_line, job.said.splitlines()))
    ET.SubElement(case, "system-out").text = one_line(job.command)
    return case


def table(jobs: Sequence[Told]) -> Iterator[str]:
    """A line a job, those that failed with the last thing that they said."""
    width = max((len(f"{job.kind} {job.row}") for job in jobs), default=0)
    other = max((len(job.column) for job in jobs), default=0)
    for job in jobs:
        yield f"{f'{job.kind} {job.row}':<{width}}  {job.column:<{other}}  {job.word}".rstrip()
        if job.failed:
            yield f"    {job.last}"
            yield f"    {job.command}"
