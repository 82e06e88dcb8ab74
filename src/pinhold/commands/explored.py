"""What a search came to, as a run file: written, read back and drawn like the others."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TextIO

from pinhold.commands.output import output
from pinhold.explore.facts import decisions_of
from pinhold.explore.find import unreached
from pinhold.explore.replay import Replay
from pinhold.explore.result import SearchResult
from pinhold.explore.story import scenario, verdict
from pinhold.explore.world import World
from pinhold.mm import releases, rules
from pinhold.mm.kernel import patch_digests
from pinhold.mm.sites import SITES
from pinhold.report.jsonreport import RunFileReport
from pinhold.report.junit import Together, junit
from pinhold.report.results import CaseResult
from pinhold.scenario.parse import parse
from pinhold.scenario.ran import Search
from pinhold.scenario.runfile import RunFile, read_run
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario


class SearchReport:
    """Searches as a run file, each written when it has ended, and a run of each scenario that shows what was found."""

    def __init__(self, stream: TextIO, asked: str = "") -> None:
        """asked: see Search."""
        self._asked = asked
        self._report = RunFileReport(stream)
        self._places = count()

    def add(self, ready: World, result: SearchResult) -> None:
        name = ""
        if result.violation is not None:
            name = f"{ready.scope.name}.pin"
            shown = parse(scenario(ready, result.path, result.violation))
            for place, target in zip(self._places, _targets(ready), strict=False):
                self._report.begin(place, target.info())
                self._report.result(place, CaseResult(1, name, shown.title, run_scenario(target, shown)))
        self._report.search(searched(ready, result, name, self._asked))

    def close(self) -> None:
        """All has been searched.  A file that has not been closed is one that was cut off."""
        self._report.close(None)


def run_file(searches: Iterable[tuple[World, SearchResult]], asked: str = "") -> RunFile:
    """The same, read back."""
    stream = io.StringIO()
    report = SearchReport(stream, asked)
    for ready, result in searches:
        report.add(ready, result)
    report.close()
    return read_run(stream.getvalue().splitlines(keepends=True))


def write_searches(options: argparse.Namespace, searches: Sequence[Search], together: Sequence[Together]) -> None:
    """Records of searches that found no way to be shown, as they were asked for: a run file, or tests."""
    with output(options.output) as stream:
        if options.format == "junit":
            stream.writelines(f"{line}\n" for line in junit((), None, searches, together=together))
            return
        report = RunFileReport(stream)
        for search in searches:
            report.search(search)
        report.close(None)


def _targets(ready: World) -> Iterator[ModelTarget]:
    """The rules that were searched; and the release's own, where they are others."""
    switched = _switched(ready)
    yield ModelTarget(ready.scope.rules, switches=switched, properties=True)
    if switched:
        yield ModelTarget(ready.scope.rules, properties=True)


def _switched(ready: World) -> dict[str, str]:
    row = releases.row(ready.scope.rules)
    return {x.name: x.names[ready.row[x.name]] for x in rules.RULES if ready.row[x.name] != row[x.name]}


def searched(ready: World, result: SearchResult, run: str, asked: str = "") -> Search:
    """As a run file keeps it.  run: which run of the file shows what was found."""
    moments = Replay(ready, result.path).moments() if result.path else ()
    return Search(
        ready.scope.name,
        ready.scope.rules,
        _switched(ready),
        result.states,
        result.transitions,
        tuple(result.levels),
        "" if result.violation is None else verdict(result.violation),
        result.limit,
        tuple((moment.task, moment.does) for moment in moments),
        tuple(SITES[site].name for site in sorted(result.sites)),
        tuple(SITES[site].name for site in sorted(decisions_of(ready) - result.sites)),
        tuple(str(action) for action, count in zip(ready.actions, result.uses, strict=False) if not count),
        run,
        patch_digests(),
        asked,
        unreached(ready, result) if not asked else (),
    )
