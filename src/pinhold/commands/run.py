"""`pinhold run`: tests of suites and scenario files, on one target or several."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence

from pinhold.commands import NothingToRun
from pinhold.commands.allow import allowed
from pinhold.commands.matrix import Outcome, run_matrix, spread
from pinhold.commands.output import output
from pinhold.commands.pins import deadline, external, luggage
from pinhold.commands.registry import close, describe, make_target, ready
from pinhold.commands.runs import run_tests
from pinhold.commands.select import Selected, is_file, select
from pinhold.report.results import TargetRun, tally
from pinhold.scenario.verdict import exit_status

FORMATS = ("table", "ktap", "json", "junit")


def main(options: Namespace) -> int:
    """Run, report, and give the exit status of the verdicts."""
    tests = select(options.tests)
    with allowed(options.allow_change, options.on, tests):
        return _run(options, tests)


def _run(options: Namespace, tests: Sequence[Selected]) -> int:
    own = any(is_file(argument) for argument in options.tests)
    pins = external(options.pin, options.on)
    bags = luggage(options, options.on)
    limit = deadline(options, options.on)
    targets = [make_target(name, properties=own, pins=pins, luggage=bags, deadline=limit) for name in options.on]
    for target in targets:
        ready(target)
    with output(options.output) as stream:
        if options.format == "json":
            from pinhold.report.jsonreport import write_run_file

            spread(targets, options.jobs, beside=False)
            pairs = ((describe(target), run_tests(target, tests)) for target in targets)
            try:
                return exit_status(r.verdict for r in write_run_file(stream, pairs))
            finally:
                for target in targets:
                    close(target)
        runs = [_ran(outcome) for outcome in run_matrix(targets, tests, options.jobs)]
        for line in _format(options.format)(runs):
            stream.write(line + "\n")
    return exit_status(r.verdict for run in runs for r in run.results)


def _ran(outcome: Outcome) -> TargetRun:
    """Raises NothingToRun."""
    if isinstance(outcome, NothingToRun):
        raise outcome
    return outcome


def _format(name: str) -> Callable[[Sequence[TargetRun]], Iterator[str]]:
    if name == "ktap":
        from pinhold.report.ktap import ktap

        return ktap
    if name == "junit":
        from pinhold.report.junit import junit

        return junit
    return _table


def _table(runs: Sequence[TargetRun]) -> Iterator[str]:
    from pinhold.report.table import table

    yield from table(runs)
    yield ""
    for run in runs:
        yield f"{run.info.name}: {tally(run.results)} in {run.seconds:.1f} s"
