"""Whether a real kernel does what the specification of its release does, verdict by verdict and frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pinhold.report.results import CONCLUSIVE, CaseResult
from pinhold.scenario.compare import Comparison, compare_runs
from pinhold.scenario.printer import format_step
from pinhold.scenario.verdict import BROKEN
from pinhold.targets.base import Target
from pinhold.targets.batch import BatchTarget, run_each
from pinhold.targets.runner import Result, StepRecord


@dataclass(frozen=True, slots=True)
class Agreement:
    """verdicts, values: how many both sides had; tests: how many both did to the end, or to a verdict on the memory;
    different: how many tests differ; differences: one sentence each, of a test its verdict and its first value."""

    verdicts: int
    values: int
    tests: int
    different: int
    differences: tuple[str, ...]


def agreement(real: Sequence[CaseResult], model: Sequence[CaseResult]) -> Agreement:
    """Compare test by test what both sides saw; what one of them could not see or do is passed over."""
    verdicts = values = tests = different = 0
    differences: list[str] = []
    for ours, theirs in zip(real, model, strict=True):
        left, right = ours.verdict.kind, theirs.verdict.kind
        told = len(differences)
        tests += {left, right} <= CONCLUSIVE | {"unknown"}
        if {left, right} <= CONCLUSIVE:
            verdicts += 1
            if left != right:
                differences.append(f"{ours.name}: {ours.result.target} {left}, {theirs.result.target} {right}")
        compared, sentence = _frames(ours.result, theirs.result)
        values += compared
        if sentence:
            differences.append(f"{ours.name}: {sentence}")
        different += len(differences) > told
    return Agreement(verdicts, values, tests, different, tuple(differences))


def agrees(ours: CaseResult, theirs: CaseResult) -> bool:
    """Whether they differ in nothing that both saw."""
    return not agreement([ours], [theirs]).differences


def settled(target: Target | BatchTarget, ours: Result, wrong: Callable[[Result], object]) -> Result:
    """A result on a real kernel; where something is wrong with it, that of a second run with which nothing is.

    The kernel may move any page at any time, for the sake of other programs; a difference that has to do with the test
    comes again.  A test in which the tool broke stays that, and a second run that came to less shows nothing.
    """
    if ours.verdict.kind in BROKEN or not wrong(ours):
        return ours
    (again,) = run_each(target, [ours.scenario])
    return again if again.verdict.kind in {*CONCLUSIVE, ours.verdict.kind} and not wrong(again) else ours


def run_again(
    target: Target | BatchTarget, real: Sequence[CaseResult], model: Sequence[CaseResult]
) -> tuple[CaseResult, ...]:
    """The results on a real kernel, those that differ from the model's settled by a second run."""

    def settle(ours: CaseResult, theirs: CaseResult) -> CaseResult:
        differs = lambda result: not agrees(replace(ours, result=result), theirs)  # noqa: E731
        return replace(ours, result=settled(target, ours.result, differs))

    return tuple(settle(ours, theirs) for ours, theirs in zip(real, model, strict=True))


def compare_results(ours: Result, theirs: Result) -> Comparison:
    """Compare what both sides observed, up to the step at which one of them could go no further."""
    return compare_runs(_done(ours), _done(theirs))


def _done(result: Result) -> list[StepRecord]:
    """All but the step which the machine could not do: why it could not is no behaviour of the kernel."""
    undone = result.verdict.step if result.verdict.kind == "skipped" else None
    return [record for record in result.steps if record.index != undone]


def _frames(ours: Result, theirs: Result) -> tuple[int, str | None]:
    """How many values both observed, and the first difference in words."""
    comparison = compare_results(ours, theirs)
    difference = comparison.difference
    if difference is None:
        return comparison.compared, None
    observed = [record.step for record in ours.steps if record.observation is not None]
    return comparison.compared, difference.words(ours.target, theirs.target, format_step(observed[difference.index]))
