"""Results as KTAP, in the words and the style of the kernel's selftests of the suite's era.

One target gives the plain document that the selftest itself prints.  Several targets give one document each, nested in
an outer one as the KTAP specification has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TextIO

from pinhold.report.results import CaseResult, TargetRun, one_line, pools
from pinhold.scenario.ran import TargetInfo

_TOTALS = ("pass", "fail", "xfail", "xpass", "skip", "error")
_TOTAL_OF = {
    "held": "pass",
    "violated": "fail",
    "livelock": "fail",
    "xfail": "xfail",
    "skipped": "skip",
    "unknown": "error",
    "error": "error",
    "crashed": "error",
}


def _text(words: str) -> str:
    """A description: one line, in which no "#" starts a directive."""
    return one_line(words).replace("#", "\\#")


def _result_line(number: int, result: CaseResult) -> str:
    kind, reason = result.verdict.kind, one_line(result.verdict.reason or "")
    match kind:
        case "held":
            return f"ok {number} {_text(result.text)}"
        case "xfail":
            return f"ok {number} # XFAIL {_text(result.text)}"
        case "skipped":
            return f"ok {number} # SKIP {reason}"
        case "violated" | "livelock":
            return f"not ok {number} {_text(result.text)}"
        case _:
            return f"not ok {number} # error {kind}: {reason}"


class KtapReport:
    """See listener.Report.  Documents stand in the order of the targets: what is behind the one being written waits."""

    def __init__(self, stream: TextIO, targets: int, tests: int) -> None:
        self._stream = stream
        self._nested = targets > 1
        self._tests = tests
        self._waiting: list[list[str]] = [[] for _ in range(targets)]
        self._totals = [dict.fromkeys(_TOTALS, 0) for _ in range(targets)]
        self._names = [""] * targets
        self._ended = [False] * targets
        self._writing = 0
        self._write(*(["KTAP version 1", f"1..{targets}"] if self._nested else ["TAP version 13"]))

    def begin(self, place: int, info: TargetInfo) -> None:
        self._names[place] = info.name
        head = ["KTAP version 1", f"# Subtest: {info.name}"] if self._nested else []
        has = pools(info)
        self._say(place, *head, f"1..{self._tests}", *([f"# {one_line(has)}"] if has else []))

    def result(self, place: int, result: CaseResult) -> None:
        """Tests are numbered from 1 as KTAP wants it; a part of a suite names each test."""
        totals = self._totals[place]
        number = sum(totals.values()) + 1
        lines = [f"# [RUN] {one_line(result.title)}"]
        if result.number != number:
            lines.append(f"# this is {result.name}")
        if result.verdict.kind in ("violated", "livelock") and result.verdict.reason:
            lines.append(f"# {one_line(result.verdict.reason)}")
        totals[_TOTAL_OF[result.verdict.kind]] += 1
        self._say(place, *lines, _result_line(number, result))

    def end(self, place: int, seconds: float) -> None:
        totals = self._totals[place]
        self._say(place, "# Totals: " + " ".join(f"{name}:{count}" for name, count in totals.items()))
        if self._nested:
            passed = not (totals["fail"] or totals["error"])
            self._waiting[place].append(f"{'ok' if passed else 'not ok'} {place + 1} {self._names[place]}")
        self._ended[place] = True
        self._catch_up()

    def close(self, cut: str | None) -> None:
        """Cut off, what waits is written too: fewer results than planned, and a line that says why."""
        for lines in self._waiting:
            self._write(*lines)
        if cut is not None:
            self._write(f"# cut off by {one_line(cut)}")

    def _say(self, place: int, *lines: str) -> None:
        indent = "  " if self._nested else ""
        self._waiting[place] += [indent + line for line in lines]
        self._catch_up()

    def _catch_up(self) -> None:
        while self._writing < len(self._waiting):
            self._write(*self._waiting[self._writing])
            self._waiting[self._writing].clear()
            if not self._ended[self._writing]:
                return
            self._writing += 1

    def _write(self, *lines: str) -> None:
        self._stream.writelines(f"{line}\n" for line in lines)
        self._stream.flush()


def ktap(runs: Sequence[TargetRun]) -> list[str]:
    """The lines of the document of runs that are over."""
    document = StringIO()
    report = KtapReport(document, len(runs), len(runs[0].results))
    for place, run in enumerate(runs):
        report.begin(place, run.info)
        for result in run.results:
            report.result(place, result)
        report.end(place, run.seconds)
    report.close(None)
    return document.getvalue().splitlines()
