"""pinhold explore: every interleaving of a bounded scope."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.board import BOARD
from pinhold.commands.explored import run_file, write
from pinhold.commands.output import output
from pinhold.commands.pages import page_at
from pinhold.commands.registry import switches
from pinhold.explore.budget import Budget, Progress
from pinhold.explore.facts import decisions_of
from pinhold.explore.history import defects, good_world, history
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, compiler_at_hand, engine_for, explore
from pinhold.explore.scope import BadScope, Scope, library, read_file
from pinhold.explore.story import WIDTH, model_name, outcome, scenario, shows, story, verdict, wrapped
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.sites import SITES
from pinhold.report import terminal
from pinhold.scenario.parse import parse
from pinhold.scenario.runfile import RunFile
from pinhold.scenario.verdict import Verdict
from pinhold.trust import Untrusted

EXIT_HELD, EXIT_VIOLATED, EXIT_UNKNOWN = 0, 1, 2
ONE_LINE = 10_000
"""Columns, where no terminal says otherwise, of lines that programs may read."""


def main(options: argparse.Namespace) -> int:
    try:
        if options.list:
            return list_scopes()
        if options.history:
            return tell_history(options)
        return search_scope(options)
    except Untrusted as reason:
        raise NothingToRun(f"{reason.filename}: {reason.strerror}") from None
    except (BadScope, releases.UnknownRelease, releases.UnknownRule) as error:
        raise UsageError(str(error)) from None


def list_scopes() -> int:
    """Each scope with its size, how many states it has, how long they take, and what it is about."""
    width = max(len(name) for name in library()) + 2
    for scope in library().values():
        takes = f"{scope.seconds:.0f} s" if scope.seconds else "under 1 s"
        head = f"{scope.name:<{width}}{scope.size:<8}{scope.states:>12,} states{takes:>11}  "
        terminal.write(wrapped(head, scope.about, terminal.width(ONE_LINE)))
    return EXIT_HELD


def say(text: str) -> None:
    """As wide as the terminal is; each line by itself."""
    width = terminal.width(WIDTH)
    terminal.write(
        piece for line in text.split("\n") for piece in textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    )


def search_scope(options: argparse.Namespace) -> int:
    scope = chosen(options)
    row = releases.row(scope.rules)
    ready = world(scope, releases.switched(row, switches(options.without)))
    how = search_options(options)
    if how.engine == "compiled" and not compiler_at_hand():
        raise NothingToRun("--compiled and --checkpoint need numba: pip install 'pinhold[explore]'")
    engine = engine_for(ready, how)
    if scope.size != "small" and not compiler_at_hand():
        print("pinhold: interpreted; with numba (pip install 'pinhold[explore]') it is far faster", file=sys.stderr)
    line = Line(expected(ready, how))
    if engine == "compiled":
        line.show("compiling the scope: half a minute, the first time ...")
    try:
        result = explore(ready, how, line)
    except ValueError as error:
        if how.checkpoint is None:
            raise
        raise UsageError(str(error)) from None
    finally:
        line.show("")
    with page_at(options.html, sys.stderr if options.format == "json" and not options.output else None) as page:
        if options.html:
            page.draw_file(run_file(ready, result))
        if options.svg:
            draw_still(options.svg, run_file(ready, result))
        if options.format == "json":
            with output(options.output) as stream:
                write(stream, ready, result)
            return EXIT_VIOLATED if result.violation else EXIT_HELD if result.exhausted else EXIT_UNKNOWN
        return tell(options, ready, result, summary(ready, result, engine, how))


def draw_still(path: str, file: RunFile) -> None:
    """States by depth and what was found, as a still image; its name goes to standard error, beside what is told."""
    from pinhold.pictures.searchstill import search_still

    with output(path) as stream:
        stream.write(search_still(file))
    print(path, file=sys.stderr)


def tell(options: argparse.Namespace, ready: World, result: SearchResult, head: str) -> int:
    """What came of it, in words; with -o what was found is written as a scenario."""
    say(head)
    if result.violation is None:
        if not result.exhausted:
            return EXIT_UNKNOWN
        print_unreached(ready, result)
        return EXIT_HELD
    told = story(ready, result.path, result.violation, terminal.width(WIDTH))
    terminal.write(["", *told.split("\n")])
    if options.output:
        text = scenario(ready, result.path, result.violation)
        with output(options.output) as stream:
            stream.write(text)
        terminal.write(["", promise(ready, options.output, outcome(ready, parse(text)))])  # a command to copy
    return EXIT_VIOLATED


def promise(ready: World, file: str, verdict: Verdict) -> str:
    """What the scenario in the file does; it was run."""
    run = f"pinhold run {file} --on {model_name(ready)}"
    if shows(verdict):
        return f"The scenario is in {file}; {run} shows it."
    return f"The scenario is in {file}, but does not show it: {run} ends as {verdict.kind}."


def chosen(options: argparse.Namespace) -> Scope:
    """The scope of that name, from one's own file or the library, under the rules asked for."""
    known = own_scopes(options.file) if options.file else library()
    if not options.scope:
        raise UsageError("names no scope; pinhold explore --list shows them")
    if options.scope not in known:
        raise UsageError(f"unknown scope {options.scope!r}: {nearest(options.scope, list(known))}")
    scope = known[options.scope]
    return replace(scope, rules=options.rules) if options.rules else scope


def own_scopes(file: str) -> Mapping[str, Scope]:
    try:
        return read_file(Path(file))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None


def search_options(options: argparse.Namespace) -> Options:
    engine = "compiled" if options.compiled else "interpreted" if options.interpreted else ""
    budget = Budget(options.time or 0.0, (options.memory or 0) << 20, options.depth or 0)
    checkpoint = Path(options.checkpoint) if options.checkpoint else None
    return Options(
        "compiled" if checkpoint else engine,
        not options.no_symmetry,
        not options.no_invariants,
        budget=budget,
        checkpoint=checkpoint,
        jobs=options.jobs or 0,
    )


def summary(ready: World, result: SearchResult, engine: str, how: Options) -> str:
    """One paragraph: how far, and what came of it."""
    scope = ready.scope
    space = f"{result.states:,} states, {result.transitions:,} transitions, depth {result.depth}"
    seconds = f"{result.seconds:.1f} s {engine}" + (
        f" after {result.compile_seconds:.1f} s of compiling" if result.compile_seconds >= 1 else ""
    )
    head = f"{scope.name} under the rules of {scope.rules}: {space}, {seconds}"
    head += "" if how.symmetric else ", without symmetry"
    if result.violation is not None:
        return f"{head}.\nFound: {verdict(result.violation)}, {len(result.path)} steps from the start."
    if result.limit:
        return f"{head}.\nNot exhausted: {result.limit}. Nothing bad up to depth {result.depth}."
    return f"{head}.\nExhausted: nothing bad is reachable."


def print_unreached(ready: World, result: SearchResult) -> None:
    """What never happened: operations that never began, and decisions that the scope's functions could have come by."""
    idle = [str(action) for action, count in zip(ready.actions, result.uses, strict=True) if not count]
    if idle:
        say(f"Never begun: {'; '.join(idle)}.")
    missed = [SITES[site].name for site in sorted(decisions_of(ready) - result.sites)]
    if missed:
        say(f"Decisions never passed: {', '.join(missed)}.")


def tell_history(options: argparse.Namespace) -> int:
    """The table of the defects, and whether each was found and its mended rules exhausted."""
    width = max(len(scope.defect) for scope in defects()) + 2
    head = f"{'fixed':>8}{'steps':>7}{'states':>9}{'mended: states':>16}{'seconds':>9}  shown by stock kernels"
    terminal.write(in_two(f"{'defect':<{width}}", head))
    started = time.monotonic()
    wrong = 0
    line = Line()
    for chapter in history(search_options(options), line):
        line.show("")
        wrong += not chapter.confirmed
        found = f"{len(chapter.bad.path):>7}{chapter.bad.states:>9,}" if chapter.bad.violation else f"{'NOT FOUND':>16}"
        mended = f"{chapter.good.states:>16,}" if chapter.good.exhausted else f"{'NOT EXHAUSTED':>16}"
        seconds = chapter.bad.seconds + chapter.good.seconds
        scope = chapter.scope
        told = f"{scope.fixed:>8}{found}{mended}{seconds:>9.2f}  {scope.shown}"
        terminal.write(in_two(f"{scope.defect:<{width}}", told))
        sys.stdout.flush()
    confirmed, seconds = len(defects()) - wrong, time.monotonic() - started
    say(f"\n{confirmed} of {len(defects())} found and, with the mended rules, exhausted without it; {seconds:.0f} s.")
    return EXIT_VIOLATED if wrong else EXIT_HELD


def in_two(name: str, told: str) -> list[str]:
    """A row of a table: what is told beside the name, or below it on a terminal that is too narrow for both."""
    one = f"{name}{told}".rstrip()
    return [one] if len(one) <= terminal.width(ONE_LINE) else [name.rstrip(), told.rstrip()]


def expected(ready: World, how: Options) -> int:
    """How many states the search will come to, where it was done before: under the scope's own rules."""
    known = library().get(ready.scope.name)
    same = known is not None and how.symmetric and ready.row == good_world(known).row
    return known.states if known is not None and same else 0


class Line:
    """A progress line on a terminal, for what takes over a second.  states: how many there will be; 0: not known."""

    def __init__(self, states: int = 0) -> None:
        self.states = states
        self.next = 1.0

    def __call__(self, p: Progress) -> None:
        if p.seconds < self.next:
            return
        self.next = p.seconds + 0.5
        rate = p.states / max(p.seconds, 0.001)
        text = f"{p.states:,} states, {rate:,.0f}/s, depth {p.depth}, frontier {p.frontier:,}, {p.bytes >> 20} MiB"
        if self.states:  # first, as a narrow terminal cuts off the end
            left = max(self.states - p.states, 0) / max(rate, 1)
            text = f"{100 * p.states // self.states} %, {left:,.0f} s left: {text}"
        self.show(text)

    def show(self, text: str) -> None:
        """Only this, in place of what was there; "": nothing."""
        if text:
            BOARD.show("explore", text)
        else:
            self.next = 1.0
            BOARD.clear("explore")
