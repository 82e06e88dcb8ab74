"""pinhold explore: every interleaving of a bounded scope."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from pinhold.commands import NothingToRun, UsageError, explore_coverage, explore_outcomes
from pinhold.commands.explore_given import (
    EXIT_HELD,
    EXIT_UNKNOWN,
    EXIT_VIOLATED,
    Line,
    expected,
    say,
    search_options,
    switch_rules,
    worlds_of,
)
from pinhold.commands.explore_questions import Question, question_of
from pinhold.commands.explored import SearchReport, run_file
from pinhold.commands.hands import shared_out
from pinhold.commands.output import output
from pinhold.commands.pages import page_at
from pinhold.explore.facts import decisions_of
from pinhold.explore.find import goals
from pinhold.explore.history import defects, history
from pinhold.explore.result import NO_SITE, SearchResult, Violation
from pinhold.explore.run import Options, engine_for
from pinhold.explore.scope import BadScope, library
from pinhold.explore.story import WIDTH, model_name, outcome, scenario, shows, story, with_patches, wrapped
from pinhold.explore.world import World
from pinhold.mm import releases
from pinhold.mm.kernel import patched_words
from pinhold.mm.sites import SITES
from pinhold.report import terminal
from pinhold.report.junit import junit
from pinhold.scenario.parse import parse
from pinhold.scenario.runfile import RunFile
from pinhold.scenario.verdict import Verdict
from pinhold.trust import Untrusted

LIST = "list"
ONE_LINE = 10_000
"""Columns, where no terminal says otherwise, of lines that programs may read."""


def main(options: argparse.Namespace) -> int:
    try:
        switch_rules(options)
        if options.find == LIST:
            return list_goals()
        if options.list:
            return list_scopes()
        if options.coverage:
            return explore_coverage.main(options)
        if options.outcomes:
            return explore_outcomes.main(options)
        if options.history:
            return tell_history(options)
        with shared_out(options, search_options(options)) as how:
            return search_scopes(options, how)
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


def list_goals() -> int:
    """Each name that --find takes, with what it means."""
    width = max(map(len, goals())) + 2
    for name, goal in goals().items():
        terminal.write(wrapped(f"{name:<{width}}", goal.words, terminal.width(ONE_LINE)))
    return EXIT_HELD


def search_scopes(options: argparse.Namespace, how: Options) -> int:
    """One scope after the other; each is told when it has ended."""
    question = question_of(options)
    worlds = worlds_of(options, how)
    with page_at(options.html, None if options.format == "text" or options.output else sys.stderr) as page:
        found = told(options, worlds, how, question)
        if options.html:
            page.draw_file(run_file(found, question.asked))
        if options.svg:
            draw_still(options.svg, run_file(found, question.asked))
    statuses = {question.status(ready, result) for ready, result in found}
    return next(status for status in (EXIT_VIOLATED, EXIT_UNKNOWN, EXIT_HELD) if status in statuses)


def told(
    options: argparse.Namespace, worlds: Sequence[World], how: Options, question: Question
) -> list[tuple[World, SearchResult]]:
    """What the searches came to, written as it was asked for."""
    found: list[tuple[World, SearchResult]] = []
    if options.format == "text":
        for ready, result in searched(worlds, how, question):
            if found:
                say("")
            tell(
                options,
                ready,
                result,
                f"{space(ready, result, how, question)}.\n{question.answer(ready, result)}",
                question,
            )
            sys.stdout.flush()
            found.append((ready, result))
        return found
    with output(options.output) as stream:
        if options.format == "junit":
            found = list(searched(worlds, how, question))
            stream.writelines(f"{line}\n" for line in junit((), None, run_file(found, question.asked).searches))
            return found
        report = SearchReport(stream, question.asked)
        for ready, result in searched(worlds, how, question):
            report.add(ready, result)
            stream.flush()
            found.append((ready, result))
        report.close()
    return found


def searched(worlds: Sequence[World], how: Options, question: Question) -> Iterator[tuple[World, SearchResult]]:
    """Each with what its search came to, and a line of progress meanwhile."""
    for number, ready in enumerate(worlds, 1):
        line = Line(expected(ready, how), f"{ready.scope.name}, {number} of {len(worlds)}: " if len(worlds) > 1 else "")
        if engine_for(ready, how) == "compiled":
            line.show("compiling the scope: half a minute, the first time ...")
        try:
            result = question.ask(ready, how, line)
        except ValueError as error:
            if how.checkpoint is None and how.spill is None:
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


def tell(options: argparse.Namespace, ready: World, result: SearchResult, head: str, question: Question) -> None:
    """What came of it, in words; with -o what was found is written as a scenario."""
    say(head)
    if result.exhausted and not question.asked:
        print_unreached(ready, result)
    if result.violation is None:
        return
    told = story(ready, result.path, result.violation, terminal.width(WIDTH))
    terminal.write(["", *told.split("\n")])
    if options.output:
        text = scenario(ready, result.path, result.violation)
        with output(options.output) as stream:
            stream.write(text)
        shown = promise(ready, options.output, result.violation, outcome(ready, parse(text)))
        terminal.write(["", shown])  # a command to copy


def promise(ready: World, file: str, found: Violation, verdict: Verdict) -> str:
    """What the scenario in the file does; it was run."""
    if found.site != NO_SITE:
        return f"The scenario is in {file}; pinhold step {file} --on {model_name(ready)}{with_patches()} walks it."
    run = f"pinhold run {file} --on {model_name(ready)}{with_patches()}"
    if shows(verdict):
        return f"The scenario is in {file}; {run} shows it."
    return f"The scenario is in {file}, but does not show it: {run} ends as {verdict.kind}."


def space(ready: World, result: SearchResult, how: Options, question: Question) -> str:
    """How far a search went, and how."""
    scope = ready.scope
    engine = engine_for(ready, how)
    seconds = f"{result.seconds:.1f} s {engine}" + (
        f" after {result.compile_seconds:.1f} s of compiling" if result.compile_seconds >= 1 else ""
    )
    rules = f"{scope.rules}{patched_words()}"
    head = f"{scope.name} under the rules of {rules}: {question.far(result)}, {seconds}"
    return head if how.symmetric else f"{head}, without symmetry"


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
