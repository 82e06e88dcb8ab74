"""`pinhold check`: the suite of the seed on kernels before and after it and on the running one, in one table.

Stock kernels in QEMU have columns too, where QEMU and they are at hand.  Below the table the suite `stock`, for what a
kernel without gup_test can show, on the running kernel beside its own model.
"""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.agreement import agrees, run_again
from pinhold.commands.allow import allowed
from pinhold.commands.expected import is_twelve
from pinhold.commands.judged import MODEL, Column, closing
from pinhold.commands.lab import columns, leave_out_gigantic
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.pins import deadline, luggage
from pinhold.commands.registry import by_chance, describe, make_targets, model_of
from pinhold.commands.runs import run_target
from pinhold.commands.select import Selected, select
from pinhold.report import terminal
from pinhold.report.results import CaseResult, TargetRun
from pinhold.report.table import WIDTH, table
from pinhold.targets.base import Target
from pinhold.targets.runner import run_scenario

TARGETS = ("model:6.1", "model:6.2", "live")


def main(options: Namespace) -> int:
    """Print the table and the summary; 0: every column is as its rules predict, or agrees with its model."""
    seed, stock = select(["seed"], options.without), select(["stock"], options.without)
    guests, without = columns() if options.on is None else ((), None)
    given = tuple(dict.fromkeys(options.on or (*TARGETS, *guests)))
    names = targets_of(given)
    targets = make_targets(given, luggage=luggage(options, names), deadline=deadline(options, names))
    if not options.on:
        leave_out_gigantic(targets)
    with allowed(options.allow_change, names, [*seed, *stock]):
        return _check(targets, seed, stock, without, options.jobs)


def _check(
    targets: Sequence[Target],
    tests: Sequence[Selected],
    stock: Sequence[Selected],
    without: str | None,
    jobs: int | None,
) -> int:
    seed, real, absent = [], [], [without] if without else []
    for target, outcome in zip(targets, run_matrix(targets, tests, jobs), strict=True):
        if isinstance(outcome, NothingToRun):
            absent.append(str(outcome))
            continue
        seed.append(_column(target, outcome, tests))
        if target.what == "live":
            real.append(target)
    if not seed:
        raise NothingToRun("; ".join(absent))
    print('The tests of "mm/gup: reliable R/O long-term pinning in COW mappings", the patch that Linux 6.2 has.\n')
    _show([column.run for column in seed], {t.number for t in tests if is_twelve(t)})
    judged = [column.judged() for column in seed]
    for each in judged:
        _paragraphs(each.told())
    _paragraphs(f"{sentence}." for sentence in absent)
    for target in real:
        column = replace(_column(target, run_target(target, describe(target), stock), stock), quoted=False)
        print("\nWhat takes no gup_test: the suite stock.\n")
        _show([column.run] if column.model is None else [column.run, column.model])
        judged.append(column.judged())
        _paragraphs(judged[-1].told())
    end = closing(judged)
    print(f"\n{end.verdict}")
    return end.status


def _show(runs: Sequence[TargetRun], quoted: Collection[int] = ()) -> None:
    terminal.write(table(runs, quoted))
    print()


def _paragraphs(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print("\n".join(textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)))


def _column(target: Target, run: TargetRun, tests: Sequence[Selected]) -> Column:
    """What is shown of a target, and what it is judged by: a model by its rules, a real kernel by its model."""
    if run.info.target.startswith(MODEL):
        return Column(run, tests)
    if target.what == "live":
        return _beside_model(target, run, tests)
    return Column(run, tests, _model_run(run, tests))


def _beside_model(target: Target, run: TargetRun, tests: Sequence[Selected]) -> Column:
    """The kernel that runs here and its model; what differed once and not again is not the kernel's doing."""
    model = _model_run(run, tests)
    if model is not None:
        run = replace(run, results=run_again(target, run.results, model.results))
    return Column(run, tests, model)


def _model_run(run: TargetRun, tests: Sequence[Selected]) -> TargetRun | None:
    """The same tests on the model of a real kernel's release and configuration; None where there is no such model."""
    try:
        target = model_of(run.info)
    except UsageError:
        return None
    model = run_target(target, describe(target), tests)
    other = by_chance(target)
    if other is None:
        return model
    results = [
        theirs if agrees(ours, theirs) else _other_chance(ours, theirs, other)
        for ours, theirs in zip(run.results, model.results, strict=True)
    ]
    return replace(model, results=tuple(results))


def _other_chance(ours: CaseResult, theirs: CaseResult, other: Target) -> CaseResult:
    """What the model gives where chance went the other way, if that is what the kernel did."""
    again = replace(theirs, result=replace(run_scenario(other, theirs.result.scenario), target=theirs.result.target))
    return again if agrees(ours, again) else theirs
