"""KTAP in which each result line is the name of its test, as in present-day selftests: `ok N CASE ... with MEMORY`.

Names and numbers are those of the whole suite, also of a part: what was not asked for is there as skipped, since KTAP
numbers without gaps.  A reason stands before the line, and not in it: parsers make a test's name of all that the line
has.  Several suites and targets are one flat list, for most parsers see no nested results; there a name says before it
what is not the same for all: `TARGET SUITE/NUMBER CASE ... with MEMORY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from pinhold.report.ktapstream import OURS, TOTAL_OF, TOTALS, Documents, text, totals_line
from pinhold.report.remedies import STEP, step_of
from pinhold.report.results import CaseResult, number_ranges, one_line, pools
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.suites import place as place_of
from pinhold.scenario.suites import suite

OWN = "scenarios"
"""What is called a suite of tests that are files."""


@dataclass(frozen=True, slots=True)
class Group:
    """A suite, or all that are files.  names: of its tests, in the order of their numbers; asked: the numbers."""

    suite: str
    names: tuple[str, ...]
    asked: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Numbering:
    """Where the tests of a run stand: groups, and of each name of a test, each time that it is asked for, (group,
    number)."""

    groups: tuple[Group, ...]
    places: Mapping[str, tuple[tuple[int, int], ...]]

    @property
    def tests(self) -> int:
        """How many results a target has."""
        return sum(len(group.names) for group in self.groups)


def numbering(tests: Iterable[tuple[str, str]]) -> Numbering:
    """tests: name and title of each, in order.  A test that is asked for again is another one, behind the suite's."""
    names: dict[str, list[str]] = {}
    asked: dict[str, list[int]] = {}
    places: dict[str, list[tuple[int, int]]] = {}
    for name, title in tests:
        chosen, number = place_of(name) or (OWN, 0)
        if chosen not in names:
            names[chosen] = [] if chosen == OWN else [one_line(test.scenario.title) for test in suite(chosen).tests]
            asked[chosen] = []
        if number == 0 or name in places:
            names[chosen].append(_own(name, title, len(places.get(name, ()))))
            number = len(names[chosen])
        asked[chosen].append(number)
        places.setdefault(name, []).append((list(names).index(chosen), number))
    groups = tuple(Group(chosen, tuple(names[chosen]), tuple(asked[chosen])) for chosen in names)
    return Numbering(groups, {name: tuple(found) for name, found in places.items()})


def _own(name: str, title: str, before: int) -> str:
    """What a test is called that is a file, or that was asked for so many times before."""
    words = one_line(title) if place_of(name) else f"{one_line(title)} ({one_line(name)})"
    return f"{words}, run {before + 1}" if before else words


def _lines(number: int, name: str, result: CaseResult) -> Iterator[str]:
    """A result, behind the reason for it."""
    verdict = result.verdict
    if verdict.kind != "held" and verdict.reason:
        yield f"# {one_line(verdict.reason)}"
    if step := step_of(result):
        yield f"# {STEP} {step}"
    match verdict.kind:
        case "held":
            yield f"ok {number} {name}"
        case "xfail":
            yield f"ok {number} {name} # XFAIL"
        case "skipped":
            yield f"ok {number} {name} # SKIP"
        case "violated":
            yield f"not ok {number} {name}"
        case "livelock":
            yield f"not ok {number} {name} # TIMEOUT"
        case kind:
            yield f"not ok {number} {name} # ERROR {kind}"


class _Target:
    """The results of one target: which lines are next.  before: how many results stand before them; called: what its
    names begin with; totals: where they are counted."""

    def __init__(self, numbers: Numbering, info: TargetInfo, before: int, called: str, totals: dict[str, int]) -> None:
        self._groups = numbers.groups
        self._info = info
        self._called = called
        self._totals = totals
        self._before = [before + sum(len(told.names) for told in self._groups[:n]) for n in range(len(self._groups))]
        self._results: dict[tuple[int, int], CaseResult] = {}
        self._next = (0, 1)
        self._over = False
        self._left = {name: list(places) for name, places in numbers.places.items()}

    def head(self) -> Iterator[str]:
        has = pools(self._info)
        yield from self._head(0)
        if has:
            yield f"# {one_line(has)}"

    def add(self, result: CaseResult) -> Iterator[str]:
        """The lines that can be written now."""
        self._results[self._left[result.name].pop(0)] = result
        yield from self._ready()

    def finish(self) -> Iterator[str]:
        """All that is left: a test without a result was not run on this target."""
        self._over = True
        yield from self._ready()

    def cut(self) -> Iterator[str]:
        """What is there, without what is missing before it."""
        for place in sorted(self._results):
            yield from self._line(place, self._results[place])

    def _head(self, group: int) -> Iterator[str]:
        told = self._groups[group]
        yield f"# {OURS}{one_line(self._info.name)}: {told.suite}"
        if len(told.asked) < len(told.names):
            yield f"# asked for: {number_ranges(sorted(told.asked))}; all others are skipped"

    def _ready(self) -> Iterator[str]:
        while self._next[0] < len(self._groups):
            group, number = self._next
            told = self._groups[group]
            if number > len(told.names):
                self._next = (group + 1, 1)
                if group + 1 < len(self._groups):
                    yield from self._head(group + 1)
                continue
            if number in told.asked and self._next not in self._results and not self._over:
                return
            yield from self._line(self._next, self._results.pop(self._next, None))
            self._next = (group, number + 1)

    def _line(self, place: tuple[int, int], result: CaseResult | None) -> Iterator[str]:
        group, number = place
        self._totals["skip" if result is None else TOTAL_OF[result.verdict.kind]] += 1
        name, number = self._name(group, number), self._before[group] + number
        yield from [f"ok {number} {name} # SKIP"] if result is None else _lines(number, name, result)

    def _name(self, group: int, number: int) -> str:
        """Behind what is not the same for all results: the target, and the test's name in its suite."""
        told = self._groups[group]
        inside = f"{told.suite}/{number} " if self._called or len(self._groups) > 1 else ""
        return text(self._called + (inside if told.suite != OWN else "") + told.names[number - 1])


class UniqueKtap:
    """See listener.Report."""

    def __init__(self, stream: TextIO, targets: int, tests: Sequence[tuple[str, str]]) -> None:
        self._numbers = numbering(tests)
        self._documents = Documents(stream, targets, plan=targets * self._numbers.tests)
        self._count = targets
        self._called: list[str] = []
        self._targets: dict[int, _Target] = {}
        self._running = targets
        self._totals = dict.fromkeys(TOTALS, 0)

    def begin(self, place: int, info: TargetInfo) -> None:
        before = place * self._numbers.tests
        target = self._targets[place] = _Target(self._numbers, info, before, self._call(info.name), self._totals)
        self._documents.begin(place, info.name, *target.head())

    def _call(self, name: str) -> str:
        """What the names of a target begin with, if there are several: the second of a name is not the first."""
        self._called.append(name)
        times = self._called.count(name)
        return f"{name}{f'({times})' if times > 1 else ''} " if self._count > 1 else ""

    def result(self, place: int, result: CaseResult) -> None:
        self._documents.say(place, *self._targets[place].add(result))

    def end(self, place: int, seconds: float) -> None:
        self._documents.say(place, *self._targets[place].finish())
        self._running -= 1
        if not self._running:
            self._documents.say(self._count - 1, totals_line(self._totals))
        self._documents.end(place, True)

    def close(self, cut: str | None) -> None:
        if cut is not None:
            for place, target in sorted(self._targets.items()):
                self._documents.say(place, *target.cut())
        self._documents.close(cut)
