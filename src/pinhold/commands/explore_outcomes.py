"""pinhold explore --outcomes: a table of all that can be seen, beside another release's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pinhold.commands import UsageError
from pinhold.commands.explore_given import (
    EXIT_HELD,
    EXIT_UNKNOWN,
    EXIT_VIOLATED,
    Line,
    in_memory,
    say,
    scopes_named,
    search_options,
)
from pinhold.commands.explored import searched, write_searches
from pinhold.commands.registry import switches
from pinhold.explore.outcomes import Outcomes, outcomes, rows
from pinhold.explore.result import SearchResult
from pinhold.explore.scope import Scope
from pinhold.explore.story import model_name
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.kernel import patched_words
from pinhold.report import terminal
from pinhold.report.junit import Together

COLUMN = 2
"""Blanks between columns."""

ONLY = "outcomes of this release alone"
"""What each release is asked beside others: there is to be none."""

Told = tuple[World, SearchResult, Outcomes]


def main(options: argparse.Namespace) -> int:
    """Each scope under each of the releases, side by side."""
    refuse(options)
    how = search_options(options)
    status = EXIT_HELD
    told: list[Told] = []
    asked: list[Together] = []
    for scope in scopes_named(options, options.scopes):
        ready = list(worlds(scope, options))
        found = []
        for each in ready:
            line = Line(0, f"{scope.name} under {each.scope.rules}: ")
            found.append(outcomes(each, how.budget, line))
            line.show("")
        told += [(each, *pair) for each, pair in zip(ready, found, strict=True)]
        asked += [Together(model_name(each), f"{scope.name} {ONLY}", alone) for each, alone in only(ready, found)]
        if options.format == "text":
            tell(scope, ready, found)
        status = max(status, judged(found), key=(EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED).index)
    if options.format != "text":
        write(options, told, asked)
    return status


def refuse(options: argparse.Namespace) -> None:
    """Raises UsageError for what does not go together."""
    in_memory(options, "--outcomes")
    if options.html or options.svg or options.compiled:
        raise UsageError("--outcomes is searched by Python, and goes without --compiled, --svg and --html")
    if options.output and options.format == "text":
        raise UsageError("--outcomes writes to a file with --format json or junit alone")


def worlds(scope: Scope, options: argparse.Namespace) -> Iterator[World]:
    """Under each of the releases, or the scope's own; --without switches all of them."""
    for rules in options.rules or [scope.rules]:
        row = releases.switched(releases.row(rules), switches(options.without))
        yield world(replace(scope, rules=rules, reach=()), row)


def judged(found: Sequence[tuple[SearchResult, Outcomes]]) -> int:
    """Violated: one allows what another does not."""
    if any(result.limit for result, _ in found):
        return EXIT_UNKNOWN
    return EXIT_HELD if len({frozenset(seen.states) for _, seen in found}) == 1 else EXIT_VIOLATED


def tell(scope: Scope, ready: Sequence[World], found: Sequence[tuple[SearchResult, Outcomes]]) -> None:
    """The table, what calls came to, and what one allows that another does not."""
    names = [model_name(each).removeprefix("model:") for each in ready]
    seen = [outcome for _, outcome in found]
    head = [*seen[0].columns, *names]
    body = [[*outcome, *(str(count or ".") for count in counts)] for outcome, counts in rows(seen)]
    say(f"{scope.name}{patched_words()}: what can be seen where nobody is in an operation, and in how many states")
    say("")
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    for line in (head, *body):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        terminal.write([(" " * COLUMN).join(cells).rstrip()])
    for name, (result, outcome) in zip(names, found, strict=True):
        say("")
        at_rest = f"{sum(outcome.states.values()):,} of {result.states:,} states"
        limit = f"; not all of it: {result.limit}" if result.limit else ""
        say(f"{name}: {len(outcome.states)} outcomes in {at_rest}{limit}.")
        say(f"Calls: {'; '.join(calls(outcome))}.")
    for name, (_, alone) in zip(names, only(ready, found), strict=False):
        say("")
        say(f"Only {name} allows: {alone or 'nothing'}.")
    sys.stdout.flush()


def only(ready: Sequence[World], found: Sequence[tuple[SearchResult, Outcomes]]) -> Iterator[tuple[World, str]]:
    """Of several that were searched to the end, what each alone allows, "" nothing."""
    if len(found) == 1 or any(result.limit for result, _ in found):
        return
    for each, (_, outcome) in zip(ready, found, strict=True):
        others = set().union(*(other.states for _, other in found if other is not outcome))
        yield each, "; ".join(sentence(outcome, row) for row, _ in rows([outcome]) if row not in others)


def calls(outcome: Outcomes) -> Iterator[str]:
    """Of each task and function the results, with how many transitions end so."""
    for task, function in sorted({key[:2] for key in outcome.calls}):
        results = sorted((said, count) for (t, f, said), count in outcome.calls.items() if (t, f) == (task, function))
        yield f"{task} {function}: {', '.join(f'{said} {count:,}' for said, count in results)}"


def sentence(outcome: Outcomes, row: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {page}" for name, page in zip(outcome.columns, row, strict=True))


def write(options: argparse.Namespace, told: Sequence[Told], asked: Sequence[Together]) -> None:
    """A record of each search, with its outcomes; or a test of each, and of what one release allows alone."""
    searches = []
    for ready, result, outcome in told:
        listed = tuple((sentence(outcome, row), count) for row, (count,) in rows([outcome]))
        searches.append(replace(searched(ready, result, "", "outcomes"), outcomes=listed))
    write_searches(options, searches, asked)
