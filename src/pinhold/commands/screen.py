"""What `check` says on one screen: what this kernel does for the seed's twelve lines, beside kernels before and after.

Below the table: what could be shown here, whether it is as predicted, and how more can be shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pinhold.commands.expected import is_twelve
from pinhold.commands.judged import MODEL, UNPREDICTED, Column, Judged
from pinhold.report.remedies import step_of
from pinhold.report.results import CaseResult, TargetRun, one_line, tally
from pinhold.report.table import SELFTEST_WORDS, Notes
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.verdict import EXIT_HELD

WIDTH = 80
QUESTION = "Is the memory that I handed to a device still the memory that my process sees?"
CHANGED = 'The lines that "mm/gup: reliable R/O long-term pinning in COW mappings" changed:'
WORDS = "not ok: the device reads stale bytes; skip: not shown here, the letter says why."
MORE = (
    "To see more: pinhold doctor says what is missing here, and how to get it; --full prints every test, --html FILE "
    "draws them."
)
SAYS = {"model:6.1": "before", "model:6.2": "after"}
"""What a column is there for: the patch is between these."""
LIVE = "live"
NUMBER, NAME = 4, 27
DETAILS = 3
"""So many differences of a column are told here; the others with --full."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of the table: why it is there, and the seed's tests."""

    why: str
    run: TargetRun

    @property
    def heads(self) -> tuple[str, str]:
        return self.why, _short(self.run)


def screen(
    seed: Sequence[Column], others: Sequence[Column], judged: Sequence[Judged], absent: Sequence[str]
) -> list[str]:
    """The lines.  seed: columns with the suite of the seed; others: with other suites; judged: what is said of both, in
    this order; absent: what has no column, in words."""
    here = next((column for column in seed if column.run.info.target == LIVE), None)
    lines = [QUESTION, ""]
    if here is not None:
        lines += _wrapped(f"{here.run.kernel}, which runs here: {answer(here)}")
    notes = Notes()
    lines += [CHANGED, *_table(seed, notes), WORDS, *notes.lines(WIDTH, counted=False), ""]
    lines += _told([*seed, *others], judged)
    return [*lines, *(line for sentence in [*(f"{words}." for words in absent), MORE] for line in _wrapped(sentence))]


def answer(here: Column) -> str:
    """Of the kernel that runs here: what was seen, or what the rules of its release say."""
    seen = [r.verdict.kind for r in _twelve(here, here.run).results if r.verdict.kind in ("held", "violated")]
    rules = [] if here.model is None else [r.verdict.kind for r in _twelve(here, here.model).results]
    if "violated" in seen:
        return f"NO, {seen.count('violated')} of the twelve lines below fail here."
    how = f"{len(seen) or 'none'} of the twelve lines below could be seen here"
    if "violated" in rules:
        return f"NO, by the rules of its release; {how}."
    if "held" in rules and set(rules) <= {"held", "skipped"}:
        return "yes, all twelve lines below hold here." if len(seen) == 12 else f"yes, by its release's rules; {how}."
    return f"not known; {how}."


def _short(run: TargetRun) -> str:
    """A target's name; of a model without the rules that are switched, which --full tells."""
    return run.info.name.partition(",")[0]


def _says(info: TargetInfo) -> str:
    return "patched" if ",with=" in info.target else SAYS.get(info.name, "")


def _twelve(column: Column, run: TargetRun) -> TargetRun:
    """Of a run of the column's tests those that the seed quotes."""
    kept = (r for r, test in zip(run.results, column.tests, strict=True) if is_twelve(test))
    return replace(run, results=tuple(kept))


def _shown(columns: Sequence[Column], rules: bool) -> list[Shown]:
    """rules: beside the kernel that runs here also what the rules of its release say."""
    shown = []
    for column in columns:
        live = column.run.info.target == LIVE
        if live and rules and column.model is not None:
            shown.append(Shown("by its rules", _twelve(column, column.model)))
        shown.append(Shown("here" if live else _says(column.run.info), _twelve(column, column.run)))
    return shown


def _table(columns: Sequence[Column], notes: Notes) -> Iterator[str]:
    """A line a test, as the selftest says it; as many targets as fit."""
    shown = _shown(columns, True)
    if _width(shown) > WIDTH:
        shown = _shown(columns, False)
    fit = shown
    while _width(fit) > WIDTH and len(fit) > 1:
        fit = fit[:-1]
    widths = [_cells_width(one) for one in fit]
    for words in zip(*(one.heads for one in fit), strict=True):
        if any(words):
            yield _line("", "", words, widths)
    tests = zip(*(one.run.results for one in fit), strict=True)
    for case, group in groupby(tests, key=lambda results: results[0].case):
        yield one_line(case)
        for results in group:
            cells = [_cell(result, notes) for result in results]
            yield _line(str(results[0].number), one_line(results[0].memory), cells, widths)
    if len(fit) < len(shown):
        yield f"with --full also {', '.join(one.run.info.name for one in shown[len(fit) :])}"


def _width(shown: Sequence[Shown]) -> int:
    return NUMBER + 1 + NAME + sum(2 + _cells_width(one) for one in shown)


def _cells_width(one: Shown) -> int:
    return max(map(len, [*one.heads, *(_word(r) + "  " * _asks(r) for r in one.run.results)]))


def _line(number: str, name: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    row = "".join(f"  {cell:{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{number:>{NUMBER}} {name:{NAME}}{row}".rstrip()


def _word(result: CaseResult) -> str:
    return SELFTEST_WORDS.get(result.verdict.kind, result.verdict.kind)


def _asks(result: CaseResult) -> bool:
    """Whether the reader asks why: of what fails the table as a whole says it."""
    return result.verdict.kind not in ("held", "violated") and result.verdict.reason is not None


def _cell(result: CaseResult, notes: Notes) -> str:
    if not _asks(result):
        return _word(result)
    reason = result.verdict.reason or ""
    if step := step_of(result):
        notes.steps.setdefault(one_line(reason), step)
    return f"{_word(result)} {notes.letter(reason, result.number)}"


def _told(columns: Sequence[Column], judged: Sequence[Judged]) -> Iterator[str]:
    """What is said of the columns; of those that are as predicted in a line."""
    pairs = list(zip(columns, judged, strict=True))
    as_predicted = [(c, j) for c, j in pairs if j.status == EXIT_HELD and not j.verdict.endswith(UNPREDICTED)]
    models = [c.run.info.name for c, _ in as_predicted if c.run.info.target.startswith(MODEL)]
    if models:
        yield from _wrapped(f"{' and '.join(models)}: as {'its' if len(models) == 1 else 'their'} rules predict.")
    for column, each in pairs:
        name = column.run.info.name
        if each.status == EXIT_HELD and column.model is not None:
            alike = f"as {_short(column.model)} in all that both show"
            yield from _wrapped(f"{column.suite} on {name}: {tally(column.run.results)}; {alike}.")
        elif name not in models:
            for number, sentence in enumerate(each.told(DETAILS)):
                yield from _wrapped(sentence if number else f"{column.suite} on {sentence}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
