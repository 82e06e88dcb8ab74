"""`pinhold compare` where a side, or both, was run before."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.chosen import recorded
from pinhold.commands.judged import EXIT_UNTESTABLE, compared
from pinhold.commands.pages import page_at
from pinhold.commands.pinned import none_pinned, pinned
from pinhold.commands.registry import configured_as
from pinhold.commands.saved import Saved, pairs
from pinhold.commands.select import Selected, select
from pinhold.report import terminal
from pinhold.report.baseline import parts
from pinhold.report.kselftest import grouped
from pinhold.report.results import CaseResult, TargetRun, counted
from pinhold.scenario.suites import SUITES, place, suite
from pinhold.scenario.verdict import EXIT_NOTHING_RUN, severest
from pinhold.targets.base import Target

Run = Callable[[Sequence[Target], Sequence[Selected], int | None], list[TargetRun]]
"""How targets are run."""

_WIDTH = 100
_LISTED = 8
"""Parts of suites that are named one by one."""


def compare_saved(
    options: Namespace, sides: tuple[Saved | None, Saved | None], make: Callable[[], Sequence[Target]], run: Run
) -> int:
    """The status of compare.  sides: None for the target that is to be run now, which `make` makes."""
    if options.touches or options.touches_diff is not None:
        raise UsageError("--touches chooses among tests that are to be run: give two targets")
    with page_at(options.html) as page:
        try:
            both = _runs(options, sides, make, run)
        except NothingToRun as reason:
            if not options.bisect:
                raise
            print(f"cannot be tested: {reason}")
            return EXIT_UNTESTABLE
        page.draw([run for pair in both for run in pair], True)
        now = [run for side, run in zip(sides, both[0], strict=True) if side is None]
        found = list(pinned(options.pin, now))
        for each in found:
            print(f"{each}.")
        return none_pinned(found, severest([_tell(options, sides, pair) for pair in both]), options.bisect)


def _runs(
    options: Namespace, sides: tuple[Saved | None, Saved | None], make: Callable[[], Sequence[Target]], run: Run
) -> list[tuple[TargetRun, TargetRun]]:
    left, right = sides
    if left is not None and right is not None:
        return [_named(options, pair) for pair in pairs(left, right)]
    known = left or right
    assert known is not None
    (target,) = make()
    before = known.called(known.one(target.name), target.name)
    before = replace(before, results=tuple(_of(options, before.results)))
    if not before.results:
        raise NothingToRun(f"none of these tests is in {known.name}")
    names = [result.name for result in before.results]
    tests = recorded(known.file, names, options.without) if known.file else select(names, options.without)
    (now,) = run([configured_as(target, before.info) if known.file else target], tests, options.jobs)
    return [(before, now) if left is not None else (now, before)]


def _named(options: Namespace, pair: tuple[TargetRun, TargetRun]) -> tuple[TargetRun, TargetRun]:
    left, right = (replace(run, results=tuple(_of(options, run.results))) for run in pair)
    return left, right


def _of(options: Namespace, results: Sequence[CaseResult]) -> Iterator[CaseResult]:
    """The results of the tests that were asked for; of all where none was.  Of a test that is there twice the last."""
    names = {test.name for test in select(options.tests, options.without)} if options.tests else None
    yield from {r.name: r for r in results if names is None or r.name in names}.values()


def _tell(options: Namespace, sides: tuple[Saved | None, Saved | None], pair: tuple[TargetRun, TargetRun]) -> int:
    left, right = pair
    of_right = {result.name: result for result in right.results}
    common = [(ours, of_right[ours.name]) for ours in left.results if ours.name in of_right]
    if not common:
        raise NothingToRun(f"none of the tests asked for is in both {left.info.name} and {right.info.name}")
    same = [(a, b) for a, b in common if a.result.scenario == b.result.scenario]
    left_alike, right_alike = zip(*same, strict=True) if same else ((), ())
    judged = compared(replace(left, results=left_alike), replace(right, results=right_alike), options.bisect)
    for line in judged.details:
        print(line)
    for line in _lines(left, right, common):
        print("\n".join(textwrap.wrap(line, terminal.width(_WIDTH), subsequent_indent="    ", break_on_hyphens=False)))
    for side, run in zip(sides, pair, strict=True):
        if side is not None and side.file is None:
            for line in _coverage(side, run):
                print(line)
    if judged.status == EXIT_NOTHING_RUN:
        raise NothingToRun(judged.verdict)
    print(judged.verdict)
    return judged.status


def _lines(left: TargetRun, right: TargetRun, common: Sequence[tuple[CaseResult, CaseResult]]) -> Iterator[str]:
    """What could not be compared, and why."""
    other = [a.name for a, b in common if a.result.scenario != b.result.scenario]
    if other:
        yield f"not the same test on both sides: {_which(other)}"
    both = {a.name for a, _ in common}
    for run in (left, right):
        alone = [result.name for result in run.results if result.name not in both]
        if alone:
            yield f"in {run.info.name} alone: {_which(alone)}"
    for place_, run in enumerate((left, right)):
        reasons: dict[str, list[str]] = {}
        for pair in common:
            mine, others = pair[place_], pair[1 - place_]
            if mine.verdict.kind == "skipped" != others.verdict.kind:
                reasons.setdefault(mine.verdict.reason or "no reason is given", []).append(mine.name)
        for reason, names in reasons.items():
            yield f"skipped in {run.info.name} alone: {_which(names)}: {reason}"


def _which(names: Sequence[str]) -> str:
    """The tests, or how many there are."""
    listed = list(parts(names))
    return ", ".join(listed) if len(listed) <= _LISTED else counted(len(names), "test")


def _coverage(side: Saved, run: TargetRun) -> Iterator[str]:
    """What the selftest has that pinhold has not, and the other way round."""
    if side.alone:
        yield f"not asked here, but in {side.name}: {counted(len(side.alone), 'test')}"
        yield from (f"  {words}" for words in grouped(side.alone))
    asked = {result.name for result in side.runs[0].results}
    titles = {result.title for result in side.runs[0].results}
    for chosen in SUITES:
        tests = suite(chosen).tests
        alone = [
            t.scenario.title for t in tests if f"{chosen}/{t.number}" not in asked and t.scenario.title not in titles
        ]
        if any((found := place(name)) and found[0] == chosen for name in asked) and alone:
            yield f"not asked in {side.name}, but in {chosen}: {counted(len(alone), 'test')}"
            if len(alone) < len(tests) / 2:
                yield from (f"  {words}" for words in grouped(alone))
        elif alone:
            yield f"not asked in {side.name}, but in {chosen}: {counted(len(alone), 'test')}"
