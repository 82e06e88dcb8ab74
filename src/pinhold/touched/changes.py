"""Which functions a diff changes: by the kernel's tree, where the diff is of it, else by the diff's own lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pinhold.touched.diff import File, Hunk
from pinhold.touched.text import named, places, says_something
from pinhold.touched.tree import Tree

SOMEWHERE = "?"
"""A place of which the hunk does not say in which function it is."""


@dataclass(slots=True)
class Changes:
    """functions: each with the files in which it is changed, in the order of the diff; elsewhere: of a file how many
    lines are changed outside of functions, or in none that the hunk tells; strange: files that the tree has otherwise.
    """

    functions: dict[str, list[str]] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)


def changes(files: Sequence[File], tree: Tree | None) -> Changes:
    """What the diff changes of C."""
    found = Changes()
    for file in files:
        if not file.path.endswith((".c", ".h")):
            continue
        whole = tree.lines(file.path) if tree is not None else None
        images = None if whole is None else _whole(whole, file.hunks)
        if whole is not None and images is None:
            found.strange.append(file.path)
        for line, place in _changed(images or _by_itself(file.hunks)):
            if place and place != SOMEWHERE:
                where = found.functions.setdefault(place, [])
                if file.path not in where:
                    where.append(file.path)
            elif says_something(line):
                found.elsewhere[file.path] = found.elsewhere.get(file.path, 0) + 1
    return found


Image = tuple[Sequence[tuple[str, bool]], str]
"""Lines before or after the change, each with whether it is changed; and what the first is in."""


def _changed(images: Iterator[Image]) -> Iterator[tuple[str, str]]:
    """Each changed line that says something, and its place."""
    for lines, inside in images:
        for (line, changed), place in zip(lines, places((line for line, _ in lines), inside), strict=True):
            if changed and line.strip() and (place or says_something(line)):
                yield line, place


def _by_itself(hunks: Sequence[Hunk]) -> Iterator[Image]:
    """Each hunk before and after, with the function that its heading names."""
    for hunk in hunks:
        heading = hunk.heading
        inside = "" if heading.endswith((";", "}")) else named(heading)
        if heading.endswith(":") or not heading:
            inside = SOMEWHERE if hunk.old > 1 and heading else ""
        for mark in "-+":
            yield [(line[1:], line[0] == mark) for line in hunk.lines if line[0] in (" ", mark)], inside


def _whole(lines: Sequence[str], hunks: Sequence[Hunk]) -> Iterator[Image] | None:
    """The whole file before and after, made of one of the two; None where it is neither."""
    for own, other in ("+-", "-+"):
        if all(_fits(lines, hunk, own) for hunk in hunks):
            return iter([_image(lines, hunks, own, own), _image(lines, hunks, own, other)])
    return None


def _first(hunk: Hunk, own: str) -> tuple[int, int]:
    """Where it begins in the file that has the lines marked `own`, from 0, and how many of its lines are there."""
    count = sum(line[0] in (" ", own) for line in hunk.lines)
    number = hunk.new if own == "+" else hunk.old
    return (number - 1 if count else number), count


def _fits(lines: Sequence[str], hunk: Hunk, own: str) -> bool:
    first, count = _first(hunk, own)
    return [line[1:] for line in hunk.lines if line[0] in (" ", own)] == list(lines[first : first + count])


def _image(lines: Sequence[str], hunks: Sequence[Hunk], own: str, wanted: str) -> Image:
    """The file with the lines marked `wanted` in the hunks, made of the one with the lines marked `own`."""
    found: list[tuple[str, bool]] = []
    at = 0
    for hunk in sorted(hunks, key=lambda each: _first(each, own)):
        first, count = _first(hunk, own)
        found += [(line, False) for line in lines[at:first]]
        found += [(line[1:], line[0] == wanted) for line in hunk.lines if line[0] in (" ", wanted)]
        at = first + count
    return [*found, *((line, False) for line in lines[at:])], ""
