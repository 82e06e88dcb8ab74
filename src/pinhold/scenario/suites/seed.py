"""The cow selftest as of the seed's series: 162 tests."""

from __future__ import annotations

from pinhold.scenario.suites import Test
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES


def scenarios(pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> tuple[Test, ...]:
    """The tests in the selftest's order; line 151 is `R/O longterm GUP pin ... with shared zeropage`."""
    raise NotImplementedError
