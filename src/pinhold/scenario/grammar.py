"""The grammar of the scenario language: one table, FORMS, from which parser, printer and usage lines work.

A form is the way one step is written: parts in fixed order, then options in any order, then perhaps a quoted text.
Each part knows how to read itself from a line, how to show itself from a step, and what to call itself in an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pinhold.scenario import step as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.bounds import MAX_ADVANCE, MAX_CHANCE, MAX_MEMLOCK, MAX_NAME, MAX_PAGES
from pinhold.scenario.errnos import ERRNO, OK
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS
from pinhold.scenario.small import BOUNDS, DEFAULTS, SWITCHES, Small
from pinhold.scenario.tokens import END_OF_LINE, Cursor, Mismatch, Token, quote, quoted

NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}", re.ASCII)
RESERVED = ("errno", "sees", "sound")
"""Words that tell the forms of `expect` apart, and so cannot name anything."""
_RANGE = re.compile(r"([A-Za-z_]\w*)(?:\[(?:(\d{1,9})|(\d{0,9}):(\d{0,9}))\])?", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}", re.ASCII)
_BYTE = re.compile(r"0[xX][0-9a-fA-F]{1,2}|\d{1,3}", re.ASCII)
_MECHANISM = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}", re.ASCII)

Values = dict[str, Any]
Columns = dict[str, int]


class Part(Protocol):
    """Something that stands at a fixed place of a form."""

    @property
    def usage(self) -> str: ...

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        """Take tokens from the line into the step's fields.  Raises Mismatch."""

    def show(self, step: s.Step) -> str | None:
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

    def show(self, step: s.Step) -> str | None:
        return self.usage


@dataclass(frozen=True, slots=True)
class Field:
    """One token that is one field of the step.

    decode gives the value of a token or None where the token is no such thing; encode is its inverse.
    """

    name: str
    usage: str
    expected: tuple[str, ...]
    decode: Callable[[str], Any]
    encode: Callable[[Any], str] = str

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        token = line.word(*self.expected)
        value = self.decode(token.text)
        if value is None:
            raise Mismatch(token.column, self.expected, quoted(token.text))
        values[self.name] = value
        columns[self.name] = token.column

    def show(self, step: s.Step) -> str | None:
        value = getattr(step, self.name)
        return None if value is None else self.encode(value)


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a fresh region, with the page size where it is hugetlb."""

    usage: str = "KIND"

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        _KIND.read(line, values, columns)
        if KINDS[values["kind"]].hugetlb:
            _SIZE.read(line, values, columns)

    def show(self, step: s.Step) -> str | None:
        assert isinstance(step, s.Map)
        return f"{step.kind} {step.size}" if step.size else step.kind


@dataclass(frozen=True, slots=True)
class Started:
    """A whole step, to the end of the line, of a kind that can be started."""

    usage: str = "STEP"

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        column, verb = line.column, line.peek()
        if verb is None or verb.text not in startable_verbs():
            raise line.mismatch(*startable_verbs())
        inner, inner_columns = parse_step(line.rest())
        line.skip()
        values["step"] = inner
        columns |= inner_columns | {"step": column}

    def show(self, step: s.Step) -> str | None:
        assert isinstance(step, s.Start)
        return " ".join(show_step(step.step))


class Option(Protocol):
    """Something that may stand anywhere after the parts, once."""

    @property
    def usage(self) -> str: ...
    @property
    def words(self) -> tuple[str, ...]:
        """The words that it begins with."""

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        """As Part.read; the next token is one of `words`."""

    def show(self, step: s.Step) -> str | None:
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

    def show(self, step: s.Step) -> str | None:
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

    def show(self, step: s.Step) -> str | None:
        shown = None if getattr(step, self.part.name) == self.default else self.part.show(step)
        return None if shown is None else f"{self.word} {shown}"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write one kind of step."""

    step: Callable[..., s.Step]
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

    def parse(self, line: Cursor) -> tuple[s.Step, Columns]:
        """The step that the line states, and the column of each of its fields.  Raises Mismatch."""
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
        return self.step(**values), columns

    def show(self, step: s.Step) -> list[str] | None:
        """The words of the step, or None where it is of another form."""
        shown = [part.show(step) for part in self.parts]
        words = [word for word in shown if word is not None]
        if len(words) < len(shown):
            return None
        words += [word for option in self.options if (word := option.show(step)) is not None]
        text = getattr(step, "text", None)
        return [*words, quote(text)] if text is not None else words


def _beginning_with(token: Token | None, options: list[Option]) -> Option | None:
    if token is None or token.is_text:
        return None
    return next((option for option in options if token.text in option.words), None)


def _name(word: str) -> str | None:
    return word if NAME.fullmatch(word) and word not in RESERVED else None


def decode_range(word: str) -> s.Range | None:
    """x, x[3], x[1:5], x[1:] or x[:5]; None for anything else, and for a range without pages."""
    match = _RANGE.fullmatch(word)
    if match is None or _name(match[1]) is None:
        return None
    region, page, first, end = match.groups()
    if page is not None:
        return s.Range(region, int(page), int(page) + 1)
    if first is None:
        return s.Range(region)
    if not first and not end:
        return None
    found = s.Range(region, int(first or 0), int(end) if end else None)
    return None if found.end is not None and found.end <= found.first else found


def encode_range(range: s.Range) -> str:
    """The inverse of decode_range, in the shortest way."""
    if range.end is None:
        return f"{range.region}[{range.first}:]" if range.first else range.region
    if range.end == range.first + 1:
        return f"{range.region}[{range.first}]"
    return f"{range.region}[{range.first or ''}:{range.end}]"


def _byte(word: str) -> int | None:
    value = int(word, 0 if word[:2] in ("0x", "0X") else 10) if _BYTE.fullmatch(word) else -1
    return value if 0 <= value <= 0xFF else None


def _number(most: int, least: int = 1) -> Callable[[str], int | None]:
    def decode(word: str) -> int | None:
        return int(word) if _NUMBER.fullmatch(word) and least <= int(word) <= most else None

    return decode


def _named(name: str, usage: str, what: str) -> Field:
    return Field(name, usage, (f"{what} (a name of at most {MAX_NAME} letters, digits and _)",), _name)


def _one_of(name: str, usage: str, words: tuple[str, ...]) -> Field:
    return Field(name, usage, words, lambda word: word if word in words else None)


def _range(name: str, usage: str) -> Field:
    return Field(name, usage, ("a range such as x, x[3], x[1:5], x[1:] or x[:5]",), decode_range, encode_range)


_KIND = _one_of("kind", "KIND", tuple(KINDS))
_SIZE = _one_of("size", "SIZE", HUGETLB_SIZES)
_SWITCH = Field("ipc_lock", "on|off", ("on", "off"), {"on": True, "off": False}.get, lambda on: "on" if on else "off")
_PROC = _named("proc", "PROC", "a process")
_REGION = _named("region", "REGION", "a region")
_PIN = _named("pin", "PIN", "a pin")
_RANGE_PART = _range("range", "RANGE")
_BYTE_PART = Field("byte", "BYTE", ("a byte (0..255 or 0x00..0xff)",), _byte, "0x{:02x}".format)
_PROT = _one_of("prot", "|".join(s.PROTS), s.PROTS)
_MAP_OPTIONS = (
    Chosen("shared", {"shared": True, "private": False}, False),
    Chosen("prot", {prot: prot for prot in s.PROTS}, "rw"),
    Chosen("readonly", {"readonly": True}, False),
)
_PAGES = Field("pages", "N", (f"a number of pages (1 to {MAX_PAGES})",), _number(MAX_PAGES))
_MEMLOCK = Field("pages", "PAGES", (f"a number of pages (0 to {MAX_MEMLOCK})",), _number(MAX_MEMLOCK, 0))
_VIA = Field("via", "MECHANISM", ("the name of a pin mechanism",), lambda w: w if _MECHANISM.fullmatch(w) else None)
_ERRNO = Field(
    "errno", "ERRNO", ("OK or the name of an errno such as EINVAL",), lambda w: w if w in ERRNO or w == OK else None
)


_TASK = _named("task", "TASK", "a task")
_STEPS = Field("steps", "N", (f"a number of steps (1 to {MAX_ADVANCE})",), _number(MAX_ADVANCE))
_CHANCE = Field("chance", "N", (f"a number (0 to {MAX_CHANCE})",), _number(MAX_CHANCE, 0))


def _bound(name: str, least: int, most: int) -> Keyed:
    return Keyed(name, Field(name, "N", (f"a number ({least} to {most})",), _number(most, least)), DEFAULTS[name])


def _flag(name: str) -> Chosen:
    return Chosen(name, {name: True}, False)


FORMS: tuple[Form, ...] = (
    # The form of a second mapping stands before that of a fresh one: a Map with `of` shows itself in both.
    Form(
        s.Map,
        (Literal("map"), _PROC, _REGION, Literal("of"), _named("of", "REGION", "a region")),
        _MAP_OPTIONS,
        fixed={"kind": ""},
    ),
    Form(s.Map, (Literal("map"), _PROC, _REGION, Kind()), (*_MAP_OPTIONS, Keyed("pages", _PAGES))),
    Form(s.Unmap, (Literal("unmap"), _PROC, _RANGE_PART)),
    Form(s.Read, (Literal("read"), _PROC, _RANGE_PART)),
    Form(s.Write, (Literal("write"), _PROC, _RANGE_PART, _BYTE_PART)),
    Form(s.Fork, (Literal("fork"), _PROC, _named("child", "CHILD", "a process"))),
    Form(s.Exit, (Literal("exit"), _PROC)),
    Form(s.Mprotect, (Literal("mprotect"), _PROC, _RANGE_PART, _PROT)),
    Form(s.Madvise, (Literal("madvise"), _PROC, _RANGE_PART, _one_of("advice", "ADVICE", tuple(ADVICE)))),
    Form(s.Mremap, (Literal("mremap"), _PROC, _RANGE_PART, Literal("to"), _named("to", "REGION", "a region"))),
    Form(s.SwapOut, (Literal("swapout"), _PROC, _RANGE_PART)),
    Form(s.SwapIn, (Literal("swapin"), _PROC, _RANGE_PART)),
    Form(s.UffdioContinue, (Literal("uffdio_continue"), _PROC, _RANGE_PART)),
    Form(s.Writeback, (Literal("writeback"), _PROC, _RANGE_PART)),
    Form(s.NumaHint, (Literal("numa_hint"), _PROC, _RANGE_PART)),
    Form(
        s.Ksm,
        (
            Literal("ksm"),
            _PROC,
            _RANGE_PART,
            Literal("with"),
            _named("other_proc", "PROC", "a process"),
            _range("other_range", "RANGE"),
        ),
    ),
    Form(s.ClearSoftDirty, (Literal("clear_softdirty"), _PROC)),
    Form(s.Drain, (Literal("drain"),)),
    Form(s.LimitMemlock, (Literal("memlock"), _PROC, _MEMLOCK)),
    Form(s.Capability, (Literal("capability"), _PROC, Literal("ipc_lock"), _SWITCH)),
    Form(
        s.Pin,
        (Literal("pin"), _PROC, _RANGE_PART, Literal("as"), _PIN),
        (
            *(_flag(name) for name in ("write", "longterm", "force", "fast")),
            Keyed("user", _one_of("user", "|".join(s.PIN_USERS), s.PIN_USERS), "none"),
            Keyed("via", _VIA),
        ),
    ),
    Form(s.Unpin, (Literal("unpin"), _PIN)),
    Form(s.Vmsplice, (Literal("vmsplice"), _PROC, _RANGE_PART, Literal("as"), _PIN)),
    Form(s.IoUring, (Literal("io_uring"), _PROC, _RANGE_PART, Literal("as"), _PIN)),
    Form(s.ProcessVmReadv, (Literal("process_vm_readv"), _PROC, _RANGE_PART, Literal("as"), _PIN)),
    Form(s.ProcessVmWritev, (Literal("process_vm_writev"), _PROC, _RANGE_PART, _BYTE_PART)),
    Form(s.DirectWrite, (Literal("direct"), Literal("write"), _PROC, _RANGE_PART, Literal("as"), _PIN)),
    Form(s.DirectRead, (Literal("direct"), Literal("read"), _PROC, _RANGE_PART, _BYTE_PART)),
    Form(
        s.Poke,
        (Literal("poke"), _PROC, _RANGE_PART, _BYTE_PART),
        (Keyed("via", _one_of("via", "|".join(s.POKES), s.POKES)),),
    ),
    Form(s.DeviceRead, (Literal("device"), Literal("read"), _PIN)),
    Form(s.DeviceWrite, (Literal("device"), Literal("write"), _PIN, _BYTE_PART)),
    Form(s.Start, (Literal("start"), _TASK, Started())),
    Form(s.Advance, (Literal("advance"), _TASK), (Keyed("steps", _STEPS, 1), Keyed("chance", _CHANCE, 0))),
    Form(s.Settle, (Literal("settle"),)),
    Form(
        s.Require, (Literal("require"), _PROC, _RANGE_PART, _one_of("state", "|".join(s.STATES), s.STATES)), text=True
    ),
    Form(s.ExpectSound, (Literal("expect"), Literal("sound")), text=True),
    Form(s.ExpectErrno, (Literal("expect"), Literal("errno"), _ERRNO), text=True),
    Form(s.ExpectPinSees, (Literal("expect"), _PIN, Literal("sees"), _PROC, _RANGE_PART), text=True),
    Form(s.ExpectPinByte, (Literal("expect"), _PIN, _BYTE_PART), text=True),
    Form(
        s.ExpectFrame,
        (
            Literal("expect"),
            _PROC,
            _RANGE_PART,
            _one_of("relation", "|".join(s.FRAME_RELATIONS), s.FRAME_RELATIONS),
            _named("other_proc", "PROC", "a process"),
            _range("other_range", "RANGE"),
        ),
        text=True,
    ),
    Form(s.ExpectByte, (Literal("expect"), _PROC, _RANGE_PART, _BYTE_PART), text=True),
)

SMALL = Form(
    Small,  # type: ignore[arg-type]
    (Literal("small"),),
    (*(_bound(name, *bounds) for name, bounds in BOUNDS.items()), *(_bound(name, 0, 1) for name in SWITCHES)),
)
"""The line that says which small machine a scenario with a schedule is for."""

BY_VERB: dict[str, tuple[Form, ...]] = {}
for _form in FORMS:
    _verb = _form.parts[0].usage
    BY_VERB[_verb] = (*BY_VERB.get(_verb, ()), _form)

VERBS = ("scenario", "watch", "xfail", "vm_only", "small", *BY_VERB)
"""The first words of lines."""


def startable_verbs() -> tuple[str, ...]:
    """The first words of what `start` takes."""
    return tuple(verb for verb, forms in BY_VERB.items() if all(form.step in s.STARTABLE for form in forms))


def parse_step(line: Cursor) -> tuple[s.Step, Columns]:
    """The step that one line states, and the column of each field.

    Where several forms begin alike and none fits, the error tells what the ones that came furthest expected.
    """
    verb = line.peek()
    if verb is None or verb.is_text or verb.text not in BY_VERB:
        raise line.mismatch(*VERBS)
    failures: list[Mismatch] = []
    for form in BY_VERB[verb.text]:
        try:
            return form.parse(line.rewound())
        except Mismatch as failure:
            failures.append(failure)
    furthest = max(failure.column for failure in failures)
    last = [failure for failure in failures if failure.column == furthest]
    raise Mismatch(furthest, [e for failure in last for e in failure.expected], last[0].found)


def show_step(step: s.Step) -> list[str]:
    """The words of the line that states the step."""
    for form in FORMS:
        if form.step is type(step) and (words := form.show(step)) is not None:
            return words
    raise TypeError(f"no form for {step!r}")
