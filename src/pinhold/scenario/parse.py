"""Scenario text to Scenario."""

from __future__ import annotations

from pinhold.scenario.step import Scenario
from pinhold.scenario.tokens import ScenarioError as ScenarioError
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES


def parse(text: str, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> Scenario:
    """The scenario that `text` states.  Raises ScenarioError with line, column and what was expected."""
    raise NotImplementedError
