"""`pinhold check`: the suite of the seed on kernels before and after it and on the running one, in one table.

Stock kernels in QEMU have columns too, where QEMU and they are at hand.  Below the table the suite `stock`, for what a
kernel without gup_test can show, on the running kernel beside its own model.
"""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.agreement import agreement, agrees, settled
from pinhold.commands.allow import allowed
from pinhold.commands.expected import is_twelve, predicted
from pinhold.commands.lab import columns, quick_target
from pinhold.commands.matrix import run_matrix
from pinhold.commands.pins import deadline, luggage
from pinhold.commands.registry import by_chance, describe, make_target, model_of
from pinhold.commands.runs import run_target
from pinhold.commands.select import Selected, select
from pinhold.report.results import CaseResult, TargetRun, number_ranges, tally
from pinhold.report.table import WIDTH, table
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED
from pinhold.targets.base import Target, TargetInfo
from pinhold.targets.runner import run_scenario

TARGETS = ("model:6.1", "model:6.2", "live")
MODEL = "model:"
_SHOWN = 12
"""So many differences are told one by one."""


def main(options: Namespace) -> int:
    """Print the table and the summary; 0: every column is as its rules predict, or agrees with its model."""
    seed, stock = select(["seed"]), select(["stock"])
    guests, without = columns() if options.on is None else ((), None)
    names = tuple(dict.fromkeys(options.on or (*TARGETS, *guests)))
    bags = luggage(options, names)
    make = make_target if options.on else quick_target
    limit = deadline(options, names)
    targets = [make(name, luggage=bags, deadline=limit) for name in names]
    with allowed(options.allow_change, names, [*seed, *stock]):
        return _check(targets, seed, stock, without, options.jobs)


def _check(
    targets: Sequence[Target],
    tests: Sequence[Selected],
    stock: Sequence[Selected],
    without: str | None,
    jobs: int | None,
) -> int:
    runs, absent, real = [], [without] if without else [], []
    for target, outcome in zip(targets, run_matrix(targets, tests, jobs), strict=True):
        if isinstance(outcome, NothingToRun):
            absent.append(str(outcome))
            continue
        runs.append(outcome)
        if target.name == "live":
            real.append((target, outcome.info))
    if not runs:
        raise NothingToRun("; ".join(absent))
    print('The tests of "mm/gup: reliable R/O long-term pinning in COW mappings", the patch that Linux 6.2 has.\n')
    for line in table(runs, {t.number for t in tests if is_twelve(t)}):
        print(line)
    print()
    status = EXIT_HELD
    for run in runs:
        verdict, sentences = _judge(run, tests, next((t for t, info in real if info == run.info), None))
        status = max(status, verdict, key=_SEVERITY.index)
        for sentence in sentences:
            _paragraph(sentence)
    for sentence in absent:
        _paragraph(f"{sentence}.")
    for target, info in real:
        status = max(status, _stock(target, info, stock), key=_SEVERITY.index)
    print(f"\n{_CLOSING[status]}")
    return status


def _stock(target: Target, info: TargetInfo, tests: Sequence[Selected]) -> int:
    """The suite `stock` on a real kernel, beside its model."""
    run, model = _beside_model(target, run_target(target, info, tests), tests)
    print("\nWhat takes no gup_test: the suite stock.\n")
    for line in table([run] if model is None else [run, model]):
        print(line)
    print()
    status, verdict, details = _against_model(run, model)
    status, verdict = _broken(run, status, verdict)
    for sentence in _told(f"{_named(run)}: {tally(run.results)}. {verdict}", details):
        _paragraph(sentence)
    return status


_SEVERITY = (EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED, EXIT_BROKEN)


_CLOSING = {
    EXIT_HELD: "All as predicted.",
    EXIT_UNKNOWN: "Nothing differs from what was predicted, but not every column could be judged: see above.",
    EXIT_VIOLATED: "NOT all as predicted: see above.",
    EXIT_BROKEN: "The tool broke: see above.",
}


def _paragraph(sentence: str) -> None:
    print("\n".join(textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)))


def _judge(run: TargetRun, tests: Sequence[Selected], live: Target | None) -> tuple[int, list[str]]:
    """The status of one column, and what to say about it.  live: the target, if it is the kernel that runs here."""
    twelve = tally([r for r, t in zip(run.results, tests, strict=True) if is_twelve(t)])
    if run.info.name.startswith(MODEL):
        status, verdict, details = _against_rules(run, tests)
    else:
        run, model = (run, _model_run(run, tests)) if live is None else _beside_model(live, run, tests)
        status, verdict, details = _against_model(run, model)
    status, verdict = _broken(run, status, verdict)
    count = f"{_named(run)}: {tally(run.results)}. Of the seed's twelve: {twelve}."
    return status, _told(f"{count} {verdict}", details)


def _named(run: TargetRun) -> str:
    return f"{run.info.name} ({run.kernel})" if run.kernel else run.info.name


def _broken(run: TargetRun, status: int, verdict: str) -> tuple[int, str]:
    """A column in which the tool broke is judged by that."""
    broken = [r.number for r in run.results if r.verdict.kind in ("error", "crashed")]
    if not broken:
        return status, verdict
    return EXIT_BROKEN, f"{verdict} The tool broke in {number_ranges(broken)}."


def _told(first: str, details: Sequence[str]) -> list[str]:
    """The sentence, and the first of the details."""
    shown = [f"  {line}" for line in details[:_SHOWN]]
    if len(details) > _SHOWN:
        shown.append(f"  … and {len(details) - _SHOWN} more")
    return [first, *shown]


def _against_rules(run: TargetRun, tests: Sequence[Selected]) -> tuple[int, str, list[str]]:
    """A model column: is it as the rules of its release predict?"""
    release = run.info.name.removeprefix(MODEL)
    wrong, judged = [], 0
    for result, test in zip(run.results, tests, strict=True):
        expected = predicted(test, release)
        judged += expected is not None
        if expected is not None and result.verdict.kind != expected:
            wrong.append(f"{test.name}: {result.verdict.kind}, predicted {expected}{_because(result.verdict.reason)}")
    if not judged:
        return EXIT_HELD, "Its rules make no prediction.", []
    if wrong:
        return EXIT_VIOLATED, f"Against its rules' prediction in {len(wrong)} tests:", wrong
    return EXIT_HELD, f"As its rules predict in all {judged} tests.", []


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _beside_model(target: Target, run: TargetRun, tests: Sequence[Selected]) -> tuple[TargetRun, TargetRun | None]:
    """A real kernel's column and its model's; what differed once and not again is not the kernel's doing."""
    model = _model_run(run, tests)
    if model is None:
        return run, None
    return replace(run, results=settled(target, run.results, model.results)), model


def _model_run(run: TargetRun, tests: Sequence[Selected]) -> TargetRun | None:
    """The same tests on the model of a real kernel's release and configuration; None where there is no such model."""
    try:
        target = model_of(run.info)
    except UsageError:
        return None
    model = run_target(target, describe(target), tests)
    other = by_chance(target)
    if other is None:
        return model
    results = [
        theirs if agrees(ours, theirs) else _other_chance(ours, theirs, other)
        for ours, theirs in zip(run.results, model.results, strict=True)
    ]
    return replace(model, results=tuple(results))


def _other_chance(ours: CaseResult, theirs: CaseResult, other: Target) -> CaseResult:
    """What the model gives where chance went the other way, if that is what the kernel did."""
    again = replace(theirs, result=replace(run_scenario(other, theirs.result.scenario), target=theirs.result.target))
    return again if agrees(ours, again) else theirs


def _skipped_pud(model: TargetRun) -> str:
    """In how many of the tests fork() left out a 1 GiB page, as a sentence; nothing where it did in none."""
    count = sum(
        any(d.site == "fork_skips_pud" for record in r.result.steps if record.outcome for d in record.outcome.decisions)
        for r in model.results
    )
    if not count:
        return ""
    return f" In {count} of the tests fork() left out a 1 GiB page, as this release does by chance (14967a9c7d24)."


def _against_model(run: TargetRun, model: TargetRun | None) -> tuple[int, str, list[str]]:
    """A real kernel's column: does it agree with the model of its release and configuration?"""
    if model is None:
        return EXIT_UNKNOWN, f"There is no model of {run.info.rules} to compare it with.", []
    found = agreement(run.results, model.results)
    seen = f"{found.verdicts} verdicts and {found.values} observed values"
    chance = _skipped_pud(model)
    if found.differences:
        sentence = f"Of {seen} that {model.info.name} has too, these differ:"
        return EXIT_VIOLATED, f"{chance} {sentence}".strip(), list(found.differences)
    if not found.verdicts:
        return EXIT_UNKNOWN, f"Nothing in it could be compared with {model.info.name}.", []
    return EXIT_HELD, f"Agrees with {model.info.name} in all {seen} that both have.{chance}", []
