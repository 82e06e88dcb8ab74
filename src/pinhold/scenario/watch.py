"""How large regions are, and which of their pages a run observes."""

from __future__ import annotations

from collections.abc import Iterator

from pinhold.scenario.steps import Map, Mremap, Range, Scenario, Step, done_by

PMD_PAGES = 512
"""Base pages that one PMD entry maps on x86-64 (2 MiB)."""
PUD_PAGES = 512 * 512
"""Base pages that one PUD entry maps on x86-64 (1 GiB)."""


def huge_unit(step: Map, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> int:
    """Base pages of the smallest piece of the region: a huge page for the hugetlb kinds, else 1."""
    if not step.memory.hugetlb:
        return 1
    return pud_pages if step.size == "1G" else pmd_pages


def region_pages(step: Map, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> int:
    """Base pages of the region that `step` maps.

    A Map with `of` carries kind, size and pages of that region (the parser sees to it), so it needs no look-up.
    """
    if step.pages is not None:
        return step.pages
    if step.memory.thp:
        return pmd_pages
    return huge_unit(step, pmd_pages, pud_pages)


def ranges(step: Step) -> Iterator[Range]:
    """The ranges that a step names."""
    return (place.range for place in done_by(step).places())


def region_sizes(scenario: Scenario, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> dict[str, int]:
    """Base pages of every region that the scenario maps or moves to, in order of appearance."""
    return {name: pages for name, (pages, _) in _regions(scenario, pmd_pages, pud_pages).items()}


def watched(scenario: Scenario, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> dict[str, tuple[int, ...]]:
    """The pages to observe, per region, ascending.

    The first, the last, one on each side of every boundary that a step's range makes, and what `watch` lines add; of
    hugetlb regions the first base page of each huge page among them.
    """
    regions = _regions(scenario, pmd_pages, pud_pages)
    pages: dict[str, set[int]] = {name: {0, size - 1} for name, (size, _) in regions.items()}
    for step in scenario.steps:
        for r in ranges(step):
            size = regions[r.region][0]
            for boundary in (r.first, size if r.end is None else r.end):
                pages[r.region].update(p for p in (boundary - 1, boundary) if 0 <= p < size)
    for r in scenario.watch:
        pages[r.region].update(range(r.first, regions[r.region][0] if r.end is None else r.end))
    return {name: tuple(sorted({page - page % unit for page in pages[name]})) for name, (_, unit) in regions.items()}


def _regions(scenario: Scenario, pmd_pages: int, pud_pages: int) -> dict[str, tuple[int, int]]:
    """Pages and huge_unit() of each region."""
    found: dict[str, tuple[int, int]] = {}
    for step in scenario.steps:
        if isinstance(step, Map):
            found[step.region] = region_pages(step, pmd_pages, pud_pages), huge_unit(step, pmd_pages, pud_pages)
        elif isinstance(step, Mremap):
            size, unit = found[step.range.region]
            end = size if step.range.end is None else step.range.end
            found[step.to] = end - step.range.first, unit
    return found


def gigantic(scenario: Scenario) -> bool:
    """Whether it maps 1 GiB pages."""
    return any(isinstance(step, Map) and step.size == "1G" for step in scenario.steps)
