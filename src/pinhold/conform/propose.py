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
from pinhold.conform.wanted import Wanted
from pinhold.mm import flags as k
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.forms import Byte, Chosen, Form, Keyed, Literal, Matching, Named, Number, Pages, Role, Thing, Word
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.steps.memory import KindAndSize
from pinhold.scenario.steps.table import Place, actions
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES
from pinhold.targets.live.pins.base import FOLL_PIN, Holder
from pinhold.targets.live.taking import NEEDS
from pinhold.targets.model.session import ModelSession

T = TypeVar("T")

Weights = list[tuple[T, float]]

REUSE = 0.5
"""How often a step takes a range that one of the last steps took, the last of all most often, so that operations
meet."""
NEIGHBOUR, WIDER = 0.12, 0.2
"""How often it takes a page beside that range instead, or more, of which that range was a part."""
SAME = 0.7
"""How often it is the same process that takes it."""
RECENT = 4
FEW_REGIONS = 4
"""From so many on, another one is rarer: what is there is to be used."""
MOST_REGIONS = 12
MOST_PINS = 12
"""That are held at a time."""
MOST_NAMES = 60
"""So many things a scenario makes at most; none of their kind is proposed after that."""

BYTES = (0, 0, 1, 2)
"""Bytes that are taken more often than others: pages that are alike are what KSM and splits of THPs look for."""
PAGES = (1, 2, 4, 8, 17, 40)
MANY_PAGES = (64, 120, 300, PMD_PAGES + 1, 1100)
MANY = 0.03
"""How often a region of base pages is so large that tables, batches and readahead have an end within it."""
MOST_PAGES = max(MANY_PAGES)
POKED = 8
"""Pages that a debugger writes to at most, as it does so word by word: 512 take as long as a hundred other steps."""
NUMBERS = (0, 1, *PAGES, 16, 64, PMD_PAGES, 2048)
"""Of pages, for limits: around what a step takes, and what a machine has by itself."""
ACROSS = 0.25
"""How often a range may reach over several VMAs, and the holes between them."""
EDGES = 0.4
GIGANTIC = 0.05
"""In so many scenarios that are about hugetlb, pages may be of 1 GiB, which take many seconds to fill."""
VIA = 0.5
"""How often a pin names its mechanism."""
THP_PAGES = (PMD_PAGES, PMD_PAGES, PMD_PAGES + 1, 700, 2 * PMD_PAGES)
HUGETLB_UNITS = (1, 1, 2, 3)
POOL = 0.2
"""How often a mapping of hugetlb asks for about as much as the pool has left, half of it, or a page too much."""

PROTS: Weights[str] = [("rw", 6), ("read", 3), ("none", 1)]
"""Rights: what may not be touched at all is worth few steps."""

WRITES = (s.Write, s.Fill, s.IoUring)
THROUGH = (s.DeviceRead, s.DeviceWrite)
READS = (s.Read, s.SwapIn, s.Vmsplice, s.Copy)
BASE = {s.Map: 0.3, s.Write: 1.5, s.Read: 0.7, s.Fork: 0.3, s.Exit: 0.1, s.Madvise: 0.5}
"""What every scenario has to have, whatever its profile."""
RARER = {s.Drain: 0.5, s.LimitMemlock: 0.4, s.Capability: 0.4}
"""What is about no page, and less often worth a step."""


class Nothing(Exception):
    """There is nothing that the part of the form could name."""


def drawable() -> tuple[type[s.Action], ...]:
    """The steps that are proposed: all that a target does, but schedules, which are for models."""
    return tuple(step for step in actions() if not issubclass(step, s.Schedule))


class Proposer:
    """For one scenario: weights are drawn once.

    unit: base pages of the smallest piece of a region.
    """

    def __init__(
        self,
        rng: random.Random,
        profile: Profile,
        session: ModelSession,
        unit: Callable[[str], int],
        wanted: Wanted,
    ) -> None:
        self._random = rng
        self._profile = profile
        self._session = session
        self._names = session.names
        self._unit = unit
        self._holders = wanted.holders
        self._taken: dict[str, tuple[Holder | None, int]] = {}
        self._gigantic = len(wanted.sizes) > 1 and rng.random() < GIGANTIC
        self._made = 0
        self._recent: list[tuple[str, s.Range]] = []
        forms = self._weights(self._all_forms(wanted.without), lambda each: each[1].verbs, profile.verbs)
        self._forms = [(each, weight * RARER.get(each[0], 1) + BASE.get(each[0], 0.0)) for each, weight in forms]
        self._kinds = self._weights(wanted.kinds, str, profile.kinds)
        self._advice = self._weights([name for name in ADVICE if name not in wanted.without], str, profile.advice)

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
        if step is s.Map and len(self._regions()) >= FEW_REGIONS and self._random.random() < 0.7:
            return None
        try:
            return step(**self._values(step, form))
        except Nothing:
            return None

    def did(self, step: s.Action) -> None:
        """The model has done the step."""
        if isinstance(step, s.Hold) and self._holders is not None:
            holder = self._holder(step, self._holders)
            self._taken[step.pin] = holder, sum(self._pages(place) for place in step.places())
        self._recent = [*self._recent, *((place.proc, place.range) for place in step.places())][-RECENT:]

    def _pages(self, place: Place) -> int:
        _, first, end = self._names.span(place.proc, place.range)
        return end - first

    # The parts of a form

    def _values(self, step: type[s.Action], form: Form) -> dict[str, Any]:
        values: dict[str, Any] = dict(form.fixed)
        for part in form.parts:
            self._part(step, part, values)
        for option in form.options:
            if isinstance(option, Chosen) and option.name == "prot":
                values[option.name] = self._pick(PROTS)
            elif isinstance(option, Chosen):
                choices = [option.default, *option.values.values()]
                values[option.name] = self._random.choice(choices)
            elif isinstance(option, Keyed) and self._random.random() < 0.3:
                self._part(step, option.part, values)
        if step is s.Map and not form.fixed:
            self._size(values)
        elif step is s.Pin and self._holders is not None:
            self._as_given(values, self._holders)
        return values

    def _as_given(self, values: dict[str, Any], holders: Sequence[Holder]) -> None:
        """A pin that something there takes exactly so."""
        rng, pins = self._random, [holder for holder in holders if holder.gives.takes == FOLL_PIN]
        if not pins:
            raise Nothing
        holder = rng.choice(pins)
        for name in ("longterm", "write", "fast", "force"):
            values[name] = rng.choice(sorted(getattr(holder.gives, name)))
        if False in holder.gives.write and not self._lets(s.Write, values["proc"], values["range"]):
            values["write"] = rng.random() < self._profile.anywhere
        values["user"] = rng.choice(sorted(holder.gives.users))
        values["via"] = holder.name if rng.random() < VIA else None

    def taker(self, step: s.Step) -> str | None:
        """The mechanism that will take a pin, if that is known."""
        holder = self._holder(step, self._holders) if isinstance(step, s.Pin) and self._holders is not None else None
        return holder.name if holder else None

    @staticmethod
    def _holder(step: s.Hold, holders: Sequence[Holder]) -> Holder | None:
        """What takes the pin there, if anything does."""
        need, via = NEEDS[type(step)](step), getattr(step, "via", None)
        return next((h for h in holders if h.gives.meets(need) and via in (None, h.name)), None)

    def _part(self, step: type[s.Action], part: object, values: dict[str, Any]) -> None:
        rng = self._random
        match part:
            case Literal() | Matching():  # the name of a mechanism is chosen by what there is
                return
            case KindAndSize():
                values["kind"] = self._pick(self._kinds)
            case Named():
                values[part.name] = self._name(step, part, values)
            case Pages():
                values[part.name] = self._range(step, values, part)
                if step is s.Poke:
                    values[part.name] = self._few(values[part.proc], values[part.name])
            case Byte():
                values[part.name] = rng.choice((*BYTES, rng.randrange(256)))
            case Number():
                values[part.name] = rng.choice([n for n in NUMBERS if part.least <= n <= part.most])
            case Word() if part.name == "advice":
                values[part.name] = self._pick(self._advice)
            case Word() if part.name == "prot":
                values[part.name] = self._pick(PROTS)
            case Word():
                values[part.name] = rng.choice(list(part.words.values()))
            case _:
                raise TypeError(f"nothing is known of {part!r}, which a form of {step.__name__} has")

    def _name(self, step: type[s.Action], part: Named, values: Mapping[str, Any]) -> str:
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
                held = [pin for pin in self._names.pins if self._through(step, pin)]
                there = held if step is s.DeviceWrite else [*held, *self._session.copies]
            case Thing.TASK:
                there = ()
        if not there:
            raise Nothing
        return self._random.choice(there)

    def _through(self, step: type[s.Action], pin: str) -> bool:
        """Whether what holds the pin can do the step through it, and soon, as far as it is known."""
        holder, pages = self._taken.get(pin, (None, 0))
        if holder is None or not issubclass(step, THROUGH):
            return True
        soon = not holder.gives.soon or pages <= holder.gives.soon
        return soon and (holder.gives.writable or step is not s.DeviceWrite)

    def _fresh(self, thing: Thing) -> str:
        living = len(self._names.regions)
        many = len(self._regions()) >= MOST_REGIONS
        full = {
            Thing.PROCESS: living >= self._profile.processes,
            Thing.REGION: many,
            Thing.PIN: len(self._names.pins) >= MOST_PINS,
        }
        if self._made >= MOST_NAMES or full.get(thing):
            raise Nothing
        self._made += 1
        return f"{'C' if thing is Thing.PROCESS else thing.value[0]}{self._made}"

    def _regions(self) -> set[str]:
        """Of all processes."""
        return {name for each in self._names.regions.values() for name in each}

    def _size(self, values: dict[str, Any]) -> None:
        """How large a fresh region is."""
        kind, rng = KINDS[values["kind"]], self._random
        values["shared"] = values["shared"] and not kind.anonymous
        values["readonly"] = values["readonly"] and kind.descriptor
        if kind.hugetlb:
            gigantic = self._gigantic and rng.random() < 0.5
            values["size"] = HUGETLB_SIZES[gigantic]
            values["pages"] = PUD_PAGES if gigantic else self._units() * PMD_PAGES
        else:
            values["pages"] = rng.choice(THP_PAGES if kind.thp else MANY_PAGES if rng.random() < MANY else PAGES)

    def _units(self) -> int:
        """Of 2 MiB, for a region of hugetlb."""
        m, rng = self._session.m, self._random
        left = m.hugetlb_free[0] - m.hugetlb_reserved[0]
        if left > 0 and rng.random() < POOL:
            return rng.choice((max(left // 2, 1), left, left + 1))
        return rng.choice(HUGETLB_UNITS)

    # Ranges

    def _range(self, step: type[s.Action], values: dict[str, Any], part: Pages) -> s.Range:
        anywhere = self._random.random() < self._profile.anywhere
        if self._recent and self._random.random() < REUSE:
            proc, r = self._recent[-1] if self._random.random() < 0.5 else self._random.choice(self._recent)
            owners = [name for name in self._owners(r.region) if anywhere or self._lets(step, name, r)]
            if owners:
                values[part.proc] = (
                    proc if proc in owners and self._random.random() < SAME else self._random.choice(owners)
                )
                return self._about(r, self._names.regions[values[part.proc]][r.region][1])
        regions = self._names.regions[values[part.proc]]
        if not regions:
            raise Nothing
        name = self._random.choice(list(regions))
        start, size = regions[name]
        unit = self._unit(name)
        if anywhere:
            return self._part_of(name, 0, size, size, unit)
        mm = self._names.mms[values[part.proc]]
        spans = sorted((a, b) for a, b, flags in self._mapped(mm, start, size) if _allowed(step, flags))
        if not spans:
            raise Nothing
        if self._random.random() < ACROSS:
            return self._part_of(name, spans[0][0], spans[-1][1], size, unit)
        return self._part_of(name, *self._random.choice(spans), size, unit)

    def _owners(self, region: str) -> Iterator[str]:
        return (name for name, regions in self._names.regions.items() if region in regions)

    def _lets(self, step: type[s.Action], proc: str, r: s.Range) -> bool:
        """Whether the step can do something at the beginning of a range."""
        start, size = self._names.regions[proc][r.region]
        first = min(r.first, size - 1)
        return any(_allowed(step, flags) for *_, flags in self._mapped(self._names.mms[proc], start + first, 1))

    def _few(self, proc: str, r: s.Range) -> s.Range:
        """No more of a range than a debugger can be asked for."""
        size = self._names.regions[proc][r.region][1]
        end = min(size if r.end is None else r.end, r.first + max(POKED, self._unit(r.region)))
        return r if end == r.end or (r.end is None and end == size) else s.Range(r.region, r.first, end)

    def _about(self, r: s.Range, size: int) -> s.Range:
        """The range that was taken before, the page on one of its sides, its page table, or all of its region."""
        rng, unit = self._random, self._unit(r.region)
        end, shape = size if r.end is None else min(r.end, size), rng.random()
        beside = [page for page in (r.first - unit, end) if 0 <= page < size]
        if shape < NEIGHBOUR and beside:
            first = rng.choice(beside)
            return s.Range(r.region, first, first + unit)
        if shape > 1 - WIDER:
            first = r.first // PMD_PAGES * PMD_PAGES
            whole = size <= first + PMD_PAGES or rng.random() < 0.5
            return s.Range(r.region, 0, None) if whole else s.Range(r.region, first, first + PMD_PAGES)
        return r

    def _part_of(self, name: str, first: int, end: int, size: int, unit: int) -> s.Range:
        """Pages of [first, end): all, one, a few, those of one page table, or all but one at an end."""
        rng = self._random
        units = max((end - first) // unit, 1)
        place, count = 0, units
        shape = rng.random()
        if shape < 0.35:
            place, count = self._place(first // unit, units), 1
        elif shape < 0.6:
            place = self._place(first // unit, units)
            count = rng.randint(1, min(units - place, 32 if rng.random() < 0.7 else units))
        elif shape < 0.8 and (tables := range(-(-first // PMD_PAGES), end // PMD_PAGES)) and unit < PMD_PAGES:
            place, count = (rng.choice(tables) * PMD_PAGES - first) // unit, PMD_PAGES // unit
        elif shape > 0.92 and units > 1:
            place, count = rng.randrange(2), units - 1
        end = first + (place + count) * unit
        return s.Range(name, first + place * unit, None if end == size and rng.random() < 0.5 else end)

    def _place(self, first: int, units: int) -> int:
        """One of so many pages; the ends, and what lies on either side of a page table's boundary, more often."""
        if self._random.random() < EDGES:
            edge = PMD_PAGES - first % PMD_PAGES
            return self._random.choice([n for n in (0, edge - 1, edge, units - 1) if 0 <= n < units])
        return self._random.randrange(units)

    def _mapped(self, mm: int, start: int, size: int) -> Iterator[tuple[int, int, int]]:
        """(first, end, flags) of the mapped parts of a region, in its pages."""
        m = self._session.m
        for vma in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
            if m.vma_end[vma] > start and m.vma_start[vma] < start + size:
                first, end = max(m.vma_start[vma], start), min(m.vma_end[vma], start + size)
                yield first - start, end - start, m.vma_flags[vma]


def _allowed(step: type[s.Action], flags: int) -> bool:
    """Whether such a mapping lets the step do something."""
    if issubclass(step, WRITES):
        return bool(flags & k.VM_WRITE)
    if issubclass(step, READS):
        return bool(flags & k.VM_READ)
    return bool(flags & k.VM_SHARED) if step is s.Writeback else True
