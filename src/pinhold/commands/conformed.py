"""What `pinhold conform` says of a campaign, and the exit status that goes with it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pinhold.report.results import counted
from pinhold.scenario.printer import format_scenario

if TYPE_CHECKING:
    from pinhold.conform.campaign import Ran

EXIT_AGREES, EXIT_DIFFERS, EXIT_BY_CHANCE, EXIT_BROKEN = 0, 1, 2, 5


def status(ran: Ran) -> int:
    """0: all agrees; 1: a difference that came again; 2: only such as did not; 5: a run broke."""
    tally = ran.tally
    if any(difference.counts for difference in tally.differences):
        return EXIT_DIFFERS
    if tally.trouble or ran.ended:
        return EXIT_BROKEN
    return EXIT_BY_CHANCE if tally.differences else EXIT_AGREES


def text(ran: Ran, asked: Sequence[str], seed: int) -> Iterator[str]:
    """What differs first, then how much was compared and what was not.  asked: the profiles."""
    from pinhold.conform.differ import RUNS
    from pinhold.conform.wanted import LIMITS, missing

    tally = ran.tally
    for difference in tally.differences:
        yield f"{difference.words} ({difference.came} of {RUNS} runs, {difference.title})"
        if difference.counts:
            yield textwrap.indent(format_scenario(difference.scenario), "    ").rstrip()
    for scenario, trouble in tally.trouble:
        yield f"{scenario.title}: {trouble}"
    yield from (f"{ran.name}: a lane ended: {why}" for why in ran.ended)
    if ran.info is None or ran.model is None:
        return
    rate = f", {tally.steps / ran.seconds:.0f} steps a second" if ran.seconds else ""
    yield (
        f"{ran.name} and {ran.model.name}: {counted(tally.scenarios, 'scenario')}, {tally.steps} steps, {tally.values} "
        f"values, {counted(len(tally.differences), 'difference')}; seed {seed}"
    )
    yield f"  {ran.seconds:.1f} s{rate}, {counted(ran.lanes, 'lane')}"
    yield _filled(_counts("profiles", tally.profiles))
    for name in asked:
        if lack := missing(name, ran.model):
            yield f"  not run: {name}, which needs {lack}"
    yield _filled(_counts("steps", tally.done))
    yield _filled(_counts("kinds", tally.kinds))
    yield _filled(_counts("advice", tally.advice))
    yield _filled(_counts("mechanisms", tally.mechanisms))
    for verb, why in LIMITS.items():
        yield _filled(f"not generated: {verb}: {why}")
    for (verb, reason), count in tally.left_out.most_common(5):
        yield _filled(f"left out {counted(count, 'time')}: {verb}: {reason}")


def _counts(what: str, counts: Counter[str]) -> str:
    return f"{what}: " + (", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none")


def _filled(text: str) -> str:
    return textwrap.fill(text, 78, subsequent_indent="  ")
