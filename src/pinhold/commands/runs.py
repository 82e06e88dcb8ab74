"""Runs selected tests on a target, in order, in worker processes where the target allows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence

from pinhold.commands.board import BOARD
from pinhold.commands.select import Selected
from pinhold.commands.workers import in_workers, worth_it
from pinhold.report.results import CaseResult, TargetRun
from pinhold.report.terminal import moves
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import Target
from pinhold.targets.batch import run_each
from pinhold.targets.runner import Result, run_scenario

_WORTH_IT = 16
"""Fewer tests than this run faster without workers."""


class Progress:
    """One line on stderr, on a terminal only and not before a second has gone."""

    def __init__(self, name: str, total: int, what: str = "tests") -> None:
        self._name, self._total, self._what = name, total, what
        self._begun = time.monotonic()
        self._shown = False
        self._terminal = moves(sys.stderr)

    def at(self, done: int) -> None:
        """So many are done."""
        if self._terminal and time.monotonic() - self._begun > 1:
            self._shown = True
            BOARD.show(self._name, f"{self._name}: {done} of {self._total} {self._what}")

    def of(self, what: str, done: int, total: int) -> None:
        """So many of so many of those, which is known only now, are done."""
        self._what, self._total = what, total
        self.at(done)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            BOARD.clear(self._name)


def run_tests(target: Target, tests: Sequence[Selected]) -> Iterator[CaseResult]:
    """The results in the order of `tests`, each as soon as it and all before it are known."""
    progress = Progress(target.name, len(tests))
    # The kernel that runs here is one machine, where tests beside each other would disturb each other.
    wanted = [test for test in tests if test.left_out is None]
    parallel = target.what.startswith("model:") and len(wanted) >= _WORTH_IT and worth_it()
    results = _in_workers(target, wanted) if parallel else run_each(target, [test.scenario for test in wanted])
    try:
        for done, test in enumerate(tests, start=1):
            result = _left_out(target, test) if test.left_out else next(results)
            progress.at(done)
            yield CaseResult(test.number, test.name, test.text, result)
    finally:
        progress.clear()


def _left_out(target: Target, test: Selected) -> Result:
    return Result(target.name, test.scenario, Verdict("skipped", reason=test.left_out))


def run_target(
    target: Target,
    info: TargetInfo,
    tests: Sequence[Selected],
    hear: Callable[[CaseResult], None] = lambda result: None,
) -> TargetRun:
    """All results on one target.  hear: is given each as soon as it is there."""
    begun = time.monotonic()
    results = []
    for result in run_tests(target, tests):
        hear(result)
        results.append(result)
    return TargetRun(info, tuple(results), time.monotonic() - begun)


def _in_workers(target: Target, tests: Sequence[Selected]) -> Iterator[Result]:
    """A worker that dies is an `error` of the test that it ran."""

    def died(test: Selected) -> Result:
        reason = "the worker process that ran it ended without a result"
        return Result(target.name, test.scenario, Verdict("error", reason=reason))

    return in_workers(lambda test: run_scenario(target, test.scenario), tests, died)
