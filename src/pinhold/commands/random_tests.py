"""`pinhold compare --random N`: random scenarios on both sides, and what each difference comes down to."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.board import BOARD
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.registry import close, describe, model_of
from pinhold.commands.runs import Progress
from pinhold.commands.select import Selected
from pinhold.conform.beside import Both, Difference, Found, beside, scenarios
from pinhold.report.results import counted
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED
from pinhold.targets.base import Target
from pinhold.targets.batch import run_each
from pinhold.targets.model.target import ModelTarget

_LINE = "--random"
"""The name of its line of progress."""


def refuse(options: Namespace, texts: Sequence[str]) -> None:
    """Raises UsageError where the options do not go together.  texts: the targets that are to run."""
    names = targets_of(texts)
    if options.random is None:
        if options.seed is not None:
            raise UsageError("--seed is of random scenarios: add --random N")
        return
    if options.bisect:
        raise UsageError(
            "--random is not for --bisect: it prints what differs as a scenario, which a FILE.pin can have"
        )
    if not options.tests and (options.touches or options.touches_diff is not None):
        raise UsageError("--touches chooses among tests, and random scenarios are none: name a suite, such as seed")
    if len(names) < 2:
        raise UsageError("--random runs both sides, and a saved run is none that can be run")
    models = [name.startswith("model:") for name in names]
    if any(models) and not all(models):
        raise UsageError(
            "--random compares two kernels or two models: pinhold conform has random scenarios on a kernel and a model"
        )


def compare_random(options: Namespace, targets: Sequence[Target]) -> int:
    """0: alike; 1: a difference that came again; 2: only such as did not; 5: the tool broke.  Raises NothingToRun."""
    seed = 1 if options.seed is None else options.seed
    models = all(isinstance(target, ModelTarget) for target in targets)
    try:
        tests = list(_tests(targets, seed, options.random))
        runs = run_matrix(targets, tests, options.jobs)
        for outcome in runs:
            if isinstance(outcome, NothingToRun):
                raise outcome
        results = [[case.result for case in run.results] for run in runs if not isinstance(run, NothingToRun)]
        with _Again(targets, together=not models) as again:
            found = beside(zip(*results, strict=True), again, models, _tell)
    finally:
        for target in targets:
            close(target)
    for line in (*found.trouble, _in_all(found, targets, seed)):
        print(line)
    return _status(found)


def _tests(targets: Sequence[Target], seed: int, count: int) -> Iterator[Selected]:
    """Made by the model of the first: the second may be another release of it."""
    model, info = targets[0], None
    if not isinstance(model, ModelTarget):
        info = describe(model)
        model = model_of(info)
        assert isinstance(model, ModelTarget)
    progress = Progress(_LINE, count, "scenarios")
    try:
        for number, scenario in enumerate(scenarios(model, info, seed, count), 1):
            progress.at(number)
            yield Selected(number, scenario.title, scenario, scenario.title)
    finally:
        progress.clear()


class _Again:
    """Runs a scenario on both sides once more, and says how often.  together: at the same time, as guests can."""

    def __init__(self, targets: Sequence[Target], together: bool) -> None:
        self._targets = targets
        self._pool = ThreadPoolExecutor(len(targets))
        self._map = self._pool.map if together else map
        self._runs = 0

    def __enter__(self) -> _Again:
        return self

    def __exit__(self, *why: object) -> None:
        self._pool.shutdown()
        BOARD.clear(_LINE)

    def __call__(self, scenario: Scenario) -> Both:
        self._runs += 1
        BOARD.show(_LINE, f"{_LINE}: what differs is run again and made small, run {self._runs}")
        left, right = self._map(lambda target: next(iter(run_each(target, [scenario]))), self._targets)
        return left, right


def _tell(difference: Difference) -> None:
    words = f"{difference.title}: {difference.words} ({difference.came} of {counted(difference.runs, 'run')})"
    BOARD.clear(_LINE)
    print(words, flush=True)
    if difference.counts:
        print(textwrap.indent(format_scenario(difference.scenario), "    ").rstrip(), flush=True)


def _in_all(found: Found, targets: Sequence[Target], seed: int) -> str:
    names = " and ".join(target.name for target in targets)
    kinds = counted(len(found.differences), "difference") if found.differences else "no difference"
    like = f", {counted(found.like, 'scenario')} more like them" if found.like else ""
    return (
        f"{names}: {counted(found.scenarios, 'random scenario')}, {found.steps:,} steps, {found.values:,} values, "
        f"{kinds}{like}; seed {seed}"
    )


def _status(found: Found) -> int:
    if any(difference.counts for difference in found.differences):
        return EXIT_VIOLATED
    if found.trouble:
        return EXIT_BROKEN
    return EXIT_UNKNOWN if found.differences else EXIT_HELD
