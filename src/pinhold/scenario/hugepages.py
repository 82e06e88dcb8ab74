"""How many huge pages a scenario needs of a pool."""

from __future__ import annotations

from pinhold.scenario.steps import Copy, Fork, Hold, Map, Range, Scenario, Unmap
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES, huge_unit, region_pages

USUAL = {"2M": 16, "1G": 6}
"""Pages of each size that the model's machine has: who needs more wants to see what happens where there are none."""


def hugepages_needed(scenario: Scenario, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> dict[str, int]:
    """The most huge pages that can be in use at once, by size ("2M").

    Each process may have a copy of private memory, and the pages of a file come on top; what a pin holds outlives its
    mapping.
    """
    live: dict[str, Map] = {}
    processes = 1
    most: dict[str, int] = {}
    pinned: set[str] = set()
    for step in scenario.steps:
        match step:
            case Map() if step.memory.hugetlb:
                live[step.region] = step
            case Unmap(_, Range(region, 0, None)) if processes == 1 and region not in pinned:
                live.pop(region, None)
            case Fork():
                processes += 1
            case Hold() | Copy():
                pinned.add(step.range.region)
        now: dict[str, int] = {}
        for mapped in live.values():
            size = mapped.size or "2M"
            pages = region_pages(mapped, pmd_pages, pud_pages) // huge_unit(mapped, pmd_pages, pud_pages)
            now[size] = now.get(size, 0) + _copies(mapped, processes) * pages
        most = {size: max(most.get(size, 0), now.get(size, 0)) for size in {*most, *now}}
    return most


def _copies(step: Map, processes: int) -> int:
    if step.memory.descriptor:
        return (step.of is None) + (0 if step.shared else processes)
    return 1 if step.shared else processes
