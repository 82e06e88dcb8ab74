"""A unified diff, as `git diff`, `git format-patch` and `diff -u` write it: of each file the hunks, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST = 16 << 20
"""Bytes of a diff."""


class BadDiff(ValueError):
    """What was given is no unified diff; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """old, new: the number of its first line in the file before and after, from 1; heading: what stands behind the
    second @@; lines: each with its mark, " ", "-" or "+"."""

    old: int
    new: int
    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class File:
    """path: in the kernel's tree, after the change; of a file that goes, before."""

    path: str
    hunks: tuple[Hunk, ...]


_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
_NOTHING = "/dev/null"


def parse(data: bytes) -> list[File]:
    """The files of a diff; none where it is empty.  Raises BadDiff."""
    if len(data) > MOST:
        raise BadDiff(f"it is larger than {MOST >> 20} MiB; git diff -- mm leaves out what is not of mm/")
    if b"\0" in data:
        raise BadDiff("it is a binary file")
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    files = list(_files(lines))
    if data.strip() and not files and not any(line.startswith("diff --git ") for line in lines):
        raise BadDiff("it has no hunk, a line that begins with @@: make it by git diff or diff -u")
    return files


def _files(lines: Sequence[str]) -> Iterator[File]:
    """Each file that has hunks: what stands between hunks, as the words of a mail, is passed over."""
    before = path = ""
    hunks: list[Hunk] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("--- ") and lines[at + 1 : at + 2] and lines[at + 1].startswith("+++ "):
            if hunks:
                yield File(path, tuple(hunks))
            before, after = _path(line[4:]), _path(lines[at + 1][4:])
            path, hunks = before if after == _NOTHING else after, []
            at += 2
        elif match := _HUNK.match(line):
            if not path:
                raise BadDiff(f"line {at + 1}: a hunk of no file: there is no line +++ before it")
            hunk, at = _hunk(lines, at, match)
            hunks.append(hunk)
        elif line.startswith("@@@ "):
            raise BadDiff(f"line {at + 1}: it is the combined diff of a merge: give one against one parent")
        else:
            at += 1
    if hunks:
        yield File(path, tuple(hunks))


def _hunk(lines: Sequence[str], at: int, match: re.Match[str]) -> tuple[Hunk, int]:
    """The hunk that begins at a line, and the line behind it."""
    old, new = (int(match[group] or 1) for group in (2, 4))
    first, found = at, list[str]()
    while old > 0 or new > 0:
        at += 1
        line = lines[at] if at < len(lines) else None
        mark = " " if line == "" else line[:1] if line else ""  # mails lose blanks at the end of a line
        if line is None or mark not in " -+\\" or (line == "" and at == len(lines) - 1):
            raise BadDiff(f"line {first + 1}: the hunk is cut off at line {at + 1}")
        if mark == "\\":  # no newline at the end of the file
            continue
        old -= mark in " -"
        new -= mark in " +"
        found.append(line or " ")
    if old < 0 or new < 0:
        raise BadDiff(f"line {first + 1}: the hunk has other lines than it says")
    return Hunk(int(match[1]), int(match[3]), match[5].strip(), tuple(found)), at + 1


def _path(text: str) -> str:
    """Of a line --- or +++: without its time and git's first folder."""
    name = text.partition("\t")[0].strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if name == _NOTHING:
        return name
    return re.sub(r"^(?:[abiwco]|[^/]*linux[^/]*)/", "", name)
