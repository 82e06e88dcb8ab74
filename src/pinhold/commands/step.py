"""`pinhold step`: a test step by step, on one target or on two side by side up to their first difference.

On a terminal it is drawn; --full, or a pipe, has all that was seen and decided in words.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

from pinhold.commands import UsageError
from pinhold.commands.agreement import compare_results
from pinhold.commands.given import deadline, external, luggage, only_models
from pinhold.commands.names import targets as targets_of
from pinhold.commands.registry import describe, make_targets
from pinhold.commands.select import Selected, select
from pinhold.report.jsonreport import as_run_file
from pinhold.report.narrate import outcome_lines, view_lines
from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.compare import Difference
from pinhold.scenario.printer import format_step
from pinhold.scenario.verdict import exit_status
from pinhold.targets.batch import run_on
from pinhold.targets.runner import Result

EXIT_MISMATCH = 1


def main(options: Namespace) -> int:
    """Tell every step; gives the status of the verdict, or 1 where two targets part."""
    tests = select([options.test])
    if len(tests) != 1:
        raise UsageError(f"{options.test!r} names {len(tests)} tests; step takes one, for example {tests[0].name}")
    if len(options.on) > 2:
        raise UsageError("step takes one target, or two to compare; --on was given more often")
    names = targets_of(options.on)
    only_models(options, names)
    pins = external(options, names)
    bags = luggage(options, names)
    limit = deadline(options, names)
    drawn = sys.stdout.isatty() and not options.full
    targets = make_targets(options.on, properties=True, pins=pins, luggage=bags, deadline=limit)
    infos = [describe(target) for target in targets]
    results = [run_on(target, tests[0].scenario) for target in targets]
    difference = compare_results(results[0], results[-1]).difference
    if drawn:
        print(tracks(tests[0], [TargetRun(i, (_case(tests[0], r),)) for i, r in zip(infos, results, strict=True)]))
        print("With --full: all that was seen and decided at each step.")
    else:
        print(f"scenario {tests[0].scenario.title}")
        for line in tell(results, difference):
            print(line)
    return EXIT_MISMATCH if difference else exit_status(r.verdict for r in results)


def tracks(test: Selected, runs: Sequence[TargetRun]) -> str:
    """The picture in text."""
    from pinhold.pictures.story import story
    from pinhold.pictures.text import pictures

    return pictures([story(run) for run in as_run_file(runs).runs], test.name)


def _case(test: Selected, result: Result) -> CaseResult:
    return CaseResult(test.number, test.name, test.text, result)


def tell(results: Sequence[Result], difference: Difference | None) -> Iterator[str]:
    """The lines, up to and with the step of the difference, and what each target came to in the end."""
    observed = -1
    for index in range(max(len(r.steps) for r in results)):
        records = [(r.target, r.steps[index]) for r in results if index < len(r.steps)]
        yield ""
        yield f"{index + 1:>3}  {format_step(records[0][1].step)}"
        accounts = [(name, [*view_lines(record), *outcome_lines(record)]) for name, record in records]
        if all(lines == accounts[0][1] for _, lines in accounts):
            accounts = [("", accounts[0][1])]
        for name, lines in accounts:
            if name:
                yield f"     {name}"
            yield from (f"       {line}" for line in lines)
        observed += any(record.observation is not None for _, record in records)
        if difference and observed == difference.index:
            yield ""
            names = [r.target for r in results]
            yield f"First difference: {difference.words(names[0], names[-1], format_step(records[0][1].step))}"
            break
    yield ""
    if difference:
        yield "In the end:"
    for result in results:
        verdict = result.verdict
        why = f": {verdict.reason}" if verdict.reason else f": {verdict.text}" if verdict.text else ""
        yield f"{result.target}: {verdict.kind}{why}"
    if len(results) > 1 and not difference:
        yield "No difference in anything that both could see."
