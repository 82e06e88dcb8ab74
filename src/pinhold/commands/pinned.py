"""Whether the programs of --pin pinned anything: in how many of the tests, target by target."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinhold.commands import NothingToRun
from pinhold.report.results import TargetRun
from pinhold.scenario.verdict import EXIT_HELD

MODEL = "model:"


@dataclass(frozen=True, slots=True)
class Pinned:
    """program: as --pin was given it; target: as reports call it; tests: in how many of `of` it was asked for a pin."""

    program: str
    target: str
    tests: int
    of: int

    def __str__(self) -> str:
        return f"{self.program} pinned in {self.tests} of {self.of} tests on {self.target}"


def pinned(programs: Sequence[str] | None, runs: Sequence[TargetRun]) -> Iterator[Pinned]:
    """For each program and each real kernel."""
    for program in programs or ():
        for run in runs:
            if not run.info.target.startswith(MODEL):
                tests = sum(any(_is(name, program) for name in result.mechanisms) for result in run.results)
                yield Pinned(program, run.info.name, tests, len(run.results))


def _is(mechanism: str, program: str) -> bool:
    """A guest has the program by its whole path."""
    if mechanism == program:
        return True
    ours, theirs = (shlex.split(name) for name in (program, mechanism))
    same = ours[0].rpartition("/")[2] == theirs[0].rpartition("/")[2]
    return mechanism.startswith("exec:") and ours[1:] == theirs[1:] and same


def none_pinned(found: Sequence[Pinned], status: int) -> int:
    """The status.  Raises NothingToRun in the place of 0 where a program pinned in no test."""
    idle = [each for each in found if not each.tests]
    if not idle or status != EXIT_HELD:
        return status
    command = idle[0].program.removeprefix("exec:")
    raise NothingToRun(
        f"{idle[0]}: it does the pins that ask for exactly what it declares, and no test did; "
        f"pinhold exec-test {shlex.quote(command)} says what that is"
    )
