"""What random scenarios have reached on one target, and what could be reached there.

Reached is what both sides did: steps, kinds of memory, advice and mechanisms that the kernel did, decisions of the
model, each with the value of its rule, and pairs of operations one after the other on the same page.

Reachable is what the target has.  Of decisions: those whose rule has the value that they stand for, and whose subsystem
(a file of mm/sites) is there.  A decision that depends on a rule in another way is taken for reachable.  Of pairs: any
two operations on pages, but nothing comes before a mapping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from pinhold.conform.propose import drawable
from pinhold.conform.wanted import Wanted
from pinhold.mm.rules import BY_NAME
from pinhold.mm.sites import FILES, SITES
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.forms import Role, Thing
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.watch import region_pages
from pinhold.targets.live.pins.base import FOLL_PIN
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import StepRecord

TAKES = (s.Hold, s.Copy, s.Fill, s.Poke)
"""Steps that a mechanism does, whose name is the note of the outcome."""

PAGELESS = ("drain", "memlock", "capability")
"""Operations that are about no page."""

_NEEDS: Mapping[str, str] = {"thp": "thp", "khugepaged": "thp", "hugetlb": "hugetlb_2M", "swap": "swap"}
"""Of the subsystems that a kernel can be without: what in its configuration is not 0."""

_DONE_BY: Mapping[str, str] = {"ksm": "ksm", "numa": "numa_hint"}
"""Of the subsystems that one step alone gets to: its verb."""

_NO_STEPS = ("fast_entry_changed", "fast_fork_seen", "io_uring_files_differ")
"""Decisions that no scenario of whole steps comes to: where two tasks run at once, or a range is of several files."""


@dataclass(slots=True)
class Coverage:
    """How often each thing was reached.

    steps, kinds, advice, mechanisms: by name, kinds of huge pages with their size.  decisions: by the site's name;
    values: of rules, as "rule=value"; pairs: "first, second".
    """

    steps: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    advice: Counter[str] = field(default_factory=Counter)
    mechanisms: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)

    def add(self, other: Coverage) -> bool:
        """Count that as well; whether anything of it is new."""
        new = False
        for name in AREAS:
            counts, more = getattr(self, name), getattr(other, name)
            new = new or not more.keys() <= counts.keys()
            counts.update(more)
        return new

    def missed(self, reachable: Coverage) -> dict[str, list[str]]:
        """What was never reached, by area, in the order of the language."""
        return {name: [x for x in getattr(reachable, name) if not getattr(self, name)[x]] for name in AREAS}


AREAS = tuple(each.name for each in fields(Coverage))


def reached(real: Sequence[StepRecord], told: Sequence[StepRecord]) -> Coverage:
    """What one scenario reached.  real, told: records of the kernel and of the model, of the steps that were done."""
    found = Coverage()
    for record in real:
        step, outcome = record.step, record.outcome
        found.steps[verb(step)] += 1
        if isinstance(step, s.Map):
            found.kinds[_kind(step.kind, step.size)] += 1
        elif isinstance(step, s.Madvise):
            found.advice[step.advice] += 1
        elif isinstance(step, TAKES) and outcome and outcome.note and not outcome.errno:
            found.mechanisms[outcome.note] += 1
    for record in told:
        for decision in record.outcome.decisions if record.outcome else ():
            found.decisions[decision.site] += 1
            if decision.rule:
                found.values[f"{decision.rule}={decision.value}"] += 1
    found.pairs.update(f"{first}, {second}" for first, second in pairs(record.step for record in real))
    return found


def reachable(info: TargetInfo, model: ModelTarget, profiles: Iterable[Wanted]) -> Coverage:
    """What can be reached on a target that is compared with the model."""
    profiles = list(profiles)
    without = frozenset.intersection(*(each.without for each in profiles))
    verbs = [form.verbs for step in drawable() for form in step.forms if form.verbs not in without]
    if all(each.holders is not None and not _pins(each) for each in profiles):
        verbs.remove("pin")
    found = Coverage(
        steps=_all(dict.fromkeys(verbs)),
        kinds=_all(dict.fromkeys(_kinds(profiles))),
        advice=_all(name for name in ADVICE if name not in without and _advice_there(name, info)),
        mechanisms=_all(n for n, said in info.mechanisms.items() if said == "available" and n != "model"),
    )
    sites = [SITES[n] for n in _sites(model, set(verbs))]
    found.decisions = _all(site.name for site in sites)
    found.values = _all(dict.fromkeys(f"{site.rule}={_value(model, site.rule)}" for site in sites if site.rule))
    named = [verb for verb in found.steps if verb not in (*PAGELESS, "madvise")]
    operations = [*named, *(f"madvise {name}" for name in found.advice)]
    found.pairs = _all(f"{a}, {b}" for a in operations for b in operations if b != "map")
    return found


def share(got: Coverage, reachable: Coverage) -> float:
    """How much of what is reachable was reached, 0 to 1."""
    whole = sum(len(getattr(reachable, name)) for name in AREAS)
    return 1 - sum(map(len, got.missed(reachable).values())) / whole if whole else 1.0


def verb(step: s.Step) -> str:
    """By which a manual calls it."""
    return step.forms[0].verbs


def operation(step: s.Step) -> str:
    """What is done, an advice by its name."""
    return f"madvise {step.advice}" if isinstance(step, s.Madvise) else verb(step)


def pairs(steps: Iterable[s.Step]) -> Iterator[tuple[str, str]]:
    """Operations that follow one another on the same page of a region, whichever process does them."""
    last = _Last()
    for step in steps:
        now = operation(step)
        for span in last.touched(step):
            for before in last.put(now, *span):
                yield before, now


class _Last:
    """The last operation on each page of each region."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._regions: dict[str, list[str]] = {"P": []}
        self._pins: dict[str, tuple[str, int, int]] = {}
        self._spans: dict[str, list[tuple[int, int, str]]] = {}

    def touched(self, step: s.Step) -> Iterator[tuple[str, int, int]]:
        """(region, first, end) of the pages that the step is about."""
        proc = step.named(Role.USES, Thing.PROCESS) or step.named(Role.ENDS, Thing.PROCESS)
        if isinstance(step, s.Map):
            self._made(step.proc, step.region, region_pages(step))
            yield step.region, 0, self._sizes[step.region]
            return
        spans = [self._span(place.range) for place in step.places()]
        if isinstance(step, s.Mremap):
            (_, first, end), *_ = spans
            self._made(step.proc, step.to, end - first)
            spans.append((step.to, 0, end - first))
        elif isinstance(step, s.Fork):
            self._regions[step.child] = list(self._regions.get(step.proc, ()))
        if isinstance(step, s.Hold | s.Copy):
            self._pins[step.pin] = spans[0]
        pin = step.named(Role.USES, Thing.PIN) or step.named(Role.ENDS, Thing.PIN)
        if pin in self._pins:
            spans.append(self._pins[pin])
        if not spans and proc is not None and verb(step) not in PAGELESS:
            spans += [(region, 0, self._sizes[region]) for region in self._regions.get(proc, ())]
        yield from spans

    def put(self, now: str, region: str, first: int, end: int) -> list[str]:
        """What was done last on any of these pages; from now on it is `now`."""
        old = self._spans.get(region, [])
        kept = [(a, min(b, first), op) for a, b, op in old if a < first]
        kept += [(max(a, end), b, op) for a, b, op in old if b > end]
        self._spans[region] = [*kept, (first, end, now)]
        return list(dict.fromkeys(op for a, b, op in old if a < end and b > first))

    def _made(self, proc: str, region: str, pages: int) -> None:
        self._sizes[region] = pages
        self._regions.setdefault(proc, []).append(region)

    def _span(self, r: s.Range) -> tuple[str, int, int]:
        return r.region, r.first, self._sizes.get(r.region, 0) if r.end is None else r.end


def _all(names: Iterable[str]) -> Counter[str]:
    return Counter(dict.fromkeys(names, 1))


def _kind(kind: str, size: str | None) -> str:
    return f"{kind} {size}" if size else kind


def _kinds(profiles: Sequence[Wanted]) -> Iterator[str]:
    for each in profiles:
        for kind in each.kinds:
            if "hugetlb" not in kind:
                yield kind
            else:
                yield from (_kind(kind, size) for size in each.sizes)


def _pins(each: Wanted) -> bool:
    return any(holder.gives.takes == FOLL_PIN for holder in each.holders or ())


def _advice_there(name: str, info: TargetInfo) -> bool:
    advice = ADVICE[name]
    since = release_of(advice.since or "0.0")
    return release_of(info.rules) >= since and (not advice.config or info.config.get(advice.config, "y") == "y")


def _sites(model: ModelTarget, verbs: set[str]) -> Iterator[int]:
    """The decisions that can be reached, by number."""
    for file in FILES:
        name = file.__name__.rpartition(".")[2]
        if name in _NEEDS and not model.config.get(_NEEDS[name], 1):
            continue
        if name in _DONE_BY and _DONE_BY[name] not in verbs:
            continue
        for number in (n for key, n in vars(file).items() if key.isupper() and isinstance(n, int)):
            site = SITES[number]
            if site.name not in _NO_STEPS and (not site.value or site.value == _value(model, site.rule)):
                yield number


def _value(model: ModelTarget, rule: str) -> str:
    return BY_NAME[rule].names[model.row[rule]]
