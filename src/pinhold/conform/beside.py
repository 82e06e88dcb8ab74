"""Random scenarios on two kernels, or on two models: where they part, again, and as small as it gets.

Nobody says here which of them is right.  What nobody decides is different now and then on one kernel, too: a difference
counts that comes in most of some fresh runs of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from pinhold.conform.differ import RUNS, Key
from pinhold.conform.generate import generate
from pinhold.conform.profiles import PROFILES
from pinhold.conform.shrink import shrink
from pinhold.conform.wanted import missing, wanted
from pinhold.scenario.compare import compare_runs
from pinhold.scenario.printer import format_step
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import Result

Both = tuple[Result, Result]
Run = Callable[[Scenario], Both]

ENDS = ("livelock", "crashed")
"""How a kernel that goes on no more ends a scenario."""


@dataclass(frozen=True, slots=True)
class Parted:
    """Where two runs of a scenario part.  scenario: up to that step; words: a sentence."""

    scenario: Scenario
    words: str
    key: Key


@dataclass(frozen=True, slots=True)
class Difference:
    """title: of the scenario that showed it first; scenario: the smallest; came: in how many of `runs` runs."""

    title: str
    words: str
    scenario: Scenario
    came: int
    runs: int

    @property
    def counts(self) -> bool:
        """Whether it came in most runs."""
        return 2 * self.came > self.runs


@dataclass(slots=True)
class Found:
    """What all scenarios came to.  values: that both sides showed; like: how many show a difference that is of a kind
    told already; trouble: what the tool broke at."""

    scenarios: int = 0
    steps: int = 0
    values: int = 0
    differences: list[Difference] = field(default_factory=list)
    like: int = 0
    trouble: list[str] = field(default_factory=list)


def scenarios(model: ModelTarget, info: TargetInfo | None, seed: int, count: int) -> Iterator[Scenario]:
    """The first so many of a seed, the profiles that the kernel can run taking turns.

    Without what a kernel may not come back from, and without 1 GiB pages: both take minutes, and a campaign has them.
    """
    names = [name for name in PROFILES if missing(name, model) is None]
    turns = [wanted(name, model, disposable=False, info=info) for name in names]
    for number in range(count):
        yield generate(model, turns[number % len(turns)], seed, number)


def part(left: Result, right: Result) -> Parted | None:
    """Where two runs of one scenario part, if they do."""
    difference = compare_runs(left.steps, right.steps).difference
    if difference is not None:
        record = left.observed[difference.index]
        key = type(record.step).__name__, difference.field, difference.left, difference.right
        words = difference.words(left.target, right.target, format_step(record.step))
        return Parted(_until(left.scenario, record.index), words, key)
    kinds = left.verdict.kind, right.verdict.kind
    if kinds[0] == kinds[1] or not any(kind in ENDS for kind in kinds) or "error" in kinds:
        return None
    one, other = (left, right) if kinds[0] in ENDS else (right, left)
    at = one.verdict.step or 0
    step = left.scenario.steps[at]
    words = (
        f"at {format_step(step)}, {one.target} is {one.verdict.kind} and {other.target} is not: {one.verdict.reason}"
    )
    return Parted(_until(left.scenario, at), words, (type(step).__name__, "end", *kinds))


def _until(scenario: Scenario, index: int) -> Scenario:
    return replace(scenario, steps=scenario.steps[: index + 1])


def beside(results: Iterable[Both], run: Run, sure: bool, hear: Callable[[Difference], None]) -> Found:
    """Compare what scenarios came to on both sides.  run: does one again.  sure: the same comes each time.  hear: is
    told of each difference as soon as it has been looked into, which on kernels may take minutes."""
    found, known = Found(), set[Key]()
    for left, right in results:
        found.scenarios += 1
        found.steps += len(left.observed)
        found.values += compare_runs(left.steps, right.steps).compared
        found.trouble += [
            f"{each.scenario.title}: {each.target}: {each.verdict.reason}"
            for each in (left, right)
            if each.verdict.kind == "error"
        ]
        parted = part(left, right)
        if parted is None:
            continue
        if parted.key in known:
            found.like += 1
            continue
        difference = _looked_into(parted, run, 1 if sure else RUNS)
        hear(difference)
        found.differences.append(difference)
        if difference.counts:
            known.add(parted.key)
    return found


def _looked_into(first: Parted, run: Run, runs: int) -> Difference:
    """Run again; one that comes again is made as small as it gets."""

    def key(scenario: Scenario) -> Key | None:
        parted = part(*run(scenario))
        return parted.key if parted is not None else None

    came = 1 + sum(key(first.scenario) == first.key for _ in range(runs - 1))
    found = Difference(first.scenario.title, first.words, first.scenario, came, runs)
    if not found.counts:
        return found
    small = shrink(first.scenario, lambda smaller: key(smaller) == first.key)
    parted = part(*run(small))
    return replace(found, scenario=small, words=parted.words if parted is not None else first.words)
