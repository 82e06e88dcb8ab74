"""`pinhold show`: the text of a test or a file, or the tests of a suite."""

from __future__ import annotations

from argparse import Namespace

from pinhold.commands.select import is_file, select
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.suites import SUITES, suite


def main(options: Namespace) -> int:
    """Print it."""
    what = options.what
    if what is None:
        for name in SUITES:
            print(f"{name}  {len(suite(name).tests)} tests")
        print("\nshow SUITE lists a suite's tests, show SUITE/N prints one; what is printed can be run.")
        return 0
    tests = select([what])
    if not is_file(what) and "/" not in what:
        for test in tests:
            print(f"{test.name}  {test.scenario.title}")
    else:
        print("\n".join(format_scenario(test.scenario) for test in tests), end="")
    return 0
