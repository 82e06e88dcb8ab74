"""Results as KTAP.

`selftest`: in the words and the style of the kernel's selftests of the suite's era, where a result line says what was
expected, as the lines of the patch do.  `unique`: each result line is the name of its test (ktapnames).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TextIO

from pinhold.report.ktapnames import UniqueKtap
from pinhold.report.ktapstream import THIS_IS, TOTAL_OF, TOTALS, Documents, text, totals_line
from pinhold.report.listener import Report
from pinhold.report.remedies import STEP, step_of
from pinhold.report.results import CaseResult, TargetRun, aligned, one_line, pools
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import place as place_of

NAMES = ("selftest", "unique")


def usual_names(tests: Iterable[str]) -> str:
    """Of tests of `seed` alone the selftest's, whose lines are quoted; else those by which results are told apart."""
    return "selftest" if all((found := place_of(name)) and found[0] == "seed" for name in tests) else "unique"


def ktap_report(stream: TextIO, targets: int, tests: Sequence[tuple[str, str]], names: str | None = None) -> Report:
    """tests: name and title of each; names: of NAMES, or the usual ones."""
    if (names or usual_names(name for name, _ in tests)) == "unique":
        return UniqueKtap(stream, targets, tests)
    return KtapReport(stream, targets, len(tests))


def _result_line(number: int, result: CaseResult) -> str:
    kind, reason = result.verdict.kind, one_line(result.verdict.reason or "")
    match kind:
        case "held":
            return f"ok {number} {text(result.text)}"
        case "xfail":
            return f"ok {number} # XFAIL {text(result.text)}"
        case "skipped":
            return f"ok {number} # SKIP {reason}"
        case "violated" | "livelock":
            return f"not ok {number} {text(result.text)}"
        case _:
            return f"not ok {number} # error {kind}: {reason}"


class KtapReport:
    """See listener.Report."""

    def __init__(self, stream: TextIO, targets: int, tests: int) -> None:
        self._documents = Documents(stream, targets)
        self._tests = tests
        self._totals = [dict.fromkeys(TOTALS, 0) for _ in range(targets)]

    def begin(self, place: int, info: TargetInfo) -> None:
        has = pools(info)
        self._documents.begin(place, info.name, f"1..{self._tests}", *([f"# {one_line(has)}"] if has else []))

    def result(self, place: int, result: CaseResult) -> None:
        """Tests are numbered from 1 as KTAP wants it; a part of a suite names each test."""
        totals = self._totals[place]
        number = sum(totals.values()) + 1
        lines = [f"# [RUN] {one_line(result.title)}"]
        if result.number != number:
            lines.append(f"# {THIS_IS}{result.name}")
        if result.verdict.kind in ("violated", "livelock") and result.verdict.reason:
            lines.append(f"# {one_line(result.verdict.reason)}")
        if step := step_of(result):
            lines.append(f"# {STEP} {step}")
        totals[TOTAL_OF[result.verdict.kind]] += 1
        self._documents.say(place, *lines, _result_line(number, result))

    def end(self, place: int, seconds: float) -> None:
        totals = self._totals[place]
        self._documents.say(place, totals_line(totals))
        self._documents.end(place, not (totals["fail"] or totals["error"]))

    def close(self, cut: str | None) -> None:
        self._documents.close(cut)


def ktap(runs: Sequence[TargetRun], names: str | None = None, cut: str | None = None) -> list[str]:
    """The lines of the document of runs that are over.  cut: what ended them early; then results are missing, of which
    KTAP says nothing but that they are planned."""
    stream = StringIO()
    whole = aligned(runs)
    tests = [(result.name, result.title) for result in whole[0].results] if whole else []
    report = ktap_report(stream, len(runs), tests, names)
    for place, run in enumerate(runs if cut is not None else whole):
        report.begin(place, run.info)
        for result in run.results:
            report.result(place, result)
        if len(run.results) == len(tests):
            report.end(place, run.seconds)
    report.close(cut)
    return stream.getvalue().splitlines()
