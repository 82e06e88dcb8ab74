"""Results as a table for a reader: a block is a case of the suite, a row the kinds of memory that came out alike.

Cases whose rows are equal share a block.  A letter behind a verdict points to a note below the table, which gives the
reason in words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from string import ascii_lowercase

from pinhold.report import terminal
from pinhold.report.remedies import STEP, step_of
from pinhold.report.results import NOT_HERE, CaseResult, TargetRun, aligned, number_ranges, one_line

WIDTH = 114
_NUMBERS = 9
_NAMES = 24
"""Columns of the names of memory, at least."""

_LONGEST = 20
"""Longer lists of test numbers are counted instead."""
_WORDS = {"violated": "VIOLATED", "livelock": "LIVELOCK", "error": "ERROR", "crashed": "CRASHED"}
SELFTEST_WORDS = {"held": "ok", "violated": "not ok", "skipped": "skip"}

_Tests = Sequence[tuple[CaseResult, ...]]
"""For each test its results on all targets."""


@dataclass(slots=True)
class Notes:
    """The reasons of a table, each once, with the numbers of the tests that it explains, and a skip's next step."""

    numbers: dict[str, set[int]] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)

    def letter(self, reason: str, number: int) -> str:
        """The letter of `reason`, which test `number` has too: a, b, … z, aa, ab, …"""
        reason = one_line(reason)
        self.numbers.setdefault(reason, set()).add(number)
        index, letters = list(self.numbers).index(reason), ""
        while index >= 0:
            index, digit = divmod(index, len(ascii_lowercase))
            letters, index = ascii_lowercase[digit] + letters, index - 1
        return letters

    def lines(self, width: int = WIDTH, counted: bool = True) -> Iterator[str]:
        """One paragraph a note, and below it what it would take.  counted: with the number of its tests."""
        for reason, numbers in self.numbers.items():
            letter = self.letter(reason, min(numbers))
            tests = f"test {min(numbers)}" if len(numbers) == 1 else f"{len(numbers)} tests"
            paragraph = f"{letter:>2}  {reason} ({tests})" if counted else f"{letter:>2}  {reason}"
            yield from textwrap.wrap(paragraph, width, subsequent_indent="    ", break_on_hyphens=False)
            if reason in self.steps:
                step = f"    {STEP} {self.steps[reason]}"
                yield from textwrap.wrap(step, width, subsequent_indent=" " * 7, break_on_hyphens=False)


@dataclass(frozen=True, slots=True)
class _Row:
    """What a row says: the number of its test where it stands for one alone, its names, and a cell a target."""

    number: str
    names: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(slots=True)
class _Block:
    """heads: (test numbers, case) of every case that the rows are true of."""

    heads: list[tuple[str, str]]
    rows: list[_Row]


def _cell(result: CaseResult, notes: Notes, words: dict[str, str]) -> str:
    verdict = result.verdict
    if verdict == NOT_HERE:
        return "not run"
    cell = words.get(verdict.kind, verdict.kind)
    if result.mechanisms and verdict.kind in ("held", "violated", "xfail"):
        cell += f" by {'+'.join(result.mechanisms)}"
    if verdict.reason:
        cell += f" {notes.letter(verdict.reason, result.number)}"
        if step := step_of(result):
            notes.steps.setdefault(one_line(verdict.reason), step)
    return cell


def _rows(tests: _Tests, notes: Notes) -> list[_Row]:
    """The rows of one case, by first appearance."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for results in tests:
        cells = tuple(_cell(r, notes, _WORDS) for r in results)
        groups.setdefault(cells, []).append(one_line(results[0].memory))
    return [_Row("", tuple(names), cells) for cells, names in groups.items()]


def _single_rows(tests: _Tests, notes: Notes, words: dict[str, str]) -> list[_Row]:
    """A row a test, by its whole title."""
    return [
        _Row(str(results[0].number), (one_line(results[0].title),), tuple(_cell(r, notes, words) for r in results))
        for results in tests
    ]


def _blocks(tests: _Tests, notes: Notes) -> list[_Block]:
    blocks: list[_Block] = []
    for case, group in groupby(tests, key=lambda results: results[0].case if results[0].memory else None):
        members = list(group)
        if case is None:  # titles that name no kind of memory
            blocks.append(_Block([], _single_rows(members, notes, _WORDS)))
            continue
        numbers = number_ranges(sorted({results[0].number for results in members}))
        head = (numbers if len(numbers) <= _LONGEST else f"{len(members)} tests", one_line(case))
        rows = _rows(members, notes)
        if blocks and blocks[-1].heads and blocks[-1].rows == rows:
            blocks[-1].heads.append(head)
        else:
            blocks.append(_Block([head], rows))
    return blocks


def _layout(block: _Block, name_width: int, widths: Sequence[int], columns: slice) -> Iterator[str]:
    """With the cells of these columns, which have these widths."""
    for numbers, case in block.heads:
        yield f"{numbers:>{_NUMBERS - 2}}  {case}"
    for row in block.rows:
        # A row of its own begins where the heads of blocks do, two columns before the rows below a head.
        width = name_width if block.heads else name_width + 2
        names = textwrap.wrap("; ".join(row.names), width, subsequent_indent="  ", break_on_hyphens=False)
        cells = "  ".join(cell.ljust(w) for cell, w in zip(row.cells[columns], widths, strict=True))
        indent = " " * (_NUMBERS if block.heads else _NUMBERS - 2)
        for number, name, cell in zip_longest([row.number], names, [cells], fillvalue=""):
            yield f"{number:>{len(indent)}}  {name:{width}}  {cell}".rstrip()


def _heads(runs: Sequence[TargetRun], start: int, widths: Sequence[int]) -> Iterator[str]:
    """The targets' names, and below them the release of each that is a real kernel."""
    for line in zip(*((run.info.name, run.kernel) for run in runs), strict=True):
        cells = "  ".join(head.ljust(width) for head, width in zip(line, widths, strict=True))
        if cells.strip():
            yield " " * start + cells.rstrip()


def _abreast(widths: Sequence[int], wide: int) -> Iterator[slice]:
    """The columns that fit beside one another, at least one: those behind them are a table of their own, below."""
    first = 0
    while first < len(widths):
        last, room = first + 1, wide - _NUMBERS - _NAMES - 4 - widths[first]
        while last < len(widths) and room >= widths[last] + 2:
            room -= widths[last] + 2
            last += 1
        yield slice(first, last)
        first = last


def table(runs: Sequence[TargetRun], quoted: Collection[int] = ()) -> Iterator[str]:
    """The lines of the table and its notes.  Tests numbered in `quoted` are also shown as a selftest says them."""
    notes, runs = Notes(), aligned(runs)
    tests = list(zip(*(run.results for run in runs), strict=True))
    blocks = _blocks(tests, notes)
    quotes = [results for results in tests if results[0].number in quoted]
    texts = " / ".join(dict.fromkeys(one_line(results[0].text) for results in quotes))
    quote = _Block([], _single_rows(quotes, notes, SELFTEST_WORDS))
    rows = [row for block in [*blocks, quote] for row in block.rows]
    widths = [
        max(len(run.info.name), len(run.kernel), *(len(row.cells[i]) for row in rows)) for i, run in enumerate(runs)
    ]
    wide = terminal.width(WIDTH)
    for number, columns in enumerate(_abreast(widths, wide)):
        if number:
            yield ""
        side = widths[columns]
        name_width = max(_NAMES, wide - _NUMBERS - 2 - sum(side) - 2 * len(side))
        yield from _heads(runs[columns], _NUMBERS + 2 + name_width + 2, side)
        for block in blocks:
            yield from _layout(block, name_width, side, columns)
        if quotes:
            yield from ("", f"As the selftest says it: {texts}")
            yield from _layout(quote, name_width, side, columns)
    if notes.numbers:
        yield ""
        yield from notes.lines(wide)
