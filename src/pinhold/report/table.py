"""Results as a table for a reader: a row is a test, or all tests of a case with the same verdicts.

A letter behind a verdict points to a note below the table, which gives the reason in words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from string import ascii_lowercase

from pinhold.report.results import CaseResult, TargetRun, number_ranges, one_line

WIDTH = 100
_NUMBERS = 17
_WORDS = {"violated": "VIOLATED", "livelock": "LIVELOCK", "error": "ERROR", "crashed": "CRASHED"}
_SELFTEST_WORDS = {"held": "ok", "violated": "not ok", "xfail": "xfail", "skipped": "skip"}


@dataclass(slots=True)
class Notes:
    """The reasons of a table, each once, with the numbers of the tests that it explains."""

    numbers: dict[str, set[int]] = field(default_factory=dict)

    def letter(self, reason: str, number: int) -> str:
        """The letter of `reason`, which test `number` has too: a, b, … z, aa, ab, …"""
        reason = one_line(reason)
        self.numbers.setdefault(reason, set()).add(number)
        index, letters = list(self.numbers).index(reason), ""
        while index >= 0:
            index, digit = divmod(index, len(ascii_lowercase))
            letters, index = ascii_lowercase[digit] + letters, index - 1
        return letters

    def lines(self) -> Iterator[str]:
        """One paragraph a note."""
        for reason, numbers in self.numbers.items():
            letter = self.letter(reason, min(numbers))
            tests = f"test {min(numbers)}" if len(numbers) == 1 else f"{len(numbers)} tests"
            paragraph = f"{letter:>2}  {reason} ({tests})"
            yield from textwrap.wrap(paragraph, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _cell(result: CaseResult, notes: Notes, words: dict[str, str]) -> str:
    verdict = result.verdict
    cell = words.get(verdict.kind, verdict.kind)
    if result.mechanisms and verdict.kind in ("held", "violated", "xfail"):
        cell += f" by {'+'.join(result.mechanisms)}"
    if verdict.reason and verdict.kind not in ("held", "violated"):
        cell += f" {notes.letter(verdict.reason, result.number)}"
    return cell


@dataclass(frozen=True, slots=True)
class _Row:
    """Tests that one row of the table stands for: their numbers, their names, and a cell a target."""

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    cells: tuple[str, ...]


def _rows(tests: Sequence[tuple[CaseResult, ...]], notes: Notes, words: dict[str, str]) -> Iterator[_Row]:
    """Rows of one case, by first appearance; `tests` holds for each test its results on all targets."""
    groups: dict[tuple[str, ...], list[CaseResult]] = {}
    for results in tests:
        groups.setdefault(tuple(_cell(r, notes, words) for r in results), []).append(results[0])
    for cells, members in groups.items():
        yield _Row(tuple(m.number for m in members), tuple(one_line(m.memory or m.title) for m in members), cells)


def _layout(row: _Row, name_width: int, widths: Sequence[int]) -> Iterator[str]:
    numbers = textwrap.wrap(number_ranges(row.numbers), _NUMBERS - 4)
    names = textwrap.wrap("; ".join(row.names), name_width, break_on_hyphens=False)
    cells = ["  ".join(c.ljust(w) for c, w in zip(row.cells, widths, strict=True))]
    for number, name, cell in zip_longest(numbers, names, cells, fillvalue=""):
        yield f"  {number:{_NUMBERS - 4}}  {name:{name_width}}  {cell}".rstrip()


def _heads(runs: Sequence[TargetRun], name_width: int, widths: Sequence[int]) -> Iterator[str]:
    """The targets' names, and below them the release of each that is a real kernel."""
    heads = [(run.info.name, run.kernel) for run in runs]
    for line in zip(*heads, strict=True):
        cells = "  ".join(head.ljust(width) for head, width in zip(line, widths, strict=True))
        if cells.strip():
            yield " " * (_NUMBERS + name_width + 2) + cells.rstrip()


def _blocks(tests: Sequence[tuple[CaseResult, ...]], notes: Notes) -> Iterator[tuple[str, list[_Row]]]:
    """Each case with its rows; a title that names no kind of memory stands in its row, under no case."""
    for case, group in groupby(tests, key=lambda results: results[0].case if results[0].memory else ""):
        yield one_line(case), list(_rows(list(group), notes, _WORDS))


def _selftest_block(tests: Sequence[tuple[CaseResult, ...]], notes: Notes) -> list[_Row]:
    """A row a test, in the words of the selftests."""
    return [
        _Row((first.number,), (one_line(first.title),), tuple(_cell(r, notes, _SELFTEST_WORDS) for r in results))
        for results in tests
        for first in results[:1]
    ]


def table(runs: Sequence[TargetRun], quoted: Collection[int] = ()) -> Iterator[str]:
    """The lines of the table and its notes.  Tests numbered in `quoted` are also shown as a selftest says them."""
    notes = Notes()
    tests = list(zip(*(run.results for run in runs), strict=True))
    blocks = list(_blocks(tests, notes))
    quotes = [results for results in tests if results[0].number in quoted]
    if quotes:
        texts = " / ".join(dict.fromkeys(one_line(results[0].text) for results in quotes))
        blocks.append((f"As the selftest says it: {texts}", _selftest_block(quotes, notes)))
    widths = [
        max(len(run.info.name), len(run.kernel), *(len(row.cells[i]) for _, rows in blocks for row in rows))
        for i, run in enumerate(runs)
    ]
    name_width = max(24, WIDTH - _NUMBERS - sum(widths) - 2 * len(widths))
    yield from _heads(runs, name_width, widths)
    for case, rows in blocks:
        if case:
            yield case
        for row in rows:
            yield from _layout(row, name_width, widths)
    if notes.numbers:
        yield ""
        yield from notes.lines()
