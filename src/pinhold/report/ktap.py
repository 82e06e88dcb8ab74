"""Results as KTAP, in the words and the style of the kernel's selftests of the suite's era.

One target gives the plain document that the selftest itself prints.  Several targets give one document each, nested in
an outer one as the KTAP specification has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pinhold.report.results import CaseResult, TargetRun, one_line

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


def _document(run: TargetRun) -> Iterator[str]:
    """Plan, tests and totals.  Tests are numbered from 1 as KTAP wants it; a part of a suite names each test."""
    yield f"1..{len(run.results)}"
    totals = dict.fromkeys(_TOTALS, 0)
    for number, result in enumerate(run.results, start=1):
        yield f"# [RUN] {one_line(result.title)}"
        if result.number != number:
            yield f"# this is {result.name}"
        if result.verdict.kind in ("violated", "livelock") and result.verdict.reason:
            yield f"# {one_line(result.verdict.reason)}"
        yield _result_line(number, result)
        totals[_TOTAL_OF[result.verdict.kind]] += 1
    yield "# Totals: " + " ".join(f"{name}:{count}" for name, count in totals.items())


def _passed(run: TargetRun) -> bool:
    return all(_TOTAL_OF[r.verdict.kind] not in ("fail", "error") for r in run.results)


def ktap(runs: Sequence[TargetRun]) -> Iterator[str]:
    """The lines of the document."""
    if len(runs) == 1:
        yield "TAP version 13"
        yield from _document(runs[0])
        return
    yield "KTAP version 1"
    yield f"1..{len(runs)}"
    for number, run in enumerate(runs, start=1):
        yield "  KTAP version 1"
        yield f"  # Subtest: {run.info.name}"
        yield from (f"  {line}" for line in _document(run))
        yield f"{'ok' if _passed(run) else 'not ok'} {number} {run.info.name}"
