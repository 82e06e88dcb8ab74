"""Scenario text to Scenario.

Nothing of a text is evaluated, and every size and count is bounded (bounds.py): the text may come from anyone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinhold.scenario.bounds import MAX_STEPS, MAX_TEXT, MAX_TITLE
from pinhold.scenario.check import Misuse, Things
from pinhold.scenario.needed import inconsistent, lacking
from pinhold.scenario.ranges import decode_range
from pinhold.scenario.small import Small
from pinhold.scenario.small_line import SMALL
from pinhold.scenario.steps import Range, Scenario, Step
from pinhold.scenario.steps.table import parse_step
from pinhold.scenario.tokens import BLANKS, END_OF_LINE, Cursor, Mismatch, ScenarioError, quoted, tokenize
from pinhold.scenario.watch import PMD_PAGES, PUD_PAGES

__all__ = ["ScenarioError", "parse"]

_TITLE = "scenario"
_WATCH = "watch"
_SMALL = "small"
_OBSERVE = "observe"
_REMARKS = {"xfail": "why it is known to fail", "vm_only": "why it runs in a virtual machine only"}
"""Lines of one quoted text, at most one of each: the field of the scenario, and what the text says."""


def parse(text: str, pmd_pages: int = PMD_PAGES, pud_pages: int = PUD_PAGES) -> Scenario:
    """The scenario that `text` states, on a machine with huge pages of those sizes (in base pages).

    Raises ScenarioError with line, column, what was expected and what was found.
    """
    if len(text) > MAX_TEXT or len(text.encode(errors="replace")) > MAX_TEXT:
        raise ScenarioError(1, 1, f"expected at most {MAX_TEXT} bytes, found a longer text")
    reader = _Reader(Things(pmd_pages, pud_pages))
    last = 0
    for last, line in enumerate(text.split("\n"), 1):
        try:
            reader.line(line.removesuffix("\r"), last)
        except Mismatch as failure:
            raise ScenarioError(last, failure.column, failure.message()) from None
    if reader.title is None:
        raise ScenarioError(last, 1, f"expected '{_TITLE} TITLE', found end of file")
    reader.refuse_what_lasts()
    return Scenario(
        reader.title,
        tuple(reader.steps),
        tuple(reader.watched()),
        **reader.remarks,
        small=reader.small,
        observe=reader.observe,
    )


@dataclass(frozen=True, slots=True)
class _Watch:
    range: Range
    line: int
    column: int


class _Reader:
    """What the lines read so far say."""

    def __init__(self, things: Things) -> None:
        self.title: str | None = None
        self.steps: list[Step] = []
        self.remarks: dict[str, str] = {}
        self.small: Small | None = None
        self.observe = False
        self._things = things
        self._watches: list[_Watch] = []
        self._lasting: tuple[int, int] | None = None

    def line(self, line: str, number: int) -> None:
        """Read one line.  Raises Mismatch."""
        _refuse_unprintable(line)
        first = line.lstrip(BLANKS)
        if not first or first.startswith("#"):
            return
        verb = first.split(maxsplit=1)[0]
        if self.title is None:
            self.title = _title(line, verb)
        elif verb == _TITLE:
            raise Mismatch(line.index(_TITLE) + 1, ["one scenario in a text"], "a second one")
        elif verb == _WATCH:
            self._watches += _watch_line(tokenize(line), number)
        elif verb in _REMARKS:
            self._remark(verb, tokenize(line))
        elif verb == _OBSERVE:
            self._observe(tokenize(line))
        elif verb == _SMALL:
            self._small_machine(tokenize(line))
        else:
            self._step(tokenize(line), number)

    def _remark(self, verb: str, line: Cursor) -> None:
        if verb in self.remarks:
            raise Mismatch(line.column, [f"one {verb} line in a text"], "a second one")
        line.word(verb)
        text = line.text()
        if text is None:
            raise line.mismatch(f"a quoted text: {_REMARKS[verb]}")
        if line.peek() is not None:
            raise line.mismatch(END_OF_LINE)
        self.remarks[verb] = text

    def _observe(self, line: Cursor) -> None:
        if self.observe:
            raise Mismatch(line.column, [f"one {_OBSERVE} line in a text"], "a second one")
        line.word(_OBSERVE)
        if line.peek() is not None:
            raise line.mismatch(END_OF_LINE)
        self.observe = True

    def _small_machine(self, line: Cursor) -> None:
        """It says how large a huge page is, and so stands before the steps."""
        if self.small is not None or self.steps:
            found = "a second one" if self.small is not None else "one behind a step"
            raise Mismatch(line.column, ["one small line in a text, before all steps"], found)
        column = line.column
        small, _ = SMALL.parse(line, Small)
        if lack := inconsistent(small):
            raise Mismatch(column, [f"a small machine with {lack}"], "one without")
        self.small = small
        self._things = Things(small.pmd_pages, small.pud_pages, small=True)

    def _step(self, line: Cursor, number: int) -> None:
        verb_column = line.column
        step, columns = parse_step(line)
        if self.small is not None and (lack := lacking(self.small, step)):
            raise Mismatch(verb_column, [f"a small machine with {lack}, which this step needs"], "one without")
        if len(self.steps) >= MAX_STEPS:
            raise Mismatch(verb_column, [f"at most {MAX_STEPS} steps"], "one more")
        try:
            self.steps.append(self._things.step(step, number))
        except Misuse as misuse:
            raise Mismatch(columns.get(misuse.field, verb_column), [misuse.expected], misuse.found) from None
        if self._lasting is None and self._things.loses_reserve(step):
            self._lasting = number, columns.get("range", verb_column)

    def refuse_what_lasts(self) -> None:
        """Raise ScenarioError for a step that outlives the scenario, where any machine may run it."""
        if self._lasting is not None and self.small is None and "vm_only" not in self.remarks:
            expected = "the whole region, or a vm_only line in the text: the kernel loses the reserve of what stays"
            message = Mismatch(self._lasting[1], [expected], "a part of a private hugetlb mapping").message()
            raise ScenarioError(*self._lasting, message)

    def watched(self) -> Iterator[Range]:
        """The ranges of all watch lines.  Only the end of the text tells whether their regions exist."""
        before: list[Range] = []
        for watch in self._watches:
            try:
                self._things.watch(watch.range, before)
            except Misuse as misuse:
                message = Mismatch(watch.column, [misuse.expected], misuse.found).message()
                raise ScenarioError(watch.line, watch.column, message) from None
            before.append(watch.range)
            yield watch.range


def _refuse_unprintable(line: str) -> None:
    """Raise Mismatch for control characters and characters that reorder or hide text."""
    if line.isprintable():
        return
    for column, char in enumerate(line, 1):
        if not char.isprintable() and char != "\t":
            raise Mismatch(column, ["printable text"], quoted(char))


def _title(line: str, verb: str) -> str:
    start = len(line) - len(line.lstrip(BLANKS))
    if verb != _TITLE:
        raise Mismatch(start + 1, [f"'{_TITLE} TITLE' before anything else"], quoted(verb))
    title = line[start + len(_TITLE) :].strip()
    if "\t" in title:
        raise Mismatch(line.index("\t", line.index(title)) + 1, ["a title without tabs"], "a tab")
    if not title or len(title) > MAX_TITLE:
        column = start + len(_TITLE) + 2
        raise Mismatch(column, [f"a title of 1 to {MAX_TITLE} characters"], f"one of {len(title)}")
    return title


def _watch_line(line: Cursor, number: int) -> Iterator[_Watch]:
    line.word(_WATCH)
    expected = "a range such as x, x[3], x[1:5], x[1:] or x[:5]"
    while True:
        token = line.word(expected)
        r = decode_range(token.text)
        if r is None:
            raise Mismatch(token.column, [expected], quoted(token.text))
        yield _Watch(r, number, token.column)
        if line.peek() is None:
            return
