"""All tests of a run on all its targets, as one page: at a glance, and as a list to search; each test has its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from urllib.parse import quote

from pinhold.pictures.chart import Chart
from pinhold.pictures.chartpage import TABLE, chart_table
from pinhold.pictures.sheet import render, style_of
from pinhold.scenario.runfile import RecordedRun, RunFile
from pinhold.scenario.titles import case_and_memory

CUT = "cut off"
NOT_RUN = "not run"
GLYPHS = {
    "held": "\N{CHECK MARK}", "violated": "\N{BALLOT X}", "livelock": "\N{INFINITY}", "skipped": "\N{EN DASH}",
    "xfail": "x", "unknown": "?", "error": "!", "crashed": "!",
    CUT: "\N{HORIZONTAL ELLIPSIS}", NOT_RUN: "\N{MIDDLE DOT}",
}  # fmt: skip
UNJUDGED = ("skipped", CUT, NOT_RUN)


@dataclass(frozen=True, slots=True)
class Cell:
    """One test on one target.  letter: of the note that has the reason."""

    target: str
    kind: str
    letter: str
    mechanisms: str

    @property
    def glyph(self) -> str:
        return GLYPHS[self.kind]


@dataclass(frozen=True, slots=True)
class Line:
    """One test.  differ: its judged verdicts are not the same on all targets; href: of its page."""

    name: str
    title: str
    cells: Sequence[Cell]
    href: str
    hash: str

    @property
    def anchor(self) -> str:
        return anchor(self.name)

    @property
    def case(self) -> str:
        return case_and_memory(self.title)[0]

    @property
    def memory(self) -> str:
        return case_and_memory(self.title)[1]

    @property
    def differ(self) -> bool:
        return len({cell.kind for cell in self.cells if cell.kind not in UNJUDGED}) > 1

    @property
    def spoken(self) -> str:
        return f"{self.name}: " + ", ".join(f"{cell.target} {cell.kind}" for cell in self.cells)


def anchor(name: str) -> str:
    """Of a test: what a link and a file's name may have."""
    return re.sub(r"[^\w.-]", "-", name)


def page_name(name: str) -> str:
    """The file of a test's page."""
    return f"{anchor(name)}.html"


def matrix(file: RunFile, folder: str = "tests", chart: Chart | None = None) -> str:
    """The page.  folder: beside it, where each test has its own; chart: what the tests come to.

    Raises ImportError where jinja2 is missing.
    """
    notes = _Notes()
    lines = _lines(file, folder, notes)
    kinds = [kind for kind in GLYPHS if any(cell.kind == kind for line in lines for cell in line.cells)]
    counts = Counter((cell.target, cell.kind) for line in lines for cell in line.cells)
    values = {
        "version": file.pinhold,
        "cut": not file.complete,
        "targets": [(info, info.config, [counts[info.name, kind] for kind in kinds]) for info in file.targets],
        "kinds": [(kind, GLYPHS[kind]) for kind in kinds],
        "grids": _grids(lines),
        "lines": lines,
        "notes": notes.lines(),
        "chart": chart,
        "chart_table": chart and chart_table(chart),
    }
    return render("matrix", style_of(TABLE) if chart else "", values)


class _Notes:
    """The reasons, each once, with the number of tests that it explains."""

    def __init__(self) -> None:
        self._tests: dict[str, set[str]] = {}

    def letter(self, reason: str | None, test: str) -> str:
        if not reason:
            return ""
        self._tests.setdefault(reason, set()).add(test)
        index = list(self._tests).index(reason)
        return ascii_lowercase[index] if index < len(ascii_lowercase) else f"n{index + 1}"

    def lines(self) -> list[tuple[str, str, int]]:
        """Letter, reason, how many tests."""
        return [(self.letter(reason, next(iter(of))), reason, len(of)) for reason, of in self._tests.items()]


def _lines(file: RunFile, folder: str, notes: _Notes) -> list[Line]:
    runs = {(run.name, run.target): run for run in file.runs}
    lines = []
    for name in dict.fromkeys(run.name for run in file.runs):
        cells = [_cell(runs.get((name, info.name)), info.name, name, notes) for info in file.targets]
        one = next(run for run in file.runs if run.name == name)
        title = one.text.partition("\n")[0].removeprefix("scenario ")
        lines.append(Line(name, title, cells, f"{quote(folder)}/{page_name(name)}", one.hash[:12]))
    return lines


def _cell(run: RecordedRun | None, target: str, name: str, notes: _Notes) -> Cell:
    if run is None or run.verdict is None:
        return Cell(target, NOT_RUN if run is None else CUT, "", "")
    verdict = run.verdict
    letter = notes.letter(verdict.reason if verdict.kind != "held" else None, name)
    return Cell(target, verdict.kind, letter, ", ".join(sorted(set(run.mechanisms.values()))))


def _grids(lines: Sequence[Line]) -> list[tuple[Sequence[str], list[tuple[str, list[Line]]]]]:
    """Cases that have the same kinds of memory share a grid: the kinds, and a row of tests for each case."""
    of_case: dict[str, list[Line]] = {}
    for line in lines:
        if line.memory:
            of_case.setdefault(f"{line.name.partition('/')[0]} {line.case}", []).append(line)
    grids: dict[tuple[str, ...], list[tuple[str, list[Line]]]] = {}
    for tests in of_case.values():
        grids.setdefault(tuple(test.memory for test in tests), []).append((tests[0].case, tests))
    return list(grids.items())
