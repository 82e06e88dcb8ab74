"""A side of a comparison that was run before: a run file, or what a selftest of the kernel has printed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.names import split
from pinhold.commands.runfiles import is_run_file, read_run_file
from pinhold.report.kselftest import selftest
from pinhold.report.readback import target_runs
from pinhold.report.results import TargetRun
from pinhold.report.tapdocuments import is_tap
from pinhold.scenario.parse import ScenarioError
from pinhold.scenario.runfile import RunFile

_NAMED = re.compile(r"([A-Za-z0-9][\w.+-]*)=(.+)", re.DOTALL)
_MOST = 64 << 20
"""Characters of a selftest's output, with the log around it."""
_FILES = (".json", ".jsonl", ".tap", ".ktap", ".log", ".txt", ".pin")


@dataclass(frozen=True, slots=True)
class Saved:
    """name: by which it is told from others; runs: of each target; alone: names of tests that pinhold does not have;
    file: the run file, None of a selftest; early: that it has not all that was asked for, in words."""

    name: str
    runs: tuple[TargetRun, ...]
    alone: tuple[str, ...] = ()
    file: RunFile | None = None
    early: str | None = None

    def one(self, beside: str) -> TargetRun:
        """The run on that target, or the only one.  Raises UsageError."""
        found = [run for run in self.runs if run.info.name == beside or len(self.runs) == 1]
        if len(found) != 1:
            names = ", ".join(run.info.name for run in self.runs)
            raise UsageError(
                f"{self.name} has runs on {names}: give the other side one of these names, as in NAME=TARGET"
            )
        return found[0]

    def called(self, run: TargetRun, beside: str) -> TargetRun:
        """The run by a name that tells it from what is beside it."""
        name = run.info.name
        if name == beside:
            name = self.name if len(self.runs) == 1 else f"{name} ({self.name})"
        info = replace(run.info, name=name, what=run.info.target)
        results = tuple(replace(r, result=replace(r.result, target=name)) for r in run.results)
        return replace(run, info=info, results=results)


def saved(text: str) -> Saved | None:
    """What was run before, by FILE or NAME=FILE; None for a target that is to be run now.  Raises UsageError."""
    named = _NAMED.fullmatch(text)
    name, path = (named[1], named[2]) if named and not os.path.lexists(text) else (os.path.basename(text), text)
    if split(text)[1].partition(":")[0] in ("model", "vm", "live"):
        return None
    if not os.path.isfile(path):
        if os.path.isdir(path):
            raise UsageError(f"{path} is a directory: give a run file or a selftest's output in it")
        if path.endswith(_FILES) or ("/" in path and ":" not in path):
            raise UsageError(f"there is no file {path}: give a run file, a selftest's output, or a target")
        return None
    if is_run_file(path):
        file = read_run_file(path)
        try:
            runs = tuple(target_runs(file))
        except ScenarioError as error:
            raise UsageError(f"{path}: a scenario is not of this version's language: {error}") from None
        early = None if file.complete else "the run was cut off: what it did not come to is not compared"
        return Saved(name, runs, file=file, early=early)
    return _selftest(path, name)


def _selftest(path: str, name: str) -> Saved:
    """Raises UsageError for a file that is neither, and NothingToRun for one without a test of pinhold's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(_MOST).splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror or error}") from None
    if not is_tap(lines):
        raise UsageError(f"{path} is no target, no run file (pinhold run -o FILE.json) and no TAP of a selftest")
    found = selftest(lines, name)
    if not found.run.results:
        raise NothingToRun(f"{path} has no test that pinhold's suites have: it reads the output of mm's selftest cow")
    return Saved(name, (found.run,), found.alone, early=found.early)


def pairs(left: Saved, right: Saved) -> list[tuple[TargetRun, TargetRun]]:
    """The runs to compare: the only ones, or those on targets of one name.  Raises UsageError."""
    both: Sequence[tuple[TargetRun, TargetRun]]
    if len(left.runs) == len(right.runs) == 1:
        both = [(left.runs[0], right.runs[0])]
    else:
        both = [(a, b) for a in left.runs for b in right.runs if a.info.name == b.info.name]
    if not both:
        sides = (f"{side.name} has {', '.join(run.info.name for run in side.runs)}" for side in (left, right))
        raise UsageError(f"no target is in both: {'; '.join(sides)}")
    if left.name == right.name:
        left, right = replace(left, name=f"left {left.name}"), replace(right, name=f"right {right.name}")
    return [(left.called(a, b.info.name), right.called(b, a.info.name)) for a, b in both]
