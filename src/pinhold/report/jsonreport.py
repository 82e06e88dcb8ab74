"""Results as the run file (docs/run-file.md): JSON Lines, written while the tests run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from pinhold import __version__
from pinhold.report.results import CaseResult
from pinhold.scenario.runfile import RunWriter
from pinhold.targets.base import TargetInfo
from pinhold.targets.runner import recorded_step, recorded_target


def write_run_file(stream: TextIO, runs: Iterable[tuple[TargetInfo, Iterable[CaseResult]]]) -> list[CaseResult]:
    """Write every result as soon as it is there; gives all of them."""
    writer = RunWriter(stream, __version__)
    written = []
    for info, results in runs:
        writer.target(recorded_target(info))
        for result in results:
            run = writer.begin(info.name, result.name, result.result.scenario)
            for record in result.result.steps:
                writer.step(run, recorded_step(record))
            writer.end(run, result.verdict, result.result.seconds, result.result.mechanisms)
            written.append(result)
    writer.close()
    return written
