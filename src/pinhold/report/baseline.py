"""What is known of kernels: a file with the tests that do not hold on them, and what a run has beyond it.

TOML: a table for each target, by the name that reports give it; in it, for each verdict, the tests that have it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pinhold import __version__
from pinhold.report.listener import NOT_RUN
from pinhold.report.results import CaseResult, TargetRun, counted, number_ranges, one_line
from pinhold.scenario.suites import SUITES, place, suite
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED, KINDS, Verdict, exit_status, severest

KNOWN = tuple(kind for kind in KINDS if kind not in ("held", "error"))
"""Verdicts that can be known: where the tool broke, nothing was seen."""

_PART = re.compile(r"([a-z]+)/([0-9]{1,9})-([0-9]{1,9})")


class BadBaseline(ValueError):
    """The message says what is wrong with the file."""


Baseline = Mapping[str, Mapping[str, str]]
"""Target -> test -> verdict; tests that are not there hold."""


def read(text: str) -> Baseline:
    """Raises BadBaseline."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadBaseline(f"it is no baseline: {error}") from None
    return {target: _target(target, table) for target, table in tables.items()}


def _target(target: str, table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        raise BadBaseline(f"{target!r} is no table of verdicts: write [{json.dumps(target)}]")
    found: dict[str, str] = {}
    for kind, tests in table.items():
        if kind not in KNOWN:
            raise BadBaseline(f"{target}: {kind!r} is no verdict that can be known: choose from {', '.join(KNOWN)}")
        if not (isinstance(tests, list) and all(isinstance(test, str) for test in tests)):
            raise BadBaseline(f"{target}: {kind} is a list of tests, as in {kind} = ['seed/1-3']")
        for name in (name for test in tests for name in _named(test)):
            if found.setdefault(name, kind) != kind:
                raise BadBaseline(f"{target}: {name} is there as {found[name]} and as {kind}")
    return found


def _named(test: str) -> Iterable[str]:
    """The tests of SUITE/N-M, or the one test: SUITE/N, or FILE.pin."""
    match = _PART.fullmatch(test)
    if match is None or match[1] not in SUITES:
        if not (place(test) or test.endswith(".pin") or _is_file(test)):
            raise BadBaseline(f"{test!r} names no test: {_instead(test)}")
        return [test]
    names = [f"{match[1]}/{number}" for number in (int(match[2]), int(match[3]))]
    if int(match[2]) > int(match[3]) or None in map(place, names):
        raise BadBaseline(f"{test!r} is no part of a suite")
    return (f"{match[1]}/{number}" for number in range(int(match[2]), int(match[3]) + 1))


def _is_file(test: str) -> bool:
    """A scenario may be in a file of any name, but for those of tests of suites."""
    return test.partition("/")[0] not in SUITES and os.path.isfile(test)


def _instead(test: str) -> str:
    named = test.partition("/")[0]
    if named in SUITES:
        return f"{named} has tests 1 to {len(suite(named).tests)}, and is written {named}/N or {named}/N-M"
    return f"write SUITE/N or SUITE/N-M of {', '.join(SUITES)}, or FILE.pin"


def written(runs: Sequence[TargetRun], cut: str | None = None) -> Iterator[str]:
    """The lines of a baseline by which nothing of these runs is new.  cut: what ended the run early."""
    yield f"# What is known, by pinhold {__version__}. Tests that are not here hold."
    if cut is not None:
        yield f"# The run was cut off by {one_line(cut)}."
    for run in runs:
        yield ""
        yield f"[{json.dumps(run.info.name, ensure_ascii=False)}]"
        if run.info.release:
            yield f"# Linux {one_line(run.info.release)}"
        for kind in KNOWN:
            names = [r.name for r in run.results if r.verdict.kind == kind and r.verdict.reason != NOT_RUN]
            if names:
                yield f"{kind} = ["
                yield from (f"    {json.dumps(name, ensure_ascii=False)}," for name in parts(names))
                yield "]"
        for result in run.results:
            if result.verdict.kind == "error":
                yield f"# the tool broke in {one_line(result.name)}"


def parts(names: Sequence[str]) -> Iterator[str]:
    """Names of tests, those of a suite in a row as SUITE/N-M."""
    numbers: dict[str, set[int]] = {}
    for name in dict.fromkeys(names):
        if found := place(name):
            numbers.setdefault(found[0], set()).add(found[1])
    for name, of_suite in numbers.items():
        yield from (f"{name}/{part}" for part in number_ranges(sorted(of_suite)).split(", "))
    yield from (test for test in dict.fromkeys(names) if place(test) is None)


@dataclass(frozen=True, slots=True)
class News:
    """status: 0 where nothing is new; lines: what is new, and what is no longer so."""

    status: int
    lines: tuple[str, ...]


def judged(runs: Sequence[TargetRun], known: Baseline, file: str) -> News:
    """A run beside what is known.  file: what that is called."""
    new: list[tuple[TargetRun, CaseResult]] = []
    gone: list[str] = []
    as_known = 0
    for run in runs:
        of_target = known.get(run.info.name, {})
        for result in run.results:
            was, kind = of_target.get(result.name, "held"), result.verdict.kind
            as_known += kind == was != "held"
            if kind == was:
                continue
            if kind == "held":
                gone.append(f"  no longer: {result.name} on {run.info.name}: held, was {was}")
            else:
                new.append((run, result))
    unknown = [f"{file} says nothing of {run.info.name}." for run in runs if run.info.name not in known]
    lines = [_new(run, result, known.get(run.info.name, {}).get(result.name, "held")) for run, result in new]
    said = f"Against {file}: {f'{len(new)} new' if new else 'nothing new'}, {as_known} as known"
    said += f", {counted(len(gone), 'test')} better: write it anew." if gone else "."
    status = severest(_status(result.verdict) for _, result in new) if new else EXIT_HELD
    return News(status, (said, *unknown, *lines, *gone))


def _new(run: TargetRun, result: CaseResult, was: str) -> str:
    why = f" ({one_line(result.verdict.reason)})" if result.verdict.reason else ""
    return f"  new: {result.name} on {run.info.name}: {result.verdict.kind}, was {was}{why}"


def _status(verdict: Verdict) -> int:
    """Of what is new: a skip is a failure, too."""
    return EXIT_VIOLATED if verdict.kind in ("skipped", "xfail") else exit_status([verdict])
