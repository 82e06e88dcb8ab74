"""`pinhold compare`: what differs between two targets, or saved runs, test by test, and nothing else."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from pinhold.commands import NothingToRun
from pinhold.commands.compare_saved import compare_saved
from pinhold.commands.given import deadline, external, luggage, only_models
from pinhold.commands.judged import EXIT_UNTESTABLE, compared, tell
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.pages import page_at
from pinhold.commands.pinned import none_pinned, pinned
from pinhold.commands.random_tests import compare_random, refuse
from pinhold.commands.registry import configured_as, make_targets, ready
from pinhold.commands.saved import saved
from pinhold.commands.select import Selected, select
from pinhold.commands.touching import touching
from pinhold.report.results import TargetRun
from pinhold.scenario.verdict import EXIT_HELD, severest
from pinhold.targets.base import Target


def main(options: Namespace) -> int:
    """0: alike; 1: not; 2: alike in all that both did, but one side skipped tests, or ended early; 5: the tool broke.

    With --bisect also 1 where a kernel crashed in a test, and 125 where nothing can be told of this commit: it gave no
    image, did not come up, or nothing could be compared.
    """
    given = (options.left, options.right)
    tests = select(options.tests or ([] if options.random else ["seed"]), options.without)
    sides = saved(options.left), saved(options.right)
    now = [text for text, side in zip(given, sides, strict=True) if side is None]
    make = _maker(options, now)
    refuse(options, now)
    for name in targets_of(now):
        if options.bisect and (why := unbuilt(name)) is not None:
            print(f"cannot be tested: {why}")
            return EXIT_UNTESTABLE
    if any(sides):
        return compare_saved(options, sides, make, _run)
    tests = touching(options, given, tests, sys.stdout)
    if not tests and not options.random:
        return EXIT_HELD
    targets = make()
    statuses = [_tests(options, targets, tests)] if tests else []
    if options.random:
        statuses.append(compare_random(options, targets))
    return statuses[0] if len(statuses) == 1 else severest(statuses)


def _tests(options: Namespace, targets: Sequence[Target], tests: Sequence[Selected]) -> int:
    """The tests on both sides.  Raises NothingToRun."""
    with page_at(options.html) as page:
        try:
            runs = _both(targets, tests, options.jobs)
        except NothingToRun as reason:
            if not options.bisect:
                raise
            print(f"cannot be tested: {reason}")
            return EXIT_UNTESTABLE
        page.draw(runs, True)
        found = list(pinned(options.pin, runs))
        for each in found:
            print(f"{each}.")
        return none_pinned(found, _tell(runs[0], runs[1], options.bisect), options.bisect)


def _maker(options: Namespace, texts: Sequence[str]) -> Callable[[], list[Target]]:
    """What makes the targets, ready to run.  Raises UsageError for what is wrong with the options, before anything."""
    names = targets_of(texts)
    only_models(options, names)
    pins, bags = external(options, names), luggage(options, names)
    limit = deadline(options, names)

    def make() -> list[Target]:
        targets = make_targets(texts, pins=pins, luggage=bags, deadline=limit, counts=options.counts)
        for target in targets:
            ready(target)
        return targets

    return make


def unbuilt(name: str) -> str | None:
    """Why the image that vm:PATH names is none: this commit gave none, or half of one."""
    kind, _, path = name.partition(":")
    if kind != "vm" or "/" not in path:
        return None
    image = Path(path).expanduser()
    if not image.exists():
        return f"there is no {path}"
    from pinhold.lab.errors import LabError
    from pinhold.lab.own import own_kernel

    try:
        own_kernel(image)
    except LabError as reason:
        return str(reason)
    return None


def _both(targets: Sequence[Target], tests: Sequence[Selected], jobs: int | None) -> list[TargetRun]:
    """Both runs; a model beside a real kernel is configured as that is.  Raises NothingToRun."""
    models = [target.what.startswith("model:") for target in targets]
    if models.count(True) != 1:
        return _run(targets, tests, jobs)
    model, real = targets if models[0] else reversed(targets)
    (seen,) = _run([real], tests, jobs)
    (told,) = _run([configured_as(model, seen.info)], tests, jobs)
    return [told, seen] if models[0] else [seen, told]


def _run(targets: Sequence[Target], tests: Sequence[Selected], jobs: int | None) -> list[TargetRun]:
    runs = []
    for outcome in run_matrix(targets, tests, jobs):
        if isinstance(outcome, NothingToRun):
            raise outcome
        runs.append(outcome)
    return runs


def _tell(left: TargetRun, right: TargetRun, bisect: bool) -> int:
    return tell(compared(left, right, bisect))
