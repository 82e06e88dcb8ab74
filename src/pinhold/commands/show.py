"""`pinhold show`: the text of a test or a file, the tests of a suite, or pictures of what a run did."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from importlib.resources import as_file
from pathlib import Path

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.given import deadline, external, luggage, only_models
from pinhold.commands.matrix import run_matrix
from pinhold.commands.names import targets as targets_of
from pinhold.commands.output import output
from pinhold.commands.pages import need_jinja
from pinhold.commands.registry import make_targets
from pinhold.commands.runfiles import is_run_file, read_run_file
from pinhold.commands.select import is_file, select
from pinhold.report import terminal
from pinhold.report.jsonreport import as_run_file
from pinhold.scenario.parse import ScenarioError
from pinhold.scenario.printer import format_scenario
from pinhold.scenario.runfile import RunFile
from pinhold.scenario.suites import SUITES, suite


def main(options: Namespace) -> int:
    """Print it."""
    if options.poster:
        return _poster(options)
    if options.text or options.svg or options.html:
        return _pictures(options)
    if options.on:
        raise UsageError("--on runs the test for its picture: add --text, --svg, --html or --poster FILE")
    what = options.what
    if what is None:
        for name in SUITES:
            print(f"{name}  {len(suite(name).tests)} tests")
        words = "show SUITE lists a suite's tests, show SUITE/N prints one; what is printed can be run."
        print("", *terminal.narrowed(words, indent=0), sep="\n")
        return 0
    if is_file(what) and is_run_file(what):
        _results(read_run_file(what))
        return 0
    tests = select([what])
    if not is_file(what) and "/" not in what:
        for test in tests:
            print(*terminal.narrowed(f"{test.name}  {test.scenario.title}", indent=len(test.name) + 2), sep="\n")
    else:
        print("\n".join(format_scenario(test.scenario) for test in tests), end="")
    return 0


def _results(file: RunFile) -> None:
    """What a run file has, in words."""
    from pinhold.pictures.searched import search_text
    from pinhold.report.readback import target_runs
    from pinhold.report.results import tally
    from pinhold.report.table import table

    for search in file.searches:
        print(search_text(search))
    runs = target_runs(file)
    if any(run.results for run in runs):
        print("\n".join([*table(runs), ""]))
    for run in runs:
        print(f"{run.info.name}: {tally(run.results)}")
    if not file.complete:
        print("The run file was cut off: this is a part.")


def _pictures(options: Namespace) -> int:
    """Each test's picture, of all targets that ran it."""
    if options.what is None:
        raise UsageError("a picture of what? name a test (seed/151), a FILE.pin or a run file")
    path = options.html or options.svg
    draw = _html(options) if options.html else _svg if options.svg else _text
    file = _recorded(options)
    tests = list(dict.fromkeys(run.name for run in file.runs))
    if not tests:
        _searches(options, path, file)
        return 0
    if path and len(tests) != 1:
        raise UsageError(f"a file has one test's picture, {options.what} has {len(tests)} tests: name one: {tests[0]}")
    with output(path) as out:
        for number, test in enumerate(tests):
            out.write(("\n\n" if number else "") + _drawn(draw, file, test))
    if path:
        print(path)
    return 0


def _poster(options: Namespace) -> int:
    """One test on a sheet, with the comments of its file; without a test, the life of a pinned page."""
    page = options.poster.endswith(".html")
    if page:
        need_jinja("; a poster in a file .svg needs nothing")
    from pinhold.pictures.poster import LIFE, poster, said
    from pinhold.pictures.story import story
    from pinhold.pictures.words import ran

    with as_file(LIFE) as life, output(options.poster) as out:
        options.what = what = options.what or str(life)
        recorded = is_file(what) and is_run_file(what)
        if not recorded and len(select([what])) != 1:
            raise UsageError(f"a poster is of one test: {what} has several")
        stories = [story(run) for run in _recorded(options).runs]
        if len({one.run.name for one in stories}) != 1 or not any(map(ran, stories)):
            raise UsageError(f"a poster is of one test that ran: {what} has no such, or several")
        words = said(Path(what).read_text("utf-8")) if is_file(what) and not recorded else []
        sheet = poster(stories, words)
        if page:
            from pinhold.pictures.posterpage import poster_page

            sheet = poster_page(stories, words, sheet)
        out.write(sheet)
    print(options.poster)
    return 0


def _searches(options: Namespace, path: str | None, file: RunFile) -> None:
    """Of a run file without a test."""
    from pinhold.pictures.searched import levels, search_text, title

    with output(path) as out:
        if options.html:
            from pinhold.pictures.searchpage import search_page

            out.write(search_page(file))
        elif options.svg:
            from pinhold.pictures.chartstill import chart_still
            from pinhold.pictures.depths import depths

            first = file.searches[0]
            out.write(chart_still(depths(title(first), [levels(search) for search in file.searches])))
        else:
            out.write("\n".join(map(search_text, file.searches)))
    if path:
        print(path)


Draw = Callable[[RunFile, str], str]


def _drawn(draw: Draw, file: RunFile, name: str) -> str:
    try:
        return draw(file, name)
    except ScenarioError as error:
        raise UsageError(f"the run file's scenario {name} is not of this version's language: {error}") from None


def _text(file: RunFile, name: str) -> str:
    from pinhold.pictures.searched import search_text
    from pinhold.pictures.story import story
    from pinhold.pictures.text import pictures

    drawn = pictures([story(run) for run in file.runs if run.name == name], name)
    return "\n".join([drawn, *(search_text(search) for search in file.searches if search.run == name)])


def _svg(file: RunFile, name: str) -> str:
    from pinhold.pictures.still import still
    from pinhold.pictures.story import story

    return still([story(run) for run in file.runs if run.name == name], name)


def _html(options: Namespace) -> Draw:
    """Raises NothingToRun where jinja2 is missing, before anything is run."""
    need_jinja("; --text and --svg need nothing")
    from pinhold.pictures.page import page

    return lambda file, name: page(file, name, options.steps)


def _recorded(options: Namespace) -> RunFile:
    """The runs that a run file has, or those of a test that is run now."""
    what = options.what
    if not is_file(what) or not is_run_file(what):
        return _run_now(options)
    if options.on or options.patches:
        raise UsageError(f"{what} is a run file, which has its targets: --on and --with run a test")
    return read_run_file(what)


def _run_now(options: Namespace) -> RunFile:
    """As a run file would have it."""
    tests = select([options.what])
    names = options.on or ["model:6.1", "model:6.2"]
    only_models(options, targets_of(names))
    limit = deadline(options, names)
    pins, bags = external(options, names), luggage(options, names)
    runs = []
    for outcome in run_matrix(make_targets(names, pins=pins, luggage=bags, deadline=limit), tests):
        if isinstance(outcome, NothingToRun):
            raise outcome
        runs.append(outcome)
    return as_run_file(runs)
