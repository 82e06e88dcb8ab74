"""pinhold explore --coverage: what no scope comes by."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pinhold.commands import UsageError
from pinhold.commands.explore_given import (
    EXIT_HELD,
    EXIT_UNKNOWN,
    EXIT_VIOLATED,
    Line,
    in_memory,
    known_scopes,
    say,
    scopes_named,
    search_options,
)
from pinhold.commands.explored import searched, write_searches
from pinhold.explore.coverage import Coverage, coverage, worlds
from pinhold.explore.run import Options, explore
from pinhold.explore.scope import BadScope, Scope
from pinhold.explore.story import model_name
from pinhold.report.junit import Together
from pinhold.scenario.ran import Search
from pinhold.scenario.runfile import read_run


def main(options: argparse.Namespace) -> int:
    """Search, or read the records of searches that were done before; say what is missing."""
    found = list(records(options))
    told = coverage(found)
    if options.format != "text":
        asked = [Together("coverage", what, ", ".join(names)) for what, names in sorts(told).items() if what != SILENT]
        write_searches(options, found, asked)
    if options.format == "text" or options.output:
        tell(told)
    if any(search.limit for search in found):
        return EXIT_UNKNOWN
    return EXIT_HELD if told.complete else EXIT_VIOLATED


def records(options: argparse.Namespace) -> Iterator[Search]:
    """Of each run file its searches, of each scope one under each of its rules."""
    in_memory(options, "--coverage")
    if options.without or options.html or options.svg:
        raise UsageError("--coverage goes with --file, --rules, --format, -o, --jobs and limits alone")
    files = [name for name in options.scopes if name not in known_scopes(options) and Path(name).is_file()]
    for name in files:
        yield from read_run(Path(name).read_text(encoding="utf-8").splitlines(keepends=True)).searches
    names = [name for name in options.scopes if name not in files]
    if not names and not files:
        names = [scope.name for scope in known_scopes(options).values() if scope.size == "small"]
    how = replace(search_options(options), properties=0, invariants=False, stuck=False)
    scopes = scopes_named(options, names) if names else []
    for number, scope in enumerate(scopes, 1):
        yield from searches(scope, options.rules or [], how, Line(0, f"{scope.name}, {number} of {len(scopes)}: "))


def searches(scope: Scope, rules: list[str], how: Options, line: Line) -> Iterator[Search]:
    """Whatever is bad does not end them."""
    for ready in worlds(scope, rules):
        try:
            result = explore(ready, how, line)
        except BadScope as error:  # it has what its own rules need; others may take more frames
            print(f"pinhold: passed over under {model_name(ready)}: {error}", file=sys.stderr)
            continue
        finally:
            line.show("")
        yield searched(ready, result, "", "coverage")


SILENT = "Rules that no decision tells of"
"""What is known of before, and no search can mend."""


def sorts(told: Coverage) -> dict[str, Sequence[str]]:
    """Each sort of what is missing."""
    return {
        "Decisions that no step takes": told.sites,
        "Rules of which no decision is taken": told.rules,
        "Values of rules that decide nowhere": [f"{rule}={value}" for rule, value in told.values],
        SILENT: told.silent,
    }


def tell(told: Coverage) -> None:
    """Each sort of what is missing, in a paragraph."""
    say(f"{told.searches} searches.")
    for what, names in sorts(told).items():
        say(f"\n{what}, {len(names)}: {', '.join(names) or 'none'}.")
    sys.stdout.flush()
