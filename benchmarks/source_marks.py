"""Which kernel source has which change: the marks of tests/model/backports.toml looked for in sources.

    python benchmarks/source_marks.py DIRECTORY

DIRECTORY has X.Y for each series: the unpacked source of one X.Y.Z, such as that of Debian's package linux-source-X.Y.
A mark is a name that a source has only with the change, or only without it.  Prints what differs from what the table's
releases say; ends with 1 if anything does.  A change whose title is wrong is not in any changelog, and is found here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from changelogs import read_table

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
    """Whether the source has one of the mark's names, in one of its files (and there, in one of its functions)."""
    texts = [(tree / file).read_text(errors="replace") for file in mark["files"] if (tree / file).exists()]
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


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not list(Path(arguments[0]).glob("[0-9]*.[0-9]*/Makefile")):
        print(__doc__, file=sys.stderr)
        return 3
    told = differences(Path(arguments[0]))
    print("\n".join(told) or f"{sum('mark' in change for change in read_table().values())} marks: as the table says.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
