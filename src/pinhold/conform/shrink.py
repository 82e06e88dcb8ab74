"""Shrinking: the smallest scenario that shows the same difference.

Steps are dropped, in halves first and then one by one; what named something that is gone goes with it.  Then what is
left is made simpler: children that are not needed, kinds of memory, whole ranges or single pages, smaller regions,
fewer options, and at last the names.  A candidate counts where the same difference shows (the kind of step, the field,
and both values), twice in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from pinhold.scenario import steps as s
from pinhold.scenario.check import Misuse, Things
from pinhold.scenario.forms import Role, Thing
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

S = TypeVar("S", bound=s.Step)

Shows = Callable[[s.Scenario], bool]
"""Whether a scenario shows the difference."""

MOST = 300
"""So many candidates are tried at most: in a guest one takes a second."""

SIMPLER: Mapping[str, tuple[str, ...]] = {
    "zeropage": ("anon",),
    "memfd": ("anon",),
    "tmpfile": ("anon", "memfd"),
    "file": ("anon", "memfd", "tmpfile"),
    "thp": ("anon",),
    "hugezero": ("anon", "thp"),
    "memfd_hugetlb": ("hugetlb",),
}
"""Kinds of memory that say less."""

NAMES = {Thing.PROCESS: "CDEFGHIJ", Thing.REGION: "abcdefghijklmno", Thing.PIN: "pqrstuvwxyz"}
"""What things are called at last, in the order in which they are made."""


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
    trial = _Trial(scenario, shows)
    while True:
        before = trial.steps
        trial.drop()
        trial.simplify()
        if trial.steps == before or trial.left <= 0:
            trial.take(tuple(_called_simply(trial.steps)))
            return replace(scenario, steps=trial.steps)


class _Trial:
    """steps: the smallest that were found to show it; left: so many candidates more may be tried."""

    def __init__(self, scenario: s.Scenario, shows: Shows) -> None:
        self.steps = scenario.steps
        self.left = MOST
        self._scenario, self._shows = scenario, shows
        self._tried: set[tuple[s.Step, ...]] = set()

    def take(self, proposed: Sequence[s.Step]) -> bool:
        """Go on with these steps if they show it, too."""
        steps = valid(proposed)
        if not steps or steps == self.steps or steps in self._tried or self.left <= 0:
            return False
        self._tried.add(steps)
        self.left -= 1
        candidate = replace(self._scenario, steps=steps)
        if not (self._shows(candidate) and self._shows(candidate)):
            return False
        self.steps = steps
        return True

    def drop(self) -> None:
        """Stretches of steps, long ones first."""
        size = len(self.steps) // 2
        while size:
            first = 0
            while first < len(self.steps):
                if not self.take([*self.steps[:first], *self.steps[first + size :]]):
                    first += size
            size //= 2

    def simplify(self) -> None:
        """One step after the other, each as far as it goes."""
        index = 0
        while index < len(self.steps):
            if not any(self.take(candidate) for candidate in _simpler(self.steps, index)):
                index += 1


def _simpler(steps: Sequence[s.Step], index: int) -> Iterator[Sequence[s.Step]]:
    """The steps with one of them simpler."""
    step = steps[index]
    if isinstance(step, s.Fork):
        as_parent = {(Thing.PROCESS, step.child): step.proc}
        yield [*steps[:index], *(renamed(later, as_parent) for later in steps[index + 1 :])]
    for other in _simpler_steps(step):
        yield [*steps[:index], other, *steps[index + 1 :]]


def _simpler_steps(step: s.Step) -> Iterator[s.Step]:
    if isinstance(step, s.Map):
        yield from _simpler_maps(step)
    for field in fields(step):
        value = getattr(step, field.name)
        if isinstance(value, s.Range):
            yield from (_with(step, field.name, r) for r in _simpler_ranges(value))
        elif field.name == "byte" and value not in (0, 1):
            yield _with(step, field.name, 1)
        elif field.name == "via" and value is not None:
            yield _with(step, field.name, None)
        elif field.name == "user" and value != "none":
            yield _with(step, field.name, "none")
        elif value is True:
            yield _with(step, field.name, False)


def _simpler_maps(step: s.Map) -> Iterator[s.Step]:
    if step.of is None:
        for kind in SIMPLER.get(step.kind, ()):
            anonymous = kind in ("anon", "thp", "hugetlb")
            yield replace(step, kind=kind, shared=step.shared and not anonymous, readonly=False)
        if step.size == "1G":
            yield replace(step, size="2M", pages=None)
        if step.pages and step.pages > 1 and step.size is None:
            yield from (replace(step, pages=p) for p in (1, 2, step.pages // 2, step.pages - 1) if p < step.pages)
        elif step.pages and step.size == "2M" and step.pages > PMD_PAGES:
            yield from (replace(step, pages=p * PMD_PAGES) for p in range(1, step.pages // PMD_PAGES))
    if step.prot != "rw":
        yield replace(step, prot="rw")


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


# Names


def renamed(step: S, names: Mapping[tuple[Thing, str], str]) -> S:
    """The step about things of other names."""
    changes: dict[str, Any] = {
        ref.field: names.get((ref.thing, ref.name), ref.name) for ref in step.references() if ref.field
    }
    for place in step.places():
        region = names.get((Thing.REGION, place.range.region), place.range.region)
        changes[place.field] = replace(place.range, region=region)
    return replace(step, **changes)


def _called_simply(steps: Sequence[s.Step]) -> Iterator[s.Step]:
    """The steps with the names of NAMES, as far as they reach."""
    names: dict[tuple[Thing, str], str] = {}
    free = {thing: iter(letters) for thing, letters in NAMES.items()}
    for step in steps:
        for ref in step.references():
            if ref.role is Role.MAKES and ref.thing in free:
                names[ref.thing, ref.name] = next(free[ref.thing], ref.name)
        yield renamed(step, names)
