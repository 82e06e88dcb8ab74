"""The run file: JSON Lines, streamed, readable when cut off (docs/run-file.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from pinhold.scenario.observation import Observation
from pinhold.scenario.step import Scenario
from pinhold.scenario.verdict import Verdict

SCHEMA = 1


class RunFileError(ValueError):
    """A file that is no run file, or one of a newer schema; the message names the line or the schema."""


@dataclass(frozen=True, slots=True)
class RecordedTarget:
    """What ran; as targets.base.TargetInfo."""

    name: str
    release: str
    rules: str
    config: Mapping[str, str] = field(default_factory=dict)
    mechanisms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """As targets.base.Decision."""

    site: str
    function: str
    rule: str
    commit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """step: its text; check: "held", "violated", "unknown" for an expectation; observation.errno is the step's."""

    index: int
    step: str
    observation: Observation | None = None
    note: str | None = None
    check: str | None = None
    decisions: tuple[RecordedDecision, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One scenario on one target; verdict None: the file was cut off before it."""

    target: str
    name: str
    text: str
    hash: str
    steps: tuple[RecordedStep, ...] = ()
    verdict: Verdict | None = None
    seconds: float | None = None
    mechanisms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFile:
    """pinhold: the version that wrote it; complete: False where the file was cut off."""

    schema: int
    pinhold: str
    seed: int | None
    targets: tuple[RecordedTarget, ...]
    runs: tuple[RecordedRun, ...]
    complete: bool


class RunWriter:
    """Writes a run file line by line to `stream`; each line is flushed, so a crash loses at most one."""

    def __init__(self, stream: TextIO, pinhold: str, seed: int | None = None) -> None:
        raise NotImplementedError

    def target(self, target: RecordedTarget) -> None:
        """Say what runs, once per target and before its first scenario."""
        raise NotImplementedError

    def begin(self, target: str, name: str, scenario: Scenario) -> int:
        """Start one scenario (name: "seed/151" or the file's name); gives the run's number for step() and end()."""
        raise NotImplementedError

    def step(self, run: int, step: RecordedStep) -> None:
        raise NotImplementedError

    def end(self, run: int, verdict: Verdict, seconds: float, mechanisms: Mapping[str, str]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Mark the file complete.  Does not close the stream."""
        raise NotImplementedError


def read_run(lines: Iterable[str]) -> RunFile:
    """Read a run file.  A cut-off last line is dropped; raises RunFileError for anything else that is wrong."""
    raise NotImplementedError
