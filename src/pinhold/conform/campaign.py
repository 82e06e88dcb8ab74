"""A campaign: random scenarios of some profiles, one after another, on a real kernel and on its model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pinhold.conform.differ import RUNS, Compared, Run, again, compared
from pinhold.conform.generate import Wanted, generate
from pinhold.conform.profiles import PROFILES
from pinhold.conform.shrink import shrink
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import KINDS
from pinhold.targets.model.target import ModelTarget

LIMITS: Mapping[str, str] = {
    "ksm": "ksmd merges all pages that are alike and advised so; the specification merges the two that a step names",
    "numa_hint": "a NUMA scan comes when the scheduler likes: no real kernel can be told to",
}
"""Verbs that are not generated, and why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """scenario: the smallest that shows it.  came: in how many of RUNS runs."""

    title: str
    words: str
    came: int
    scenario: s.Scenario

    @property
    def counts(self) -> bool:
        """Whether it came in most runs; what does not is chance, or another program's doing."""
        return 2 * self.came > RUNS


@dataclass(slots=True)
class Tally:
    """What a campaign came to.  values: that both sides saw; done: steps by their verb; left_out: by verb and reason;
    trouble: what ended a run before its end, with its scenario."""

    scenarios: int = 0
    steps: int = 0
    values: int = 0
    done: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    trouble: list[tuple[s.Scenario, str]] = field(default_factory=list)


def missing(profile: str, model: ModelTarget) -> str | None:
    """What a kernel configured as the model lacks for the profile, or None; what nobody has said, it has.  Raises
    KeyError for no profile."""
    lacks = [name for name in PROFILES[profile].needs if not model.config.get(name, 1)]
    return ", ".join(lacks) or None


def wanted(profile: str, model: ModelTarget, disposable: bool) -> Wanted:
    """What to generate of a profile for a kernel that is configured as the model."""
    has = model.config
    without = set(LIMITS)
    if not has["soft_dirty"]:
        without.add("clear_softdirty")
    if not has["swap"]:
        without |= {"swapout", "pageout"}
    if not has["thp"]:
        without |= {name for name, advice in ADVICE.items() if advice.thp}
    kinds = [
        name
        for name, kind in KINDS.items()
        if not (kind.hugetlb and not has.get("hugetlb_2M", 1)) and not (kind.thp and not has["thp"])
    ]
    return Wanted(profile, kinds, frozenset(without), disposable)


def campaign(
    real: Run,
    model: ModelTarget,
    profiles: Sequence[Wanted],
    seed: int,
    steps: int,
    watch: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Run at least so many steps, the profiles taking turns; scenario N of a seed is always the same."""
    tally = Tally()
    known: set[object] = set()
    for number, profile in _turns(profiles):
        if tally.steps >= steps:
            return tally
        scenario = generate(model, profile, seed, number)
        found = compared(real, model, scenario)
        tally.scenarios += 1
        tally.steps += found.steps
        tally.values += found.values
        tally.done.update(_verb(record.step) for record in found.real)
        tally.left_out.update((_verb(step), reason) for step, reason in found.left_out)
        if found.trouble:
            tally.trouble.append((scenario, found.trouble))
        if found.difference is not None:
            tally.differences.append(_told(real, model, found, found.key in known))
            known.add(found.key)
        watch(tally)
    return tally


def _turns(profiles: Sequence[Wanted]) -> Iterator[tuple[int, Wanted]]:
    number = 0
    while profiles:
        yield number, profiles[number % len(profiles)]
        number += 1


def _verb(step: s.Step) -> str:
    return step.forms[0].verbs


def _told(real: Run, model: ModelTarget, found: Compared, known: bool) -> Difference:
    """The difference, run again; of a kind that is new in this campaign, as small as it gets."""
    came = again(real, model, found)
    scenario = found.scenario
    if 2 * came > RUNS and not known:
        scenario = shrink(scenario, lambda smaller: compared(real, model, smaller).key == found.key)
    assert found.difference is not None
    return Difference(found.scenario.title, found.words(), came, scenario)
