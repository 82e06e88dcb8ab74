"""How a line of the language is written: parts in fixed order, then options in any order, then perhaps a quoted text.

Each part knows how to read itself from a line, how to show itself from a step, and what to call itself in an error.  So
parser, printer and usage lines have one source, the forms; and a part that names something says what, so that checks
and generators have the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from typing import Any, Protocol, TypeVar

from pinhold.scenario.bounds import MAX_NAME
from pinhold.scenario.ranges import decode_range, encode_range, is_name
from pinhold.scenario.tokens import END_OF_LINE, Cursor, Mismatch, Token, quote, quoted

T = TypeVar("T")

Values = dict[str, Any]
Columns = dict[str, int]

_NUMBER = re.compile(r"\d{1,12}", re.ASCII)
_BYTE = re.compile(r"0[xX][0-9a-fA-F]{1,2}|\d{1,3}", re.ASCII)


class Thing(Enum):
    """What a step can name."""

    PROCESS = "process"
    REGION = "region"
    PIN = "pin"
    TASK = "task"


class Role(Enum):
    """What a step does with the thing that it names."""

    USES = "uses"
    MAKES = "makes"
    ENDS = "ends"


class Part(Protocol):
    """Something that stands at a fixed place of a form."""

    @property
    def usage(self) -> str: ...

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        """Take tokens from the line into the step's fields.  Raises Mismatch."""

    def show(self, step: object) -> str | None:
        """The text of this part of the step; None: the step is not of this form."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A word that has to stand there."""

    usage: str

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        token = line.peek()
        if token is None or token.is_text or token.text != self.usage:
            raise line.mismatch(quoted(self.usage))
        line.word()

    def show(self, step: object) -> str | None:
        return self.usage


@dataclass(frozen=True, slots=True)
class Field:
    """One token that is one field of the step."""

    name: str
    usage: str

    @property
    def expected(self) -> tuple[str, ...]:
        """What it may be, in words."""
        raise NotImplementedError

    def decode(self, word: str) -> Any:
        """The value of a token, or None where the token is no such thing."""
        raise NotImplementedError

    def encode(self, value: Any) -> str:
        """The inverse of decode()."""
        return str(value)

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        token = line.word(*self.expected)
        value = self.decode(token.text)
        if value is None:
            raise Mismatch(token.column, self.expected, quoted(token.text))
        values[self.name] = value
        columns[self.name] = token.column

    def show(self, step: object) -> str | None:
        value = getattr(step, self.name)
        return None if value is None else self.encode(value)


@dataclass(frozen=True, slots=True)
class Named(Field):
    """The name of a thing."""

    thing: Thing
    role: Role = Role.USES

    @property
    def expected(self) -> tuple[str, ...]:
        return (f"a {self.thing.value} (a name of at most {MAX_NAME} letters, digits and _)",)

    def decode(self, word: str) -> str | None:
        return word if is_name(word) else None


@dataclass(frozen=True, slots=True)
class Pages(Field):
    """A range of a region of the process that the field `proc` names."""

    proc: str = "proc"

    @property
    def expected(self) -> tuple[str, ...]:
        return ("a range such as x, x[3], x[1:5], x[1:] or x[:5]",)

    def decode(self, word: str) -> Any:
        return decode_range(word)

    def encode(self, value: Any) -> str:
        return encode_range(value)


@dataclass(frozen=True, slots=True)
class Byte(Field):
    """0..255."""

    @property
    def expected(self) -> tuple[str, ...]:
        return ("a byte (0..255 or 0x00..0xff)",)

    def decode(self, word: str) -> int | None:
        value = int(word, 0 if word[:2] in ("0x", "0X") else 10) if _BYTE.fullmatch(word) else -1
        return value if 0 <= value <= 0xFF else None

    def encode(self, value: Any) -> str:
        return f"0x{value:02x}"


@dataclass(frozen=True, slots=True)
class Number(Field):
    """what: what is counted; from `least` to `most`."""

    what: str
    least: int
    most: int

    @property
    def expected(self) -> tuple[str, ...]:
        return (f"{self.what} ({self.least} to {self.most})",)

    def decode(self, word: str) -> int | None:
        return int(word) if _NUMBER.fullmatch(word) and self.least <= int(word) <= self.most else None


@dataclass(frozen=True, slots=True)
class Word(Field):
    """One of some words, each of which is a value of the field.  what: what to expect, where it is not all of them."""

    words: Mapping[str, Any]
    what: str = ""

    @property
    def expected(self) -> tuple[str, ...]:
        return (self.what,) if self.what else tuple(self.words)

    def decode(self, word: str) -> Any:
        return self.words.get(word)

    def encode(self, value: Any) -> str:
        return next(word for word, meant in self.words.items() if meant == value)


@dataclass(frozen=True, slots=True)
class Matching(Field):
    """A word of a certain shape.  what: what it is."""

    what: str
    shape: re.Pattern[str]

    @property
    def expected(self) -> tuple[str, ...]:
        return (self.what,)

    def decode(self, word: str) -> str | None:
        return word if self.shape.fullmatch(word) else None


class Option(Protocol):
    """Something that may stand anywhere after the parts, once."""

    @property
    def usage(self) -> str: ...
    @property
    def words(self) -> tuple[str, ...]:
        """The words that it begins with."""

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        """As Part.read; the next token is one of `words`."""

    def show(self, step: object) -> str | None:
        """As Part.show; None: left out, being the default."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of some words, each of which is a value of the field; the default is not printed."""

    name: str
    values: Mapping[str, Any]
    default: Any

    @property
    def usage(self) -> str:
        return "[" + "|".join(self.values) + "]"

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.values)

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        token = line.word()
        values[self.name] = self.values[token.text]
        columns[self.name] = token.column

    def show(self, step: object) -> str | None:
        value = getattr(step, self.name)
        return None if value == self.default else next(word for word, v in self.values.items() if v == value)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A word, then a field."""

    word: str
    part: Field
    default: Any = None

    @property
    def usage(self) -> str:
        return f"[{self.word} {self.part.usage}]"

    @property
    def words(self) -> tuple[str, ...]:
        return (self.word,)

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        line.word()
        self.part.read(line, values, columns)

    def show(self, step: object) -> str | None:
        shown = None if getattr(step, self.part.name) == self.default else self.part.show(step)
        return None if shown is None else f"{self.word} {shown}"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write one kind of line."""

    parts: tuple[Part, ...]
    options: tuple[Option, ...] = ()
    text: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the form does not write: the parser fills them in afterwards."""

    @property
    def usage(self) -> str:
        """The form as the manual prints it."""
        text = ['["TEXT"]'] if self.text else []
        return " ".join([p.usage for p in self.parts] + [o.usage for o in self.options] + text)

    @property
    def verb(self) -> str:
        """Its first word."""
        return self.parts[0].usage

    @property
    def verbs(self) -> str:
        """The literal words that it begins with, by which a manual calls it, e.g. "direct write"."""
        return " ".join(part.usage for part in takewhile(lambda part: isinstance(part, Literal), self.parts))

    def parse(self, line: Cursor, make: Callable[..., T]) -> tuple[T, Columns]:
        """What `make` makes of the line, and the column of each of its fields.  Raises Mismatch."""
        values: Values = dict(self.fixed)
        columns: Columns = {}
        for part in self.parts:
            part.read(line, values, columns)
        left = list(self.options)
        while option := _beginning_with(line.peek(), left):
            option.read(line, values, columns)
            left.remove(option)
        if self.text:
            values["text"] = line.text()
        if line.peek() is not None:
            words = [word for option in left for word in option.words]
            wants_text = ["a quoted text"] if self.text and values["text"] is None else []
            raise line.mismatch(*words, *wants_text, END_OF_LINE)
        return make(**values), columns

    def show(self, step: object) -> list[str] | None:
        """The words of the step, or None where it is of another form."""
        shown = [part.show(step) for part in self.parts]
        words = [word for word in shown if word is not None]
        if len(words) < len(shown):
            return None
        words += [word for option in self.options if (word := option.show(step)) is not None]
        text = getattr(step, "text") if self.text else None  # noqa: B009
        return [*words, quote(text)] if text is not None else words

    def names(self) -> Iterator[Named]:
        """The parts that name something."""
        return (part for part in self.parts if isinstance(part, Named))

    def pages(self) -> Iterator[Pages]:
        """The parts that are ranges."""
        return (part for part in self.parts if isinstance(part, Pages))


def form(
    *parts: Part | str, options: tuple[Option, ...] = (), text: bool = False, fixed: Mapping[str, Any] = {}
) -> Form:
    """A form, its literal words as they are."""
    return Form(tuple(Literal(part) if isinstance(part, str) else part for part in parts), options, text, fixed)


def words(name: str, usage: str, choices: tuple[str, ...]) -> Word:
    """One of the words, which is the field's value itself."""
    return Word(name, usage, {word: word for word in choices})


def _beginning_with(token: Token | None, options: list[Option]) -> Option | None:
    if token is None or token.is_text:
        return None
    return next((option for option in options if token.text in option.words), None)
