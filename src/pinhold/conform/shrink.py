"""Shrinking: the smallest scenario that shows the same difference.

Steps are dropped, in halves first and then one by one; what named something that is gone goes with it.  Then what is
left is made simpler: whole ranges or single pages, smaller regions, fewer options.  A candidate counts where the same
difference shows (the kind of step, the field, and both values), twice in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from pinhold.scenario import steps as s
from pinhold.scenario.check import Misuse, Things
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

Shows = Callable[[s.Scenario], bool]
"""Whether a scenario shows the difference."""


def valid(steps: Sequence[s.Step]) -> tuple[s.Step, ...]:
    """The steps without those that name what is not there."""
    things = Things(PMD_PAGES, PUD_PAGES)
    kept: list[s.Step] = []
    for step in steps:
        try:
            kept.append(things.step(_as_written(step), len(kept) + 1))
        except (Misuse, KeyError):
            continue
    return tuple(kept)


def _as_written(step: s.Step) -> s.Step:
    """Without what the parser fills in."""
    if isinstance(step, s.Map) and step.of is not None:
        return replace(step, pages=None, size=None, kind="")
    return step


def shrink(scenario: s.Scenario, shows: Shows) -> s.Scenario:
    """The smallest scenario found that still shows it."""
    smallest = scenario
    while True:
        before = smallest
        for candidates in (_fewer, _simpler):
            again = True
            while again:
                again = False
                for proposed in candidates(smallest.steps):
                    steps = valid(proposed)
                    if not steps or steps == smallest.steps:
                        continue
                    candidate = replace(smallest, steps=steps)
                    if shows(candidate) and shows(candidate):
                        smallest, again = candidate, True
                        break
        if smallest == before:
            return smallest


def _fewer(steps: Sequence[s.Step]) -> Iterator[Sequence[s.Step]]:
    """Without a stretch of steps: large ones first."""
    size = len(steps) // 2
    while size:
        for first in range(0, len(steps), size):
            yield [*steps[:first], *steps[first + size :]]
        size //= 2


def _simpler(steps: Sequence[s.Step]) -> Iterator[Sequence[s.Step]]:
    """One step simpler."""
    for index, step in enumerate(steps):
        for other in _simpler_steps(step):
            yield [*steps[:index], other, *steps[index + 1 :]]


def _simpler_steps(step: s.Step) -> Iterator[s.Step]:
    if isinstance(step, s.Map) and step.of is None:
        if step.kind in ("memfd", "tmpfile", "file", "zeropage"):
            yield replace(step, kind="anon", shared=False, readonly=False)
        if step.kind in ("tmpfile", "file"):
            yield replace(step, kind="memfd")
        if step.pages and step.pages > 1 and step.size is None:
            yield from (replace(step, pages=p) for p in (1, 2, step.pages // 2, step.pages - 1) if p < step.pages)
        if step.shared:
            yield replace(step, shared=False)
    if isinstance(step, s.Map) and step.prot != "rw":
        yield replace(step, prot="rw")
    for field in fields(step):
        value = getattr(step, field.name)
        if isinstance(value, s.Range):
            yield from (_with(step, field.name, r) for r in _simpler_ranges(value))
        elif field.name == "byte" and value not in (0, 1):
            yield _with(step, field.name, 1)
        elif value is True:
            yield _with(step, field.name, False)


def _with(step: s.Step, name: str, value: Any) -> s.Step:
    return replace(step, **{name: value})


def _simpler_ranges(r: s.Range) -> Iterator[s.Range]:
    if (r.first, r.end) == (0, None):
        return
    yield s.Range(r.region)
    if r.first:
        yield s.Range(r.region, 0, 1)
        if r.end is not None:
            yield s.Range(r.region, 0, r.end)
            yield s.Range(r.region, 0, r.end - r.first)
    if r.end is None or r.end > r.first + 1:
        yield s.Range(r.region, r.first, r.first + 1)
