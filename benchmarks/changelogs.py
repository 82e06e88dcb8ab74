"""Which stable release took which change back: tests/model/backports.toml beside Debian's changelogs of the kernel.

    python benchmarks/changelogs.py DIRECTORY

DIRECTORY has changelog-X.Y.gz for each stable series: the changelog of Debian's package linux-source-X.Y, which lists
the changes of every X.Y.Z by their titles.  Prints what differs; ends with 1 if anything does.
"""

from __future__ import annotations

import gzip
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "tests" / "model" / "backports.toml"
UNTITLED = "("
"""How the key of a change begins whose title is not known."""

_RELEASE = re.compile(r"    https?://\S*/ChangeLog-(\d+\.\d+(?:\.\d+)?)\s*$")
_ITEM = re.compile(r"    - (?:\[[^]]*\] )?(.*)")
_MORE = re.compile(r"      (\S.*)")


def changes(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(stable release, title with what Debian adds to it) of a changelog, an item of several lines joined."""
    release, title = "", ""
    for line in lines:
        more = _MORE.match(line)
        if title and more:
            title += " " + more[1].rstrip()
            continue
        if title:
            yield release, title
        item, heading = _ITEM.match(line), _RELEASE.match(line)
        title = item[1].rstrip() if item and release else ""
        if heading:
            release = heading[1]
        elif not line.startswith("    "):
            release = ""
    if title:
        yield release, title


def first_releases(lines: Iterable[str], series: str, titles: Iterable[str]) -> dict[str, str]:
    """title -> the first X.Y.Z of the series that lists it; titles that it does not list are left out."""
    wanted, found = tuple(titles), dict[str, str]()
    for release, text in changes(lines):
        if not release.startswith(series + "."):
            continue
        for title in wanted:
            if text == title or text.startswith(f"{title} ("):
                found[title] = min(found.get(title, release), release, key=_number)
    return found


def listed(lines: Iterable[str], series: str) -> set[int]:
    """The Z of the X.Y.Z of a series whose changes a changelog lists."""
    releases = {release for release, _ in changes(lines)}
    return {_number(release)[2] for release in releases if release.startswith(series + ".")}


def differences(directory: Path) -> list[str]:
    """What the table says otherwise than the changelogs that are there, a sentence each."""
    table, told = read_table(), list[str]()
    for file in sorted(directory.glob("changelog-*.gz")):
        series = file.name.removeprefix("changelog-").removesuffix(".gz")
        lines = gzip.decompress(file.read_bytes()).decode(errors="replace").splitlines()
        said = {title: change["stable"][series] for title, change in table.items() if series in change["stable"]}
        found = first_releases(lines, series, [title for title in said if not title.startswith(UNTITLED)])
        for title, release in said.items():
            if found.get(title, "") != release:
                told.append(f"{series}: {title}: {release or 'none'} here, {found.get(title, 'none')} in the changelog")
    return told


def read_table() -> Mapping[str, Mapping[str, Any]]:
    """title -> commit, since (mainline), rules (name -> value), stable (series -> X.Y.Z or ""), gives."""
    return tomllib.loads(TABLE.read_text())


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not list(Path(arguments[0]).glob("changelog-*.gz")):
        print(__doc__, file=sys.stderr)
        return 3
    told = differences(Path(arguments[0]))
    print("\n".join(told) or f"{len(read_table())} changes: as the changelogs say.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
