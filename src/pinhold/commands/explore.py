"""pinhold explore: every interleaving of a bounded scope."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.board import BOARD
from pinhold.commands.explored import SearchReport, run_file
from pinhold.commands.output import output
from pinhold.commands.pages import page_at
from pinhold.commands.registry import switches
from pinhold.explore.budget import Budget, Progress
from pinhold.explore.facts import decisions_of
from pinhold.explore.history import defects, good_world, history
from pinhold.explore.result import SearchResult
from pinhold.explore.run import Options, compiler_at_hand, engine_for, explore
from pinhold.explore.scope import BadScope, Scope, library, read_file
from pinhold.explore.story import WIDTH, model_name, outcome, scenario, shows, story, verdict, with_patches, wrapped
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.kernel import PATCHES
from pinhold.mm.sites import SITES
from pinhold.report import terminal
from pinhold.report.junit import junit
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
        return search_scopes(options)
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


def search_scopes(options: argparse.Namespace) -> int:
    """One scope after the other; each is told when it has ended."""
    how = search_options(options)
    if how.engine == "compiled" and not compiler_at_hand():
        raise NothingToRun("--compiled and --checkpoint need numba: pip install 'pinhold[explore]'")
    worlds = [
        world(scope, releases.switched(releases.row(scope.rules), switches(options.without)))
        for scope in chosen(options)
    ]
    if not compiler_at_hand() and any(ready.scope.size != "small" for ready in worlds):
        print("pinhold: interpreted; with numba (pip install 'pinhold[explore]') it is far faster", file=sys.stderr)
    with page_at(options.html, None if options.format == "text" or options.output else sys.stderr) as page:
        found = told(options, worlds, how)
        if options.html:
            page.draw_file(run_file(found))
        if options.svg:
            draw_still(options.svg, run_file(found))
    results = [result for _, result in found]
    if any(result.violation for result in results):
        return EXIT_VIOLATED
    return EXIT_HELD if all(result.exhausted for result in results) else EXIT_UNKNOWN


def told(options: argparse.Namespace, worlds: Sequence[World], how: Options) -> list[tuple[World, SearchResult]]:
    """What the searches came to, written as it was asked for."""
    found: list[tuple[World, SearchResult]] = []
    if options.format == "text":
        for ready, result in searched(worlds, how):
            if found:
                say("")
            tell(options, ready, result, summary(ready, result, engine_for(ready, how), how))
            sys.stdout.flush()
            found.append((ready, result))
        return found
    with output(options.output) as stream:
        if options.format == "junit":
            found = list(searched(worlds, how))
            stream.writelines(f"{line}\n" for line in junit((), None, run_file(found).searches))
            return found
        report = SearchReport(stream)
        for ready, result in searched(worlds, how):
            report.add(ready, result)
            stream.flush()
            found.append((ready, result))
        report.close()
    return found


def searched(worlds: Sequence[World], how: Options) -> Iterator[tuple[World, SearchResult]]:
    """Each with what its search came to, and a line of progress meanwhile."""
    for number, ready in enumerate(worlds, 1):
        line = Line(expected(ready, how), f"{ready.scope.name}, {number} of {len(worlds)}: " if len(worlds) > 1 else "")
        if engine_for(ready, how) == "compiled":
            line.show("compiling the scope: half a minute, the first time ...")
        try:
            result = explore(ready, how, line)
        except ValueError as error:
            if how.checkpoint is None:
                raise
            raise UsageError(str(error)) from None
        finally:
            line.show("")
        yield ready, result


def draw_still(path: str, file: RunFile) -> None:
    """States by depth and what was found, as a still image; its name goes to standard error, beside what is told."""
    from pinhold.pictures.searchstill import search_still

    with output(path) as stream:
        stream.write(search_still(file))
    print(path, file=sys.stderr)


def tell(options: argparse.Namespace, ready: World, result: SearchResult, head: str) -> None:
    """What came of it, in words; with -o what was found is written as a scenario."""
    say(head)
    if result.exhausted:
        print_unreached(ready, result)
    if result.violation is None:
        return
    told = story(ready, result.path, result.violation, terminal.width(WIDTH))
    terminal.write(["", *told.split("\n")])
    if options.output:
        text = scenario(ready, result.path, result.violation)
        with output(options.output) as stream:
            stream.write(text)
        terminal.write(["", promise(ready, options.output, outcome(ready, parse(text)))])  # a command to copy


def promise(ready: World, file: str, verdict: Verdict) -> str:
    """What the scenario in the file does; it was run."""
    run = f"pinhold run {file} --on {model_name(ready)}{with_patches()}"
    if shows(verdict):
        return f"The scenario is in {file}; {run} shows it."
    return f"The scenario is in {file}, but does not show it: {run} ends as {verdict.kind}."


def chosen(options: argparse.Namespace) -> list[Scope]:
    """The scopes of those names, from one's own file or the library, under the rules asked for."""
    known = own_scopes(options.file) if options.file else library()
    names: list[str] = list(dict.fromkeys(options.scopes))
    if not names:
        raise UsageError("names no scope; pinhold explore --list shows them")
    for name in names:
        if name not in known:
            raise UsageError(f"unknown scope {name!r}: {nearest(name, list(known))}")
    scenario_there = options.output and options.format == "text"
    if len(names) > 1 and (options.checkpoint or options.html or scenario_there):
        raise UsageError("--checkpoint, --html and a scenario (-o without --format) are of one scope")
    return [replace(known[name], rules=options.rules) if options.rules else known[name] for name in names]


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
    rules = f"{scope.rules} with {' and '.join(patch.name for patch in PATCHES)}" if PATCHES else scope.rules
    head = f"{scope.name} under the rules of {rules}: {space}, {seconds}"
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
    same = known is not None and not PATCHES and how.symmetric and ready.row == good_world(known).row
    return known.states if known is not None and same else 0


class Line:
    """A progress line on a terminal, for what takes over a second.  states: how many there will be; 0: not known.
    head: what it begins with."""

    def __init__(self, states: int = 0, head: str = "") -> None:
        self.states = states
        self.head = head
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
            BOARD.show("explore", f"{self.head}{text}")
        else:
            self.next = 1.0
            BOARD.clear("explore")
