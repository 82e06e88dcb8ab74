"""What sources of the kernel say: the marks of tests/model/backports.toml looked for in them, and the lines that the
files of evidence name (src/pinhold/mm/releases/).

    python benchmarks/source_marks.py DIRECTORY

DIRECTORY has X.Y for each series: the unpacked source of one X.Y.Z, such as that of Debian's package linux-source-X.Y.
A mark is a name that a source has only with the change, or only without it.  Prints what differs from what the table's
releases say; ends with 1 if anything does.  A change whose title is wrong is not in any changelog, and is found here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from changelogs import read_table
from pinhold.mm.releases.evidence import Source
from pinhold.mm.releases.files import FOLDER, load

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_RELEASE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", re.MULTILINE)


def release(makefile: str) -> tuple[int, int, int]:
    """The X, Y and Z of a kernel's Makefile."""
    numbers = {name: int(value) for name, value in _RELEASE.findall(makefile)}
    return numbers["VERSION"], numbers["PATCHLEVEL"], numbers["SUBLEVEL"]


def bodies(text: str, functions: Sequence[str]) -> str:
    """What stands in the functions of these names, as far as the file defines them."""
    found = []
    for function in functions:
        for start in re.finditer(rf"^[A-Za-z_][^;{{}}()#]*?\b{re.escape(function)}\([^;{{]*?\)[^;{{(]*{{", text, re.M):
            found.append(text[start.end() : text.find("\n}", start.end())])
    return "\n".join(found)


def named(tree: Path, mark: Mapping[str, Any]) -> bool:
    """Whether the source has one of the mark's names, in one of its files (and there, in one of its functions),
    comments left out."""
    files = [tree / file for file in mark["files"] if (tree / file).exists()]
    texts = [_COMMENT.sub("", file.read_text(errors="replace")) for file in files]
    if "functions" in mark:
        texts = [bodies(text, mark["functions"]) for text in texts]
    names = "|".join(re.escape(name) for name in mark["names"])
    return any(re.search(rf"\b(?:{names})\b", text) for text in texts)


def expected(change: Mapping[str, Any], number: tuple[int, int, int]) -> bool | None:
    """Whether X.Y.Z has the change, by the table; None where the table does not say, or the mark does not tell."""
    series, mark = number[:2], change["mark"]
    if not _parts(mark.get("from", "0.0")) <= series < _parts(mark.get("until", "99.0")):
        return None
    if "since" in change and _parts(change["since"]) <= series:
        return True
    first = {**change["stable"], **change.get("also", {})}.get(f"{series[0]}.{series[1]}")
    if first is None:
        return False if "since" in change else None
    return first != "" and _parts(first) <= number


def differences(directory: Path) -> list[str]:
    """What the table says otherwise than the sources that are there, a sentence each."""
    told = []
    for makefile in sorted(directory.glob("[0-9]*.[0-9]*/Makefile")):
        number = release(makefile.read_text())
        for title, change in read_table().items():
            if "mark" not in change or (has := expected(change, number)) is None:
                continue
            mark = change["mark"]
            if (named(makefile.parent, mark) != mark.get("gone", False)) != has:
                which = "has it here, but not" if has else "does not have it here, but"
                names = " or ".join(mark["names"])
                told.append(f"{'.'.join(map(str, number))}: {title}: {which} by {names} in {', '.join(mark['files'])}")
    return told


def wrong(tree: Path, evidence: Source) -> str:
    """What a source has otherwise than the evidence says, "" for nothing.  Comments do not count."""
    if not (tree / evidence.file).exists():
        return f"there is no {evidence.file}"
    text = _COMMENT.sub(
        lambda comment: re.sub(r"[^\n]", " ", comment[0]), (tree / evidence.file).read_text(errors="replace")
    )
    for start, end in spans(text, evidence.function):
        first, last = (text.count("\n", 0, place) + 1 for place in (start, end))
        if first <= evidence.line <= last:
            there = text.splitlines()[evidence.line - 1]
            if not re.search(rf"\b{re.escape(evidence.has or evidence.function)}\b", there):
                return f"line {evidence.line} has no {evidence.has or evidence.function}"
            named = (name for name in evidence.lacks if re.search(rf"\b{re.escape(name)}\b", text[start:end]))
            return next((f"it has {name}" for name in named), "")
    return f"line {evidence.line} is not in {evidence.function}"


def spans(text: str, function: str) -> Iterator[tuple[int, int]]:
    """Where a function, or a macro of one line, is defined in a file: from its name on to its end."""
    name = re.escape(function)
    for start in re.finditer(rf"^[A-Za-z_][^;{{}}()#]*?\b({name})\([^;{{]*?\)[^;{{(]*{{", text, re.M):
        yield start.start(1), text.find("\n}", start.end())
    for start in re.finditer(rf"^#[ \t]*define[ \t]+({name})\b.*$", text, re.M):
        yield start.start(1), start.end()


def evidence_differences(directory: Path) -> list[str]:
    """What the sources that are there have otherwise than the files of evidence say, a sentence each."""
    told = []
    for path in sorted(FOLDER.rglob("*.toml")):
        file = load(path)
        makefile = directory / file.release / "Makefile"
        if not makefile.exists() or not file.read:
            continue
        if release(makefile.read_text()) != _parts(file.read):
            told.append(f"{path.name}: read in {file.read}; {makefile.parent} is another one")
            continue
        for name, held in file.held.items():
            if isinstance(held.evidence, Source) and (why := wrong(makefile.parent, held.evidence)):
                told.append(f"{path.name}: {name}: {held.evidence.file}: {why}")
    return told


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not list(Path(arguments[0]).glob("[0-9]*.[0-9]*/Makefile")):
        print(__doc__, file=sys.stderr)
        return 3
    told = [*differences(Path(arguments[0])), *evidence_differences(Path(arguments[0]))]
    marks = sum("mark" in change for change in read_table().values())
    print("\n".join(told) or f"{marks} marks and the lines of the files of evidence: as they say.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
