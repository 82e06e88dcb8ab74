"""Macros that a file sees: its own #define lines and those of the headers that it includes, as a release decides them.

Where an #if that nobody decides has several definitions, all count, each under its condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pinhold.audit.values import Condition

MOST_INCLUDES = 60
MOST_BYTES = 1 << 20
LARGEST = 256 << 10
LONGEST = 2000
"""Headers of one file, their bytes, and those of one, as lists of registers are larger; and characters of a macro with
its arguments."""

_DEFINE = re.compile(r"\s*(\w+)(\(([^()]*)\))?\s*(.*)", re.S)
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)|//[^\n]*", re.S)
_INCLUDE = re.compile(rb'\s*(?:"([^"\n]+)"|<([^>\n]+)>)')
_NAME = re.compile(rb"\s*(\w+)")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(|^\W*(\w+)\W*$")


@lru_cache(1 << 16)
def _calls(body: str) -> frozenset[str]:
    return frozenset(one or other for one, other in _CALLED.findall(body))


@dataclass(frozen=True, slots=True)
class Macro:
    """One #define.  parameters: None for a macro without parentheses; defined: not for #undef; when: its #ifs."""

    name: str
    parameters: tuple[str, ...] | None = None
    body: str = ""
    defined: bool = True
    when: tuple[Condition, ...] = ()

    @property
    def calls(self) -> frozenset[str]:
        """The names that its text calls, or the one name that it is."""
        return _calls(self.body) if self.body and not self.body[0].isdigit() else frozenset()

    def expanded(self, arguments: list[str]) -> str | None:
        """Its text with these arguments; None where they do not fit."""
        if self.parameters is None:
            return f"{self.body}({', '.join(arguments)})" if self.body.isidentifier() else None
        own = [one for one in self.parameters if one != "..."]
        if len(arguments) < len(own) or (len(arguments) > len(own) and own == list(self.parameters)):
            return None
        given = dict(zip(own, arguments, strict=False))
        given["__VA_ARGS__"] = ", ".join(arguments[len(own) :])
        made = re.sub(r"\b\w+\b", lambda match: given.get(match[0], match[0]), self.body).replace("##", "")
        return made if len(made) <= LONGEST else None


Header = Callable[[str, str], tuple[str, bytes] | None]
"""From the path of a file and what it includes to the path and text of that, where the tree has it."""


@dataclass(eq=False)
class Macros:
    """What is defined at the end of a file.  included: the headers that were read for it."""

    path: str = ""
    header: Header = lambda path, name: None
    known: dict[str, tuple[Macro, ...]] = field(default_factory=dict)
    included: dict[str, bytes] = field(default_factory=dict)
    size: int = 0

    def of(self, name: str) -> tuple[Macro, ...]:
        """The definitions of a name that may be the one."""
        return tuple(one for one in self.known.get(name, ()) if one.defined)

    def defined(self, name: str) -> bool | None:
        """None: nobody knows."""
        found = self.known.get(name)
        if found is None or len({one.defined for one in found}) > 1:
            return None
        return found[0].defined

    def constants(self) -> dict[str, str]:
        """The macros that have one text."""
        return {name: found[0].body for name, found in self.known.items()
                if len(found) == 1 and found[0].defined and found[0].parameters is None}  # fmt: skip

    def functions(self) -> dict[str, Macro]:
        """The macros with arguments that have one text."""
        return {name: found[0] for name, found in self.known.items()
                if len(found) == 1 and found[0].defined and found[0].parameters is not None}  # fmt: skip

    def define(self, rest: bytes, when: tuple[Condition, ...]) -> None:
        """#define in live lines, under what nobody decides."""
        words = rest.decode("latin1")
        if "\\" in words:
            words = words.replace("\\\r\n", " ").replace("\\\n", " ")
        match = _DEFINE.fullmatch(words)
        if match is None:
            return
        parameters = None if match[2] is None else tuple(one.strip() for one in match[3].split(",") if one.strip())
        body = " ".join((_COMMENT.sub(" ", match[4]) if "/" in match[4] else match[4]).split())
        self._add(Macro(match[1], parameters, body, True, when))

    def undefine(self, rest: bytes, when: tuple[Condition, ...]) -> None:
        """#undef."""
        self._add(Macro(rest.decode("latin1").strip().partition(" ")[0], defined=False, when=when))

    def dead(self, rest: bytes) -> None:
        """A #define in lines that are dead: so the tree knows the name, and it is not defined."""
        match = _DEFINE.match(rest.decode("latin1"))
        if match is not None and match[1] not in self.known:
            self._add(Macro(match[1], defined=False))

    def _add(self, made: Macro) -> None:
        kept: tuple[Macro, ...] = ()
        if made.when:
            old = self.known.get(made.name, (Macro(made.name, defined=False),))
            inner = made.when[-1]
            kept = tuple(replace(one, when=(*one.when, inner.negated())) for one in old
                         if inner not in one.when)  # fmt: skip
        self.known[made.name] = (*kept[-8:], made)

    def include(self, path: str, rest: bytes) -> tuple[str, bytes] | None:
        """The header of an #include line, where it is in the tree and was not read yet."""
        match = _INCLUDE.match(rest)
        if match is None or len(self.included) >= MOST_INCLUDES or self.size > MOST_BYTES:
            return None
        found = self.header(path, (match[1] or b"<" + match[2]).decode("latin1"))
        if found is None or found[0] in self.included or found[0] == self.path or len(found[1]) > LARGEST:
            return None
        self.included[found[0]] = found[1]
        self.size += len(found[1])
        return found
