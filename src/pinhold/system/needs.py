"""What scenarios need of a machine, beyond memory: computed from their steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pinhold.scenario.step import Fork, Ksm, Madvise, Map, Range, Scenario, SwapOut, Unmap
from pinhold.scenario.watch import HUGETLB_KINDS, huge_unit, region_pages
from pinhold.targets.syscalls import PAGE

ALLOWABLE = ("hugepages", "swap", "ksm", "thp")
"""What --allow-change can name."""

_THP_KINDS = ("thp", "hugezero")
_NOT_SWAPPED = ("tmpfile", "file", *HUGETLB_KINDS)


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
    thp = any(step.kind in _THP_KINDS for step in maps) or "hugepage" in advice
    memory = sum(region_pages(step) * PAGE for step in maps if step.kind not in _NOT_SWAPPED)
    return Needs(
        _hugepages(scenario),
        memory * processes if swapped else 0,
        swap_huge=swapped and thp,
        thp=thp,
        huge_zero=any(step.kind == "hugezero" for step in maps),
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


def _hugepages(scenario: Scenario) -> dict[str, int]:
    """The most huge pages that can be in use at once, by size: each process may have a copy of private memory, and
    the pages of a file come on top; what a pin holds outlives its mapping."""
    live: dict[str, Map] = {}
    processes = 1
    most: dict[str, int] = {}
    pinned: set[str] = set()
    for step in scenario.steps:
        match step:
            case Map() if step.kind in HUGETLB_KINDS:
                live[step.region] = step
            case Unmap(_, Range(region, 0, None)) if processes == 1 and region not in pinned:
                live.pop(region, None)
            case Fork():
                processes += 1
            case _ if hasattr(step, "pin") and isinstance(held := getattr(step, "range", None), Range):
                pinned.add(held.region)
        now: dict[str, int] = {}
        for mapped in live.values():
            size = mapped.size or "2M"
            now[size] = now.get(size, 0) + _copies(mapped, processes) * (region_pages(mapped) // huge_unit(mapped))
        most = {size: max(most.get(size, 0), now.get(size, 0)) for size in {*most, *now}}
    return most


def _copies(step: Map, processes: int) -> int:
    if step.kind == "memfd_hugetlb":
        return (step.of is None) + (0 if step.shared else processes)
    return 1 if step.shared else processes
