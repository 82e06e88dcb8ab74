"""C as the kernel writes it: which function a line is in, told by what stands at the beginnings of lines.

A function's first line begins in the first column and has its name before a parenthesis; its body ends with a } in the
first column.  So does the table by which page tables are walked (`struct mm_walk_ops`), and a macro ends where no
backslash says that it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_MACRO = re.compile(r"#\s*define\s+(\w+)(\()?")
_TABLE = re.compile(r"[^;(){}]*\bstruct mm_walk_ops (\w+)\s*=\s*\{")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_SYSCALL = re.compile(r"(?:COMPAT_)?SYSCALL_DEFINE\d\(\s*(\w+)")
_ATTRIBUTES = re.compile(
    r"__\w*attribute__|__printf|__acquires|__releases|__must_hold|__cond_acquires|typeof|__aligned"
)
_COMMENT = re.compile(r"\s*(?:/\*|\*(?:\s|/|$)|//)")
_USED = re.compile(r"\b([A-Za-z_]\w*)\s*\(|&([A-Za-z_]\w*)\b(?!->)|^\s+\.\w+\s*=\s*([A-Za-z_]\w*),")

Line = tuple[str, bool]
"""A line, and whether it is of interest."""


def named(line: str) -> str:
    """The function whose definition, or declaration, begins with this line; "": none does."""
    if not (line[:1].isalpha() or line[:1] == "_"):
        return ""
    if found := _SYSCALL.match(line):
        return found[1]
    head = line.partition("=")[0]
    names = (name for name in _CALLED.findall(head) if not _ATTRIBUTES.fullmatch(name))
    return next(names, "")


def places(lines: Iterable[str], inside: str = "") -> Iterator[str]:
    """Of each line the function, table or macro that it is in, "" outside of all.  inside: what the first line may be
    in, known from elsewhere."""
    reader = _Reader(inside)
    for line in lines:
        yield from reader.read(line.rstrip())
    yield from [reader.opening] * reader.waiting


class _Reader:
    """inside: what the line is in.  opening: the function that begins, if a body follows: what ends with a semicolon
    was a declaration; so many lines wait to know it.  macro: the one that goes on."""

    def __init__(self, inside: str) -> None:
        self.inside = inside
        self.opening = self.macro = ""
        self.waiting = 0

    def read(self, text: str) -> list[str]:
        """The places of this line, and of those that have waited for it."""
        if self.opening:
            return self._head(text)
        if self.macro or _MACRO.match(text):
            return [self._of_macro(text)]
        if text.startswith("}"):
            before, self.inside = self.inside, ""
            return [before]
        if table := _TABLE.match(text):
            self.inside = "" if "}" in text else table[1]
            return [table[1]]
        if name := named(text):
            return self._begins(name, text)
        if _ends(text):
            self.inside = ""
        return [self.inside]

    def _of_macro(self, text: str) -> str:
        if start := _MACRO.match(text):
            self.macro = start[1] if start[2] else ""
        place = self.macro or self.inside
        if not text.endswith("\\"):
            self.macro = ""
        return place

    def _begins(self, name: str, text: str) -> list[str]:
        self.inside = ""
        if text.endswith(";"):
            return [""]
        if text.endswith(("{", "}")):
            self.inside = name if text.endswith("{") else ""
            return [name]
        self.opening, self.waiting = name, 1
        return []

    def _head(self, text: str) -> list[str]:
        self.waiting += 1
        body = "{" in text
        if not body and text and not text.endswith(";") and not text.startswith("}"):
            return []
        found = [self.opening if body else ""] * self.waiting
        self.inside = self.opening if body and not text.endswith("}") else ""
        self.opening, self.waiting = "", 0
        return found


def _ends(text: str) -> bool:
    """Whether no function has such a line: a comment, a type or a variable that begin in the first column.  A label
    does too, and one is of a function."""
    if text.startswith(("/*", " *")):
        return True
    return (text[:1].isalpha() or text[:1] == "_") and not re.fullmatch(r"\w+:(?:\s.*)?", text)


def says_something(line: str) -> bool:
    """Whether it is neither empty nor of a comment alone."""
    return bool(line.strip()) and not _COMMENT.match(line)


def uses(text: str) -> dict[str, set[str]]:
    """Of each function, table and macro of a file what it calls, and whose address it gives away or has."""
    found: dict[str, set[str]] = {}
    lines = text.splitlines()
    for line, place in zip(lines, places(lines), strict=True):
        if place and not _COMMENT.match(line):
            found.setdefault(place, set()).update(name for names in _USED.findall(line) for name in names if name)
    return found
