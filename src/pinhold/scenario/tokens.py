"""Lines of a scenario cut into tokens, each with its column, and the errors that name both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pinhold.scenario.bounds import MAX_TITLE

END_OF_LINE = "end of line"
BLANKS = " \t"
_SHOWN = 40


class ScenarioError(ValueError):
    """A text that is no scenario.  line and column count from 1; str() is "line L, column C: MESSAGE"."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column
        self.message = message


class Mismatch(Exception):
    """Something else than expected at a column of the line at hand.

    expected: phrases or words, any of which would have done; found: in words, quoted where it is the text's.
    """

    def __init__(self, column: int, expected: Sequence[str], found: str) -> None:
        super().__init__(column, expected, found)
        self.column = column
        self.expected = tuple(dict.fromkeys(expected))
        self.found = found

    def message(self) -> str:
        text = f"expected {either(self.expected)}, found {self.found}"
        words = [word for e in self.expected if (word := e.strip("'")).isidentifier()]
        near = nearest(self.found.strip("'"), words)
        return f"{text}; did you mean {near}?" if near else text


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most probably meant, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 (slow to import, and only errors need it)

    found = get_close_matches(word, list(choices), n=1)
    return found[0] if found else None


def either(choices: Sequence[str]) -> str:
    """'a, b or c'."""
    return choices[0] if len(choices) == 1 else ", ".join(choices[:-1]) + " or " + choices[-1]


def quoted(word: str) -> str:
    """A word of the text as an error shows it: short, printable, in quotes."""
    shown = word if len(word) <= _SHOWN else word[:_SHOWN] + "..."
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "'"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` without its quotes and escapes where `is_text`; column counts from 1."""

    text: str
    column: int
    is_text: bool = False


class Cursor:
    """The tokens of one line and how far they are read."""

    def __init__(self, tokens: Sequence[Token], end_column: int) -> None:
        self._tokens = tokens
        self._end_column = end_column
        self._at = 0

    def peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    @property
    def column(self) -> int:
        """Column of the next token, or the one after the line's last."""
        token = self.peek()
        return token.column if token else self._end_column

    def word(self, *expected: str) -> Token:
        """The next token, which must be a word; Mismatch with what was `expected`."""
        token = self.peek()
        if token is None or token.is_text:
            raise self.mismatch(*expected)
        self._at += 1
        return token

    def text(self) -> str | None:
        """The quoted text that comes next, or None."""
        token = self.peek()
        if token is None or not token.is_text:
            return None
        self._at += 1
        return token.text

    def mismatch(self, *expected: str) -> Mismatch:
        """The next token is none of these."""
        token = self.peek()
        if token is None:
            return Mismatch(self._end_column, expected, END_OF_LINE)
        return Mismatch(token.column, expected, "a quoted text" if token.is_text else quoted(token.text))

    def rest(self) -> Cursor:
        """What is left of the line, as a line of its own."""
        return Cursor(self._tokens[self._at :], self._end_column)

    def skip(self) -> None:
        """Go to the end of the line."""
        self._at = len(self._tokens)

    def rewound(self) -> Cursor:
        """The same line from its start."""
        return Cursor(self._tokens, self._end_column)


def tokenize(line: str) -> Cursor:
    """Cut one line.  Raises Mismatch for a quoted text that does not end, escapes badly, is empty or too long."""
    tokens: list[Token] = []
    at = 0
    while at < len(line):
        if line[at] in BLANKS:
            at += 1
        elif line[at] == "#":
            break
        elif line[at] == '"':
            text, end = _quoted_text(line, at)
            tokens.append(Token(text, at + 1, is_text=True))
            at = end
        else:
            end = at
            while end < len(line) and line[end] not in BLANKS:
                end += 1
            tokens.append(Token(line[at:end], at + 1))
            at = end
    end_column = len(line[:at].rstrip(BLANKS)) + 1
    return Cursor(tokens, end_column)


def _quoted_text(line: str, start: int) -> tuple[str, int]:
    """The text that begins at the quote at `start`, and the index after its closing quote."""
    chars: list[str] = []
    at = start + 1
    while at < len(line) and line[at] != '"':
        if line[at] == "\\":
            at += 1
            if line[at : at + 1] not in ('"', "\\"):
                found = quoted(line[at - 1 : at + 1])
                raise Mismatch(at, ['\\" or \\\\ (the only escapes of a quoted text)'], found)
        chars.append(line[at])
        at += 1
    if at >= len(line):
        raise Mismatch(start + 1, ['a closing " for this quoted text'], END_OF_LINE)
    if not chars or len(chars) > MAX_TITLE:
        raise Mismatch(start + 1, [f"a quoted text of 1 to {MAX_TITLE} characters"], f"one of {len(chars)}")
    if line[at + 1 : at + 2] not in ("", " ", "\t", "#"):
        raise Mismatch(at + 2, [f"a blank or {END_OF_LINE} after a quoted text"], quoted(line[at + 1]))
    return "".join(chars), at + 1


def quote(text: str) -> str:
    """The inverse: `text` in quotes, escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
