"""One test of a suite."""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.scenario.steps import Scenario


@dataclass(frozen=True, slots=True)
class Test:
    """number: from 1, as in the suite's KTAP output; result_text: what its result line says."""

    __test__ = False  # not a test class of pytest's

    number: int
    scenario: Scenario
    result_text: str
