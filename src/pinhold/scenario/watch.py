"""Which pages a run observes, and how large regions are."""

from __future__ import annotations

from pinhold.scenario.step import Map, Scenario

PMD_PAGES = 512
PUD_PAGES = 262144


def region_pages(step: Map, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> int:
    """Base pages of the region that `step` maps.  A Map with `of` carries the kind, size and pages of that region."""
    raise NotImplementedError


def region_sizes(scenario: Scenario, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> dict[str, int]:
    """Base pages of every region that the scenario maps or moves to, in order of appearance."""
    raise NotImplementedError


def watched(
    scenario: Scenario, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES
) -> dict[str, tuple[int, ...]]:
    """The pages to observe, per region, ascending."""
    raise NotImplementedError
