"""The suites: named lists of numbered scenarios, built when asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.scenario.step import Scenario

SUITES = ("seed",)


class UnknownSuite(ValueError):
    """No suite, or no test of a suite, of that name; the message names the nearest."""


@dataclass(frozen=True, slots=True)
class Test:
    """number: from 1, as in the suite's KTAP output; result_text: what its result line says."""

    number: int
    scenario: Scenario
    result_text: str


@dataclass(frozen=True, slots=True)
class Suite:
    name: str
    tests: tuple[Test, ...]

    def test(self, number: int) -> Test:
        """The test of that number.  Raises UnknownSuite."""
        raise NotImplementedError


def suite(name: str) -> Suite:
    """The suite of that name.  Raises UnknownSuite."""
    raise NotImplementedError
