"""Results as the run file (docs/run-file.md): JSON Lines, written while the tests run."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TextIO

from pinhold import __version__
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.ran import Search, Started, TargetInfo
from pinhold.scenario.runfile import RunFile, RunWriter, read_run
from pinhold.targets.runner import recorded_step


class RunFileReport:
    """See listener.Report.  A file that was cut off has no `end`."""

    def __init__(self, stream: TextIO, started: Started | None = None) -> None:
        self._writer = RunWriter(stream, __version__, started=started)
        self._names: dict[int, str] = {}

    def begin(self, place: int, info: TargetInfo) -> None:
        if info.name not in self._names.values():
            self._writer.target(info)
        self._names[place] = info.name

    def result(self, place: int, result: CaseResult) -> None:
        run = self._writer.begin(self._names[place], result.name, result.result.scenario)
        for record in result.result.steps:
            self._writer.step(run, recorded_step(record))
        self._writer.end(run, result.verdict, result.result.seconds, result.result.mechanisms)

    def search(self, search: Search) -> None:
        """What the explorer came to."""
        self._writer.search(search)

    def end(self, place: int, seconds: float) -> None:
        """The file has the seconds of each scenario."""

    def close(self, cut: str | None) -> None:
        if cut is None:
            self._writer.close()


def as_run_file(runs: Sequence[TargetRun], complete: bool = True) -> RunFile:
    """Results as they are read back from a run file: pictures are made of nothing else.

    A test that a target ran more often is there once.
    """
    stream = StringIO()
    report = RunFileReport(stream)
    done: set[tuple[str, str]] = set()
    for place, run in enumerate(runs):
        report.begin(place, run.info)
        for result in run.results:
            if (run.info.name, result.name) not in done:
                report.result(place, result)
                done.add((run.info.name, result.name))
    report.close(None if complete else "cut off")
    return read_run(stream.getvalue().splitlines(keepends=True))
