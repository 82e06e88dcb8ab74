"""What a campaign came to: counts of what was done and compared, and what differed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from pinhold.conform.differ import RUNS, Compared
from pinhold.scenario import steps as s

TAKES = (s.Hold, s.Copy, s.Fill, s.Poke)
"""Steps that a mechanism does, whose name is the note of the outcome."""


@dataclass(frozen=True, slots=True)
class Difference:
    """scenario: the smallest that shows it.  title: of the one that showed it first.  came: in how many of RUNS runs.
    field: what differs."""

    title: str
    words: str
    came: int
    scenario: s.Scenario
    field: str = ""

    @property
    def counts(self) -> bool:
        """Whether it came in most runs; what does not is chance, or another program's doing."""
        return 2 * self.came > RUNS


@dataclass(slots=True)
class Tally:
    """values: that both sides saw; done: steps by their verb; kinds: of memory that was mapped; advice: that was given;
    mechanisms: that took pins; left_out: by verb and reason; trouble: what ended a run before its end, with its
    scenario."""

    scenarios: int = 0
    steps: int = 0
    values: int = 0
    profiles: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    advice: Counter[str] = field(default_factory=Counter)
    mechanisms: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    trouble: list[tuple[s.Scenario, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another part of the campaign came to as well."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def told(profile: str, found: Compared) -> Tally:
    """What one scenario came to; a difference is looked into by who has found it."""
    tally = Tally(1, found.steps, found.values)
    tally.profiles[profile] += 1
    for record in found.real:
        step = record.step
        tally.done[verb(step)] += 1
        if isinstance(step, s.Map):
            tally.kinds[step.kind] += 1
        elif isinstance(step, s.Madvise):
            tally.advice[step.advice] += 1
        elif isinstance(step, TAKES) and record.outcome and record.outcome.note and not record.outcome.errno:
            tally.mechanisms[record.outcome.note] += 1
    tally.left_out.update((verb(step), reason) for step, reason in found.left_out)
    if found.trouble:
        tally.trouble.append((found.whole or found.scenario, found.trouble))
    return tally


def verb(step: s.Step) -> str:
    """By which a manual calls it."""
    return step.forms[0].verbs
