"""The suites: named lists of numbered scenarios, built when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pinhold.scenario.suites.case import Test

SUITES = ("seed", "stock", "pins")


class UnknownSuite(ValueError):
    """No suite, or no test of a suite, of that name; the message names the nearest valid choice."""


@dataclass(frozen=True, slots=True)
class Suite:
    """tests: in the order of their numbers, 1 to len(tests)."""

    name: str
    tests: tuple[Test, ...]

    def test(self, number: int) -> Test:
        """The test of that number.  Raises UnknownSuite."""
        if not 1 <= number <= len(self.tests):
            raise UnknownSuite(f"suite {self.name} has no test {number}: its tests are 1 to {len(self.tests)}")
        return self.tests[number - 1]


@cache
def suite(name: str) -> Suite:
    """The suite of that name, for the geometry of x86-64.  Raises UnknownSuite."""
    if name == "seed":
        from pinhold.scenario.suites import seed  # noqa: PLC0415 (162 scenarios: only for who asks)

        return Suite(name, seed.scenarios())
    if name == "stock":
        from pinhold.scenario.suites import stock  # noqa: PLC0415

        return Suite(name, stock.scenarios())
    if name == "pins":
        from pinhold.scenario.suites import pins  # noqa: PLC0415

        return Suite(name, pins.scenarios())
    raise UnknownSuite(f"no suite '{name}': the suites are {', '.join(SUITES)}")


def place(name: str) -> tuple[str, int] | None:
    """Suite and number of the test that is called so, "seed/151"; None for what is no test of a suite."""
    chosen, _, digits = name.partition("/")
    if chosen not in SUITES or not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return (chosen, int(digits)) if 1 <= int(digits) <= len(suite(chosen).tests) else None
