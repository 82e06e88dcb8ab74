"""`pinhold conform`: random scenarios on real kernels, each step compared with the model of that kernel."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.allow import allowed
from pinhold.commands.board import BOARD
from pinhold.commands.ending import ended_by_signals
from pinhold.commands.names import targets as targets_of
from pinhold.commands.pins import deadline
from pinhold.commands.registry import close, describe, make_targets, model_of, ready
from pinhold.commands.select import Selected
from pinhold.scenario.parse import parse
from pinhold.scenario.printer import format_scenario
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget
from pinhold.targets.runner import Result, run_scenario

if TYPE_CHECKING:
    from pinhold.conform.campaign import Tally
    from pinhold.scenario.steps import Scenario

EXIT_AGREES, EXIT_DIFFERS, EXIT_BY_CHANCE, EXIT_BROKEN = 0, 1, 2, 5

_NEEDED = """scenario what all profiles need
map     P t thp
map     P h hugetlb 2M pages 4096
map     P x anon pages 64
write   P x 1
swapout P x
"""
"""What --allow-change provides for."""


def main(options: Namespace) -> int:
    """0: all agrees; 1: a difference that came again; 2: only such as did not; 5: a run broke."""
    from pinhold.conform.profiles import PROFILES

    profiles = options.profile or list(PROFILES)
    for name in profiles:
        if name not in PROFILES:
            raise UsageError(f"no profile {name!r}: {nearest(name, list(PROFILES))}")
    names = targets_of(options.on)
    for name in names:
        if name.startswith("model:"):
            raise UsageError(f"{name} is a model: --on names a real kernel, live or vm:REL, which is compared with one")
    needed = parse(_NEEDED)
    limit = deadline(options, names)
    with ended_by_signals(), allowed(options.allow_change, names, [Selected(1, "conform", needed, needed.title)]):
        targets = make_targets(options.on, deadline=limit)
        for target in targets:
            ready(target)
        return max(_on(target, profiles, options) for target in targets)


def _on(target: Target, profiles: Sequence[str], options: Namespace) -> int:
    """One target's campaign, told."""
    from pinhold.conform.campaign import campaign, missing, wanted
    from pinhold.targets.model.target import ModelTarget

    try:
        model = model_of(describe(target))
        assert isinstance(model, ModelTarget)
        lacks = {name: lack for name in profiles if (lack := missing(name, model))}
        here = [name for name in profiles if name not in lacks]
        if not here:
            raise NothingToRun(f"{target.name} can run no profile: {next(iter(lacks.values()))} is missing")
        guest = isinstance(target, BatchTarget)

        def watch(tally: Tally) -> None:
            different = f", {len(tally.differences)} differ" if tally.differences else ""
            BOARD.show(target.name, f"{target.name}: {tally.steps} of {options.steps} steps{different}")

        tally = campaign(
            _runner(target), model, [wanted(name, model, guest) for name in here], options.seed, options.steps, watch
        )
    finally:
        BOARD.clear(target.name)
        close(target)
    for line in _lines(target.name, model.name, options.seed, tally, here, lacks):
        print(line)
    if options.output:
        _write(Path(options.output), target.name, tally)
    return _status(tally)


def _runner(target: Target) -> Callable[[Scenario], Result]:
    """Runs one scenario there; a guest is booted once."""
    if isinstance(target, BatchTarget):
        return lambda scenario: next(iter(target.run_all([scenario])))
    return lambda scenario: run_scenario(target, scenario)


def _status(tally: Tally) -> int:
    if any(difference.counts for difference in tally.differences):
        return EXIT_DIFFERS
    if tally.trouble:
        return EXIT_BROKEN
    return EXIT_BY_CHANCE if tally.differences else EXIT_AGREES


def _lines(real: str, model: str, seed: int, tally: Tally, here: Sequence[str], lacks: dict[str, str]) -> Iterator[str]:
    """The report: what differs first, then how much was compared and what was not."""
    from pinhold.conform.campaign import LIMITS
    from pinhold.conform.differ import RUNS

    for difference in tally.differences:
        yield f"{difference.words} ({difference.came} of {RUNS} runs, {difference.title})"
        if difference.counts:
            yield textwrap.indent(format_scenario(difference.scenario), "    ").rstrip()
    for scenario, trouble in tally.trouble:
        yield f"{scenario.title}: {trouble}"
    yield (
        f"{real} and {model}: {tally.scenarios} scenarios, {tally.steps} steps, {tally.values} values, "
        f"{len(tally.differences)} {'difference' if len(tally.differences) == 1 else 'differences'}; seed {seed}"
    )
    yield f"profiles: {', '.join(here)}"
    for name, lack in lacks.items():
        yield f"  not run: {name}, which needs {lack}"
    yield _filled("steps: " + ", ".join(f"{verb} {count}" for verb, count in tally.done.most_common()))
    for verb, why in LIMITS.items():
        yield _filled(f"not generated: {verb}: {why}")
    for (verb, reason), count in tally.left_out.most_common(5):
        yield _filled(f"left out {count} {'time' if count == 1 else 'times'}: {verb}: {reason}")


def _filled(text: str) -> str:
    return textwrap.fill(text, 78, subsequent_indent="  ")


def _write(folder: Path, target: str, tally: Tally) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, difference in enumerate(tally.differences, 1):
        name = f"{target.replace(':', '-').replace('/', '-')}-{number}.pin"
        (folder / name).write_text(format_scenario(difference.scenario))
        print(f"wrote {folder / name}", file=sys.stderr)
