"""Proposes the next step of a random scenario, by the forms of the language.

Each part of a form says what may stand there: a name of something that is there, or a fresh one; a range; a byte, a
number, a word.  So a step that is new to the language is proposed without a word here.  What is mapped where, and with
which rights, is asked of the model that has run the steps before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from pinhold.conform.profiles import Profile
from pinhold.mm import flags as k
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.forms import Byte, Chosen, Form, Keyed, Literal, Matching, Named, Number, Pages, Role, Thing, Word
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.steps.memory import KindAndSize
from pinhold.scenario.steps.table import actions
from pinhold.scenario.watch import PMD_PAGES
from pinhold.targets.model.session import ModelSession

T = TypeVar("T")

Weights = list[tuple[T, float]]

REUSE = 0.35
"""How often a step takes a range that one of the last steps took, so that operations meet."""
RECENT = 4
MOST_REGIONS = 12
MOST_NAMES = 60
"""So many things a scenario makes at most; none of their kind is proposed after that."""

BYTES = (0, 0, 1, 2)
"""Bytes that are taken more often than others: pages that are alike are what KSM and splits of THPs look for."""
PAGES = (1, 2, 4, 8, 17, 40)
THP_PAGES = (PMD_PAGES, PMD_PAGES, PMD_PAGES + 1, 700, 2 * PMD_PAGES)
HUGETLB_UNITS = (1, 1, 2, 3)

WRITES = (s.Write, s.Fill, s.IoUring)
READS = (s.Read, s.SwapIn, s.Vmsplice, s.Copy)
BASE = {s.Map: 0.3, s.Write: 1.5, s.Read: 0.7, s.Fork: 0.3, s.Exit: 0.1}
"""What every scenario has to have, whatever its profile."""


class Nothing(Exception):
    """There is nothing that the part of the form could name."""


def drawable() -> tuple[type[s.Action], ...]:
    """The steps that are proposed: all that a target does, but schedules, which are for models."""
    return tuple(step for step in actions() if not issubclass(step, s.Schedule))


class Proposer:
    """For one scenario: weights are drawn once.

    unit: base pages of the smallest piece of a region.  without: verbs and advice that are not proposed.
    """

    def __init__(
        self,
        rng: random.Random,
        profile: Profile,
        session: ModelSession,
        unit: Callable[[str], int],
        kinds: Sequence[str] = tuple(KINDS),
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._random = rng
        self._profile = profile
        self._session = session
        self._names = session.names
        self._unit = unit
        self._made = 0
        self._recent: list[tuple[str, s.Range]] = []
        forms = self._weights(self._all_forms(without), lambda each: each[1].verbs, profile.verbs)
        self._forms = [(each, weight + BASE.get(each[0], 0.0)) for each, weight in forms]
        self._kinds = self._weights(kinds, str, profile.kinds)
        self._advice = self._weights([name for name in ADVICE if name not in without], str, profile.advice)

    def _all_forms(self, without: frozenset[str]) -> list[tuple[type[s.Action], Form]]:
        return [(step, form) for step in drawable() for form in step.forms if form.verbs not in without]

    def _weights(self, items: Sequence[T], name: Callable[[T], str], favoured: Mapping[str, float]) -> Weights[T]:
        rest = self._profile.rest
        return [(item, self._random.expovariate(1.0) * favoured.get(name(item), rest)) for item in items]

    def _pick(self, weights: Weights[T]) -> T:
        items, numbers = zip(*weights, strict=True)
        return cast(T, self._random.choices(items, numbers)[0])

    def step(self) -> s.Action | None:
        """A step that could be meant, or None where there is nothing for the one that was drawn."""
        if self._made:
            step, form = self._pick(self._forms)
        else:
            step, form = s.Map, s.Map.forms[-1]
        try:
            return step(**self._values(step, form))
        except Nothing:
            return None

    def did(self, step: s.Action) -> None:
        """The model has done the step."""
        self._recent = [*self._recent, *((place.proc, place.range) for place in step.places())][-RECENT:]

    # The parts of a form

    def _values(self, step: type[s.Action], form: Form) -> dict[str, Any]:
        values: dict[str, Any] = dict(form.fixed)
        for part in form.parts:
            self._part(step, part, values)
        for option in form.options:
            if isinstance(option, Chosen):
                choices = [option.default, *option.values.values()]
                values[option.name] = self._random.choice(choices)
            elif isinstance(option, Keyed) and self._random.random() < 0.3:
                self._part(step, option.part, values)
        if step is s.Map and not form.fixed:
            self._size(values)
        return values

    def _part(self, step: type[s.Action], part: object, values: dict[str, Any]) -> None:
        rng = self._random
        match part:
            case Literal() | Matching():  # the name of a mechanism is a question of the machine
                return
            case KindAndSize():
                values["kind"] = self._pick(self._kinds)
            case Named():
                values[part.name] = self._name(part, values)
            case Pages():
                values[part.name] = self._range(step, values, part)
            case Byte():
                values[part.name] = rng.choice((*BYTES, rng.randrange(256)))
            case Number():
                values[part.name] = rng.choice(
                    [n for n in (part.least, 1, 4, 16, part.most) if part.least <= n <= part.most]
                )
            case Word() if part.name == "advice":
                values[part.name] = self._pick(self._advice)
            case Word():
                values[part.name] = rng.choice(list(part.words.values()))
            case _:
                raise TypeError(f"nothing is known of {part!r}, which a form of {step.__name__} has")

    def _name(self, part: Named, values: Mapping[str, Any]) -> str:
        if part.role is Role.MAKES:
            return self._fresh(part.thing)
        there: Sequence[str]
        match part.thing:
            case Thing.PROCESS:
                there = list(self._names.regions)
                if part.role is Role.ENDS and len(there) == 1:
                    there = ()
            case Thing.REGION:
                there = [region for region in self._names.regions[values["proc"]] if region in self._names.files]
            case Thing.PIN:
                there = [*self._names.pins, *self._session.copies]
            case Thing.TASK:
                there = ()
        if not there:
            raise Nothing
        return self._random.choice(there)

    def _fresh(self, thing: Thing) -> str:
        living = len(self._names.regions)
        regions = {name for each in self._names.regions.values() for name in each}
        full = {Thing.PROCESS: living >= self._profile.processes, Thing.REGION: len(regions) >= MOST_REGIONS}
        if self._made >= MOST_NAMES or full.get(thing):
            raise Nothing
        self._made += 1
        return f"{'C' if thing is Thing.PROCESS else thing.value[0]}{self._made}"

    def _size(self, values: dict[str, Any]) -> None:
        """How large a fresh region is."""
        kind, rng = KINDS[values["kind"]], self._random
        values["shared"] = values["shared"] and not kind.anonymous
        values["readonly"] = values["readonly"] and kind.descriptor and rng.random() < 0.3
        if kind.hugetlb:
            values["size"] = HUGETLB_SIZES[0]
            values["pages"] = rng.choice(HUGETLB_UNITS) * PMD_PAGES
        else:
            values["pages"] = rng.choice(THP_PAGES if kind.thp else PAGES)

    # Ranges

    def _range(self, step: type[s.Action], values: dict[str, Any], part: Pages) -> s.Range:
        if self._recent and self._random.random() < REUSE:
            proc, r = self._random.choice(self._recent)
            if r.region in self._names.regions.get(proc, ()):
                values[part.proc] = proc
                return r
        regions = self._names.regions[values[part.proc]]
        if not regions:
            raise Nothing
        name = self._random.choice(list(regions))
        start, size = regions[name]
        unit = self._unit(name)
        if self._random.random() < self._profile.anywhere:
            return self._part_of(name, 0, size, size, unit)
        mm = self._names.mms[values[part.proc]]
        spans = [(a, b) for a, b, flags in self._mapped(mm, start, size) if _allowed(step, flags)]
        if not spans:
            raise Nothing
        return self._part_of(name, *self._random.choice(spans), size, unit)

    def _part_of(self, name: str, first: int, end: int, size: int, unit: int) -> s.Range:
        """Pages of [first, end): all, one, or a few."""
        rng = self._random
        units = max((end - first) // unit, 1)
        shape = rng.random()
        place, count = 0, units
        if shape >= 0.6:
            place, count = rng.randrange(units), 1
        elif shape >= 0.3:
            place = rng.randrange(units)
            count = rng.randint(1, min(units - place, 32 if rng.random() < 0.7 else units))
        end = first + (place + count) * unit
        return s.Range(name, first + place * unit, None if end == size and rng.random() < 0.5 else end)

    def _mapped(self, mm: int, start: int, size: int) -> Iterator[tuple[int, int, int]]:
        """(first, end, flags) of the mapped parts of a region, in its pages."""
        m = self._session.m
        for vma in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
            first, end = max(m.vma_start[vma], start), min(m.vma_end[vma], start + size)
            if first < end:
                yield first - start, end - start, m.vma_flags[vma]


def _allowed(step: type[s.Action], flags: int) -> bool:
    """Whether such a mapping lets the step do something."""
    if issubclass(step, WRITES):
        return bool(flags & k.VM_WRITE)
    if issubclass(step, READS):
        return bool(flags & k.VM_READ)
    return bool(flags & k.VM_SHARED) if step is s.Writeback else True
