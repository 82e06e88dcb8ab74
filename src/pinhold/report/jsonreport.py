"""Results as the run file (docs/run-file.md): JSON Lines, written while the tests run."""

from __future__ import annotations

from typing import TextIO

from pinhold import __version__
from pinhold.report.results import CaseResult
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.runfile import RunWriter
from pinhold.targets.runner import recorded_step


class RunFileReport:
    """See listener.Report.  A file that was cut off has no `end`."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = RunWriter(stream, __version__)
        self._names: dict[int, str] = {}

    def begin(self, place: int, info: TargetInfo) -> None:
        self._names[place] = info.name
        self._writer.target(info)

    def result(self, place: int, result: CaseResult) -> None:
        run = self._writer.begin(self._names[place], result.name, result.result.scenario)
        for record in result.result.steps:
            self._writer.step(run, recorded_step(record))
        self._writer.end(run, result.verdict, result.result.seconds, result.result.mechanisms)

    def end(self, place: int, seconds: float) -> None:
        """The file has the seconds of each scenario."""

    def close(self, cut: str | None) -> None:
        if cut is None:
            self._writer.close()
