"""`pinhold run`: tests of suites and scenario files, on one target or several."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TextIO

from pinhold.commands import Ended, NothingToRun
from pinhold.commands.allow import allowed
from pinhold.commands.ending import ended_by_signals
from pinhold.commands.given import deadline, external, luggage, only_models
from pinhold.commands.matrix import Outcome, run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.output import output
from pinhold.commands.pages import page_at
from pinhold.commands.registry import make_targets, ready
from pinhold.commands.select import Selected, is_file, select
from pinhold.commands.touching import touching
from pinhold.report import terminal
from pinhold.report.listener import NOT_RUN, Drawn, Listener, Report, Several, Whole
from pinhold.report.results import CaseResult, TargetRun, pools, tally
from pinhold.scenario.verdict import EXIT_HELD, Verdict, exit_status
from pinhold.targets.runner import Result

LIVE = "live"
"""The target where none is named: the kernel that runs here."""


def main(options: Namespace) -> int:
    """Run, report, and give the exit status of the verdicts."""
    options.on = options.on or [LIVE]
    told = sys.stderr if options.output is None and options.format != "table" else sys.stdout
    tests = touching(options, options.on, select(options.tests, options.without), told)
    if not tests:
        return EXIT_HELD
    with ended_by_signals(), allowed(options.allow_change, targets_of(options.on), tests):
        return _run(options, tests)


def _run(options: Namespace, tests: Sequence[Selected]) -> int:
    own = any(is_file(argument) for argument in options.tests)
    names = targets_of(options.on)
    only_models(options, names)
    pins = external(options.pin, names)
    bags = luggage(options, names)
    limit = deadline(options, names)
    targets = make_targets(options.on, properties=own, pins=pins, luggage=bags, deadline=limit, counts=options.counts)
    for target in targets:
        ready(target)
    told = sys.stderr if options.output is None and options.format != "table" else sys.stdout
    with output(options.output) as stream, page_at(options.html, told) as page:
        report = Several(_report(options.format, stream, len(targets), tests), Drawn(page.draw))
        try:
            runs = [_ran(outcome) for outcome in run_matrix(targets, tests, options.jobs, Listener(report))]
        except BaseException as end:
            with suppress(OSError):  # it may be the stream that has ended the run
                report.close(_words(end))
                stream.flush()
            raise
        report.close(None)
    return exit_status(r.verdict for run in runs for r in run.results)


def _words(end: BaseException) -> str:
    """What has cut the run off."""
    if isinstance(end, KeyboardInterrupt):
        return str(end) if isinstance(end, Ended) else "Ctrl-C"
    return str(end) or type(end).__name__


def _ran(outcome: Outcome) -> TargetRun:
    """Raises NothingToRun."""
    if isinstance(outcome, NothingToRun):
        raise outcome
    return outcome


def _report(name: str, stream: TextIO, targets: int, tests: Sequence[Selected]) -> Report:
    if name == "json":
        from pinhold.report.jsonreport import RunFileReport

        return RunFileReport(stream)
    if name == "ktap":
        from pinhold.report.ktap import KtapReport

        return KtapReport(stream, targets, len(tests))
    unrun = [
        CaseResult(t.number, t.name, t.text, Result("", t.scenario, Verdict("skipped", reason=NOT_RUN))) for t in tests
    ]
    if name == "junit":
        from pinhold.report.junit import junit

        return Whole(stream, junit, unrun)
    return Whole(stream, _table, unrun, terminal.write)


def _table(runs: Sequence[TargetRun], cut: str | None) -> Iterator[str]:
    from pinhold.report.table import WIDTH, table

    if cut is not None:
        yield f"CUT OFF by {cut}."
        yield ""
    if runs:
        yield from table(runs)
        yield ""
    for run in runs:
        yield f"{run.info.name}: {tally(run.results)}" + (f" in {run.seconds:.1f} s" if cut is None else "")
        if has := pools(run.info):
            yield from textwrap.wrap(f"  with {has}", terminal.width(WIDTH), subsequent_indent="  ")
