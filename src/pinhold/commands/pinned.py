"""Whether the programs of --pin pinned anything: in how many of the tests, target by target."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinhold.commands import NothingToRun, Stop
from pinhold.report.results import TargetRun
from pinhold.scenario.verdict import EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED

MODEL = "model:"


class NonePinned(Stop):
    """A program that was given to be tested was in no test: a job that passes over that would test nothing."""

    status = EXIT_VIOLATED


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


def none_pinned(found: Sequence[Pinned], status: int, bisect: bool = False) -> int:
    """The status.  Raises NonePinned in the place of 0 and 2 where a program pinned in no test; to a bisection that is
    no word about a commit, and NothingToRun."""
    idle = [each for each in found if not each.tests]
    if not idle or status not in (EXIT_HELD, EXIT_UNKNOWN):
        return status
    command = idle[0].program.removeprefix("exec:")
    stop = NothingToRun if bisect else NonePinned
    raise stop(
        f"{idle[0]}: it does the pins that ask for exactly what it declares, and no test did; "
        f"pinhold exec-test {shlex.quote(command)} says what that is"
    )
