"""--confirm: the scenarios of stale pins, run on a target."""

from __future__ import annotations

from collections.abc import Sequence

from pinhold.commands.registry import close, describe, make_target, ready
from pinhold.commands.runs import run_target
from pinhold.commands.select import Selected
from pinhold.report.results import CaseResult
from pinhold.scenario.parse import parse


def confirm(scenarios: Sequence[str], name: str) -> dict[str, str]:
    """A sentence for each scenario.  Raises UsageError, NothingToRun."""
    target = make_target(name)
    ready(target)
    if not scenarios:
        return {}
    tests = []
    for number, text in enumerate(scenarios, 1):
        scenario = parse(text)
        tests.append(Selected(number, f"audit/{number}", scenario, scenario.title))
    try:
        run = run_target(target, describe(target), tests)
    finally:
        close(target)
    kernel = run.kernel
    return {text: _words(result, name, kernel) for text, result in zip(scenarios, run.results, strict=True)}


def _words(result: CaseResult, name: str, kernel: str) -> str:
    by = [kernel] if kernel else []
    by += [f"pinned by {' and '.join(result.mechanisms)}"] if result.mechanisms else []
    where = f"on {name} ({', '.join(by)})" if by else f"on {name}"
    match result.verdict.kind:
        case "violated":
            return f"confirmed {where}: the pin no longer sees what its owner writes"
        case "held":
            return f"not confirmed {where}: the pin sees what its owner writes"
    why = f": {result.verdict.reason}" if result.verdict.reason else ""
    return f"could not be run {where}: {result.verdict.kind}{why}"
