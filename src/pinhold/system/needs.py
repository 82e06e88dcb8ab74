"""What scenarios need of a machine, beyond memory: computed from their steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pinhold.scenario.advice import ADVICE
from pinhold.scenario.hugepages import hugepages_needed
from pinhold.scenario.steps import Fork, Ksm, Madvise, Map, Range, Scenario, SwapOut
from pinhold.scenario.watch import region_pages
from pinhold.targets.live.syscalls import PAGE

ALLOWABLE = ("hugepages", "swap", "ksm", "thp")
"""What --allow-change can name."""


@dataclass(frozen=True, slots=True)
class Needs:
    """hugepages: size ("2M") -> free pages; swap: bytes; swap_huge: of THPs too; thp, huge_zero, ksm: whether."""

    hugepages: dict[str, int] = field(default_factory=dict)
    swap: int = 0
    swap_huge: bool = False
    thp: bool = False
    huge_zero: bool = False
    ksm: bool = False


def needs_of(scenarios: Iterable[Scenario]) -> Needs:
    """The most that any one of the scenarios needs: they run one after another."""
    most = Needs()
    for scenario in scenarios:
        one = _needs(scenario)
        sizes = {*most.hugepages, *one.hugepages}
        most = Needs(
            {size: max(most.hugepages.get(size, 0), one.hugepages.get(size, 0)) for size in sorted(sizes)},
            max(most.swap, one.swap),
            most.swap_huge or one.swap_huge,
            most.thp or one.thp,
            most.huge_zero or one.huge_zero,
            most.ksm or one.ksm,
        )
    return most


def _needs(scenario: Scenario) -> Needs:
    maps = [step for step in scenario.steps if isinstance(step, Map)]
    advice = {step.advice for step in scenario.steps if isinstance(step, Madvise)}
    swapped = _swaps(scenario)
    processes = 1 + sum(isinstance(step, Fork) for step in scenario.steps)
    thp = any(step.memory.thp for step in maps) or any(ADVICE[name].thp for name in advice)
    memory = sum(region_pages(step) * PAGE for step in maps if step.memory.swapped)
    return Needs(
        hugepages_needed(scenario),
        memory * processes if swapped else 0,
        swap_huge=swapped and thp,
        thp=thp,
        huge_zero=any(step.memory.thp and step.memory.zero for step in maps),
        ksm="mergeable" in advice or any(isinstance(step, Ksm) for step in scenario.steps),
    )


def _swaps(scenario: Scenario) -> bool:
    """Whether pages are to go to swap: paged out, and not advised to be free before."""
    freed: set[str] = set()
    for step in scenario.steps:
        match step:
            case Madvise(_, Range(region), "free"):
                freed.add(region)
            case SwapOut():
                return True
            case Madvise(_, Range(region), "pageout") if region not in freed:
                return True
    return False
