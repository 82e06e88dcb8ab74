"""`pinhold check`: the suite of the seed on kernels before and after it and on the running one, on one screen.

Stock kernels in QEMU have columns too, where QEMU and they are at hand.  The suite `stock` asks what a kernel without
gup_test can show, on the running kernel beside its own model.  --full prints the tables.
"""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.agreement import agrees, run_again
from pinhold.commands.allow import allowed
from pinhold.commands.expected import is_twelve
from pinhold.commands.given import deadline, luggage
from pinhold.commands.judged import MODEL, Column, Judged, closing
from pinhold.commands.lab import columns, leave_out_gigantic
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.pages import page_at
from pinhold.commands.registry import by_chance, describe, make_targets, model_of
from pinhold.commands.runs import run_target
from pinhold.commands.screen import screen
from pinhold.commands.select import Selected, select
from pinhold.report import terminal
from pinhold.report.results import CaseResult, TargetRun
from pinhold.report.table import WIDTH, table
from pinhold.targets.base import Target
from pinhold.targets.runner import run_scenario

TARGETS = ("model:6.1", "model:6.2", "live")


def main(options: Namespace) -> int:
    """Print the answer and the summary; 0: every column is as its rules predict, or agrees with its model."""
    seed, stock = select(["seed"], options.without), select(["stock"], options.without)
    guests, without = columns() if options.on is None else ((), None)
    given = tuple(dict.fromkeys(options.on or (*TARGETS, *guests)))
    names = targets_of(given)
    targets = make_targets(given, luggage=luggage(options, names), deadline=deadline(options, names))
    if not options.on:
        leave_out_gigantic(targets)
    with allowed(options.allow_change, names, [*seed, *stock]), page_at(options.html) as page:
        found = _run(targets, seed, stock, [without] if without else [], options.jobs)
        judged = [column.judged() for column in found.columns]
        shown = _full(found, judged) if options.full else screen(found.seed, found.stock, judged, found.absent)
        terminal.write(shown)
        page.draw([run for column in found.columns for run in (column.run, column.model) if run is not None], True)
        end = closing(judged)
        print(f"\n{end.verdict}")
        return end.status


@dataclass(frozen=True, slots=True)
class Found:
    """Columns with the suite of the seed, and with what takes no gup_test; absent: what has none, in words."""

    seed: Sequence[Column]
    stock: Sequence[Column]
    absent: Sequence[str]

    @property
    def columns(self) -> list[Column]:
        return [*self.seed, *self.stock]


def _run(
    targets: Sequence[Target],
    tests: Sequence[Selected],
    stock: Sequence[Selected],
    absent: list[str],
    jobs: int | None,
) -> Found:
    """Raises NothingToRun where no target can run."""
    seed, real = [], []
    for target, outcome in zip(targets, run_matrix(targets, tests, jobs), strict=True):
        if isinstance(outcome, NothingToRun):
            absent.append(str(outcome))
            continue
        seed.append(_column(target, outcome, tests))
        if target.what == "live":
            real.append(replace(_column(target, run_target(target, describe(target), stock), stock), quoted=False))
    if not seed:
        raise NothingToRun("; ".join(absent))
    return Found(seed, real, absent)


def _full(found: Found, judged: Sequence[Judged]) -> Iterator[str]:
    """The tables."""
    yield 'The tests of "mm/gup: reliable R/O long-term pinning in COW mappings", the patch that Linux 6.2 has.'
    yield ""
    twelve = {test.number for column in found.seed for test in column.tests if is_twelve(test)}
    yield from [*table([column.run for column in found.seed], twelve), ""]
    for each in judged[: len(found.seed)]:
        yield from _paragraphs(each.told())
    yield from _paragraphs(f"{sentence}." for sentence in found.absent)
    for column, each in zip(found.stock, judged[len(found.seed) :], strict=True):
        yield from ["", "What takes no gup_test: the suite stock.", ""]
        yield from [*table([column.run] if column.model is None else [column.run, column.model]), ""]
        yield from _paragraphs(each.told())


def _paragraphs(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


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
