"""What a campaign came to: counts of what was done and compared, and what differed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pinhold.conform.coverage import Coverage, reached, verb
from pinhold.conform.differ import RUNS, Compared
from pinhold.scenario import steps as s


@dataclass(frozen=True, slots=True)
class Difference:
    """scenario: the smallest that shows it.  title: of the one that showed it first.  came: in how many of RUNS runs.
    step, field: after what, and what differs."""

    title: str
    words: str
    came: int
    scenario: s.Scenario
    step: str = ""
    field: str = ""

    @property
    def counts(self) -> bool:
        """Whether it came in most runs; what does not is chance, or another program's doing."""
        return 2 * self.came > RUNS


@dataclass(slots=True)
class Tally:
    """values: that both sides saw; of them settled: those that another outcome that is allowed explains, by which, and
    masked: those that a mask explains, by its name; profiles: scenarios by their profile; left_out: by verb and reason;
    trouble: what ended a run before its end, with its scenario.  latest: the number of scenarios when something was
    reached for the first time."""

    scenarios: int = 0
    steps: int = 0
    values: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    trouble: list[tuple[s.Scenario, str]] = field(default_factory=list)
    latest: int = 0

    def add(self, other: Tally) -> None:
        """Count what another part of the campaign came to as well."""
        self.scenarios += other.scenarios
        self.steps += other.steps
        self.values += other.values
        self.settled.update(other.settled)
        self.masked.update(other.masked)
        self.profiles.update(other.profiles)
        self.left_out.update(other.left_out)
        self.differences += other.differences
        self.trouble += other.trouble
        if self.coverage.add(other.coverage):
            self.latest = self.scenarios


def told(profile: str, found: Compared) -> Tally:
    """What one scenario came to; a difference is looked into by who has found it."""
    tally = Tally(1, found.steps, found.values, Counter(found.settled), Counter(found.masked), Counter([profile]))
    tally.coverage = reached(found.real, found.told)
    tally.left_out.update((verb(step), reason) for step, reason in found.left_out)
    if found.trouble:
        tally.trouble.append((found.whole or found.scenario, found.trouble))
    return tally
