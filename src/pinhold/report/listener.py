"""Reports that are written while the tests run, so that what was done is there when a run is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Lock
from typing import Protocol, TextIO

from pinhold.report.results import CaseResult, TargetRun
from pinhold.report.terminal import Write, plain
from pinhold.scenario.ran import TargetInfo


class Report(Protocol):
    """Hears what happens on each target; `place`: which one, in the order of the command line."""

    def begin(self, place: int, info: TargetInfo) -> None:
        """The target is there, and its tests begin."""

    def result(self, place: int, result: CaseResult) -> None:
        """The next result, in the order of the tests."""

    def end(self, place: int, seconds: float) -> None:
        """All tests of the target have run."""

    def close(self, cut: str | None) -> None:
        """Nothing follows.  cut: what ended the run early, in words."""


class Listener:
    """A report that several threads tell, one at a time, until it is over.  Without a report nobody listens."""

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._lock = Lock()

    def begin(self, place: int, info: TargetInfo) -> None:
        with self._lock:
            if self._report:
                self._report.begin(place, info)

    def result(self, place: int, result: CaseResult) -> None:
        with self._lock:
            if self._report:
                self._report.result(place, result)

    def end(self, place: int, seconds: float) -> None:
        with self._lock:
            if self._report:
                self._report.end(place, seconds)

    def stop(self) -> None:
        """What threads still say is no result: they are being ended."""
        with self._lock:
            self._report = None


class Several:
    """Reports that hear the same."""

    def __init__(self, *reports: Report) -> None:
        self._reports = reports

    def begin(self, place: int, info: TargetInfo) -> None:
        for report in self._reports:
            report.begin(place, info)

    def result(self, place: int, result: CaseResult) -> None:
        for report in self._reports:
            report.result(place, result)

    def end(self, place: int, seconds: float) -> None:
        for report in self._reports:
            report.end(place, seconds)

    def close(self, cut: str | None) -> None:
        for report in self._reports:
            report.close(cut)


Render = Callable[[Sequence[TargetRun], str | None], Iterator[str]]
"""The lines of a report.  The second argument: what ended the run early, or None."""

NOT_RUN = "the run was cut off before this test"


class Gathered:
    """The results of each target, until all are known."""

    def __init__(self) -> None:
        self._runs: dict[int, TargetRun] = {}

    def begin(self, place: int, info: TargetInfo) -> None:
        self._runs[place] = TargetRun(info, ())

    def result(self, place: int, result: CaseResult) -> None:
        run = self._runs[place]
        self._runs[place] = replace(run, results=(*run.results, result))

    def end(self, place: int, seconds: float) -> None:
        self._runs[place] = replace(self._runs[place], seconds=seconds)

    @property
    def runs(self) -> list[TargetRun]:
        """In the order of the command line."""
        return [run for _, run in sorted(self._runs.items())]


class Drawn(Gathered):
    """A picture of all results, made at the end.  draw: is given them, and whether that is all."""

    def __init__(self, draw: Callable[[Sequence[TargetRun], bool], None]) -> None:
        super().__init__()
        self._draw = draw

    def close(self, cut: str | None) -> None:
        self._draw(self.runs, cut is None)


class Whole(Gathered):
    """A report that can be written only when all is known.

    Where the run was cut off, tests that it did not come to are shown as skipped, with that reason.
    """

    def __init__(self, stream: TextIO, render: Render, unrun: Sequence[CaseResult], write: Write = plain) -> None:
        """unrun: for each test what stands in for its result."""
        super().__init__()
        self._stream = stream
        self._render = render
        self._unrun = unrun
        self._write = write

    def close(self, cut: str | None) -> None:
        whole = [replace(run, results=(*run.results, *self._unrun[len(run.results) :])) for run in self.runs]
        self._write(self._render(whole, cut), self._stream)
