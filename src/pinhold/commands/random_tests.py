"""`pinhold compare --random N`: random scenarios on both sides, and what each difference comes down to."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterator, Sequence

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.registry import close, describe, model_of
from pinhold.commands.runs import Progress
from pinhold.commands.select import Selected
from pinhold.conform.beside import Both, Found, beside, scenarios
from pinhold.report.results import counted
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.steps import Scenario
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED
from pinhold.targets.base import Target
from pinhold.targets.batch import run_each
from pinhold.targets.model.target import ModelTarget


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
        found = beside(zip(*results, strict=True), lambda scenario: _both(targets, scenario), sure=models)
    finally:
        for target in targets:
            close(target)
    for line in _words(found, targets, seed):
        print(line)
    return _status(found)


def _tests(targets: Sequence[Target], seed: int, count: int) -> Iterator[Selected]:
    """Made by the model of the first: the second may be another release of it."""
    model, info = targets[0], None
    if not isinstance(model, ModelTarget):
        info = describe(model)
        model = model_of(info)
        assert isinstance(model, ModelTarget)
    progress = Progress("--random", count, "scenarios")
    try:
        for number, scenario in enumerate(scenarios(model, info, seed, count), 1):
            progress.at(number)
            yield Selected(number, scenario.title, scenario, scenario.title)
    finally:
        progress.clear()


def _both(targets: Sequence[Target], scenario: Scenario) -> Both:
    left, right = (next(iter(run_each(target, [scenario]))) for target in targets)
    return left, right


def _words(found: Found, targets: Sequence[Target], seed: int) -> Iterator[str]:
    for difference in found.differences:
        yield f"{difference.title}: {difference.words} ({difference.came} of {counted(difference.runs, 'run')})"
        if difference.counts:
            yield textwrap.indent(format_scenario(difference.scenario), "    ").rstrip()
    yield from found.trouble
    names = " and ".join(target.name for target in targets)
    kinds = counted(len(found.differences), "difference") if found.differences else "no difference"
    like = f", {counted(found.like, 'scenario')} more like them" if found.like else ""
    yield (
        f"{names}: {counted(found.scenarios, 'random scenario')}, {found.steps:,} steps, {found.values:,} values, "
        f"{kinds}{like}; seed {seed}"
    )


def _status(found: Found) -> int:
    if any(difference.counts for difference in found.differences):
        return EXIT_VIOLATED
    if found.trouble:
        return EXIT_BROKEN
    return EXIT_UNKNOWN if found.differences else EXIT_HELD
