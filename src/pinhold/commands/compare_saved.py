"""`pinhold compare` where a side, or both, was run before."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.chosen import recorded
from pinhold.commands.judged import EXIT_UNTESTABLE, compared, listed, tell
from pinhold.commands.pages import page_at
from pinhold.commands.pinned import none_pinned, pinned
from pinhold.commands.registry import configured_as
from pinhold.commands.saved import Saved, pairs
from pinhold.commands.select import Selected, select
from pinhold.report.kselftest import grouped
from pinhold.report.results import CaseResult, TargetRun, counted
from pinhold.scenario.suites import SUITES, place, suite
from pinhold.scenario.verdict import EXIT_VIOLATED, severest
from pinhold.targets.base import Target

Run = Callable[[Sequence[Target], Sequence[Selected], int | None], list[TargetRun]]
"""How targets are run."""


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
        return none_pinned(found, _worst([_tell(options, sides, pair) for pair in both]), options.bisect)


def _worst(statuses: Sequence[int]) -> int:
    """Of several targets; to a bisection something that differs is bad, whatever else cannot be told."""
    told = [status for status in statuses if status != EXIT_UNTESTABLE]
    return severest(told) if len(told) == len(statuses) or EXIT_VIOLATED in told else EXIT_UNTESTABLE


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
    early = [f"{side.name}: {side.early}" for side in sides if side is not None and side.early]
    if not common:
        none = f"none of the tests asked for is in both {left.info.name} and {right.info.name}"
        raise NothingToRun("; ".join([none, *early]))
    same = [(a, b) for a, b in common if a.result.scenario == b.result.scenario]
    left_alike, right_alike = zip(*same, strict=True) if same else ((), ())
    judged = compared(replace(left, results=left_alike), replace(right, results=right_alike), options.bisect, early)
    selftests = [side for side in sides if side is not None and side.file is None]
    return tell(judged, [*_lines(left, right, common), *(line for side in selftests for line in _coverage(side))])


def _lines(left: TargetRun, right: TargetRun, common: Sequence[tuple[CaseResult, CaseResult]]) -> Iterator[str]:
    """What could not be compared, and why."""
    other = [a.name for a, b in common if a.result.scenario != b.result.scenario]
    if other:
        yield f"not the same test on both sides: {listed(other)}"
    both = {a.name for a, _ in common}
    for run in (left, right):
        alone = [result.name for result in run.results if result.name not in both]
        if alone:
            yield f"in {run.info.name} alone: {listed(alone)}"


def _coverage(side: Saved) -> Iterator[str]:
    """What the selftest has that pinhold has not, and the other way round."""
    if side.alone:
        yield f"not asked here, but in {side.name}: {counted(len(side.alone), 'test')}"
        yield from (f"  {words}" for words in grouped(side.alone))
    without = "no result" if side.early else "not asked"
    asked = {result.name for result in side.runs[0].results}
    titles = {result.title for result in side.runs[0].results}
    for chosen in SUITES:
        tests = suite(chosen).tests
        alone = [
            t.scenario.title for t in tests if f"{chosen}/{t.number}" not in asked and t.scenario.title not in titles
        ]
        if any((found := place(name)) and found[0] == chosen for name in asked) and alone:
            yield f"{without} in {side.name}, but in {chosen}: {counted(len(alone), 'test')}"
            if len(alone) < len(tests) / 2:
                yield from (f"  {words}" for words in grouped(alone))
        elif alone:
            yield f"{without} in {side.name}, but in {chosen}: {counted(len(alone), 'test')}"
