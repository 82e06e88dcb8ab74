"""`pinhold check`: the suite of the seed on kernels before and after it and on the running one, in one table."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Sequence

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.agreement import agreement
from pinhold.commands.allow import allowed
from pinhold.commands.expected import is_twelve, predicted
from pinhold.commands.registry import describe, make_target, model_of
from pinhold.commands.runs import run_target
from pinhold.commands.select import Selected, select
from pinhold.report.results import TargetRun, number_ranges, tally
from pinhold.report.table import WIDTH, table
from pinhold.scenario.verdict import EXIT_BROKEN, EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED

TARGETS = ("model:6.1", "model:6.2", "live")
MODEL = "model:"
_SHOWN = 12
"""So many differences are told one by one."""


def main(options: Namespace) -> int:
    """Print the table and the summary; 0: every column is as its rules predict, or agrees with its model."""
    tests = select(["seed"])
    names = tuple(dict.fromkeys(options.on or TARGETS))
    with allowed(options.allow_change, names, tests):
        return _check(names, tests)


def _check(names: Sequence[str], tests: Sequence[Selected]) -> int:
    runs, absent = [], []
    for name in names:
        target = make_target(name)
        try:
            info = describe(target)
        except NothingToRun as reason:
            absent.append(str(reason))
            continue
        runs.append(run_target(target, info, tests))
    if not runs:
        raise NothingToRun("; ".join(absent))
    print('The tests of "mm/gup: reliable R/O long-term pinning in COW mappings", the patch that Linux 6.2 has.\n')
    for line in table(runs, {t.number for t in tests if is_twelve(t)}):
        print(line)
    print()
    status = EXIT_HELD
    for run in runs:
        verdict, sentences = _judge(run, tests)
        status = max(status, verdict, key=_SEVERITY.index)
        for sentence in sentences:
            _paragraph(sentence)
    for sentence in absent:
        _paragraph(f"{sentence}.")
    print(f"\n{_CLOSING[status]}")
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


def _judge(run: TargetRun, tests: Sequence[Selected]) -> tuple[int, list[str]]:
    """The status of one column, and what to say about it."""
    name = run.info.name
    count = f"{name}{f' ({run.kernel})' if run.kernel else ''}: {tally(run.results)}."
    twelve = tally([r for r, t in zip(run.results, tests, strict=True) if is_twelve(t)])
    count += f" Of the seed's twelve: {twelve}."
    status, verdict, details = _against_rules(run, tests) if name.startswith(MODEL) else _against_model(run, tests)
    broken = [r.number for r in run.results if r.verdict.kind in ("error", "crashed")]
    if broken:
        status = EXIT_BROKEN
        verdict += f" The tool broke in {number_ranges(broken)}."
    shown = [f"  {line}" for line in details[:_SHOWN]]
    if len(details) > _SHOWN:
        shown.append(f"  … and {len(details) - _SHOWN} more")
    return status, [f"{count} {verdict}", *shown]


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


def _against_model(run: TargetRun, tests: Sequence[Selected]) -> tuple[int, str, list[str]]:
    """A real kernel's column: does it agree with the model of its release and configuration?"""
    try:
        target = model_of(run.info)
    except UsageError as reason:
        return EXIT_UNKNOWN, f"There is no model to compare it with: {reason}.", []
    model = run_target(target, describe(target), tests)
    found = agreement(run.results, model.results)
    seen = f"{found.verdicts} verdicts and {found.values} observed values"
    if found.differences:
        return EXIT_VIOLATED, f"Of {seen} that {target.name} has too, these differ:", list(found.differences)
    if not found.verdicts:
        return EXIT_UNKNOWN, f"Nothing in it could be compared with {target.name}.", []
    return EXIT_HELD, f"Agrees with {target.name} in all {seen} that both have.", []
