"""`pinhold run`: tests of suites and scenario files, on one target or several."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO

from pinhold.commands import Ended, NothingToRun, UsageError
from pinhold.commands.allow import allowed
from pinhold.commands.chosen import chosen
from pinhold.commands.ending import ended_by_signals
from pinhold.commands.given import deadline, external, luggage, only_models
from pinhold.commands.matrix import Outcome, run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.output import output
from pinhold.commands.outputs import outputs
from pinhold.commands.pages import page_at
from pinhold.commands.pinned import none_pinned, pinned
from pinhold.commands.registry import make_targets, ready
from pinhold.commands.select import Selected, read_text
from pinhold.commands.started import started
from pinhold.commands.touching import touching
from pinhold.report import terminal
from pinhold.report.listener import NOT_RUN, Drawn, Listener, Report, Several, Whole
from pinhold.report.results import CaseResult, TargetRun, counted, pools, tally
from pinhold.scenario.ran import Started
from pinhold.scenario.suites import place
from pinhold.scenario.verdict import EXIT_HELD, EXIT_VIOLATED, Verdict, exit_status, severest
from pinhold.targets.runner import Result

if TYPE_CHECKING:
    from pinhold.report.baseline import Baseline

LIVE = "live"
"""The target where none is named: the kernel that runs here."""


def main(options: Namespace) -> int:
    """Run, report, and give the exit status of the verdicts."""
    options.on = options.on or [LIVE]
    known = _known(options.baseline)
    told = _told(outputs(options.output, options.format))
    tests = touching(options, options.on, chosen(options), told)
    if not tests:
        return EXIT_HELD
    with ended_by_signals(), allowed(options.allow_change, targets_of(options.on), tests):
        runs = _run(options, tests)
    programs = list(pinned(options.pin, runs))
    for program in programs:
        print(f"{program}.", file=told)
    return none_pinned(programs, _status(options, tests, runs, known))


def _run(options: Namespace, tests: Sequence[Selected]) -> list[TargetRun]:
    own = any(place(test.name) is None for test in tests)
    names = targets_of(options.on)
    only_models(options, names)
    pins = external(options, names)
    bags = luggage(options, names)
    limit = deadline(options, names)
    wanted = outputs(options.output, options.format)
    begun = started(options)
    targets = make_targets(options.on, properties=own, pins=pins, luggage=bags, deadline=limit, counts=options.counts)
    for target in targets:
        ready(target)
    with ExitStack() as files:
        streams = [(files.enter_context(output(path)), form) for path, form in wanted]
        page = files.enter_context(page_at(options.html, _told(wanted)))
        reports = [_report(form, stream, len(targets), tests, begun, options.ktap_names) for stream, form in streams]
        report = Several(*reports, Drawn(page.draw))
        try:
            runs = [_ran(outcome) for outcome in run_matrix(targets, tests, options.jobs, Listener(report))]
        except BaseException as end:
            with suppress(OSError):  # it may be the stream that has ended the run
                report.close(_words(end))
                for stream, _ in streams:
                    stream.flush()
            raise
        report.close(None)
    return runs


def _told(wanted: Iterable[tuple[str | None, str]]) -> TextIO:
    """Where a sentence goes that is no part of a report."""
    return sys.stderr if any(path is None and form != "table" for path, form in wanted) else sys.stdout


def _known(path: str | None) -> Baseline | None:
    """What --baseline names.  Raises UsageError."""
    if path is None:
        return None
    from pinhold.report.baseline import BadBaseline, read

    try:
        return read(read_text(path, "baseline"))
    except BadBaseline as error:
        raise UsageError(f"{path}: {error}") from None


def _status(options: Namespace, tests: Sequence[Selected], runs: Sequence[TargetRun], known: Baseline | None) -> int:
    """That of the verdicts; with --baseline of what is new; with --strict a skip that nobody asked for fails,
    a known one as well."""
    told = _told(outputs(options.output, options.format))
    if known is not None:
        from pinhold.report.baseline import judged

        found = judged(runs, known, options.baseline)
        print(*found.lines, sep="\n", file=told)
        status = found.status
    else:
        status = exit_status(r.verdict for run in runs for r in run.results)
    skipped = {
        result.name
        for run in runs
        for test, result in zip(tests, run.results, strict=True)
        if result.verdict.kind == "skipped" and not test.left_out
    }
    if options.strict and skipped:
        words = f"{counted(len(skipped), 'test')} skipped, which --strict takes for a failure"
        print(f"{words}: {', '.join(sorted(skipped)[:3])}{' …' if len(skipped) > 3 else ''}", file=told)
        return severest([status, EXIT_VIOLATED])
    return status


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


def _report(
    name: str, stream: TextIO, targets: int, tests: Sequence[Selected], begun: Started, names: str | None
) -> Report:
    if name == "json":
        from pinhold.report.jsonreport import RunFileReport

        return RunFileReport(stream, begun)
    if name == "ktap":
        from pinhold.report.ktap import ktap_report

        return ktap_report(stream, targets, [(test.name, test.scenario.title) for test in tests], names)
    unrun = [
        CaseResult(t.number, t.name, t.text, Result("", t.scenario, Verdict("skipped", reason=NOT_RUN))) for t in tests
    ]
    if name == "junit":
        from pinhold.report.junit import junit

        return Whole(stream, partial(junit, started=begun), unrun)
    if name == "baseline":
        from pinhold.report.baseline import written

        return Whole(stream, written, unrun)
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
