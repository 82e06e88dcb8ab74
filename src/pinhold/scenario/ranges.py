"""Pages of a region, and how a scenario writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinhold.scenario.bounds import MAX_NAME

NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}", re.ASCII)
RESERVED = ("errno", "sees", "sound")
"""Words that tell the forms of `expect` apart, and so cannot name anything."""
_RANGE = re.compile(r"([A-Za-z_]\w*)(?:\[(?:(\d{1,9})|(\d{0,9}):(\d{0,9}))\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Pages [first, end) of `region`; end None: up to the region's end."""

    region: str
    first: int = 0
    end: int | None = None


def is_name(word: str) -> bool:
    """Whether it can name a process, a region, a pin or a task."""
    return NAME.fullmatch(word) is not None and word not in RESERVED


def decode_range(word: str) -> Range | None:
    """x, x[3], x[1:5], x[1:] or x[:5]; None for anything else, and for a range without pages."""
    match = _RANGE.fullmatch(word)
    if match is None or not is_name(match[1]):
        return None
    region, page, first, end = match.groups()
    if page is not None:
        return Range(region, int(page), int(page) + 1)
    if first is None:
        return Range(region)
    if not first and not end:
        return None
    found = Range(region, int(first or 0), int(end) if end else None)
    return None if found.end is not None and found.end <= found.first else found


def encode_range(range: Range) -> str:
    """The inverse of decode_range, in the shortest way."""
    if range.end is None:
        return f"{range.region}[{range.first}:]" if range.first else range.region
    if range.end == range.first + 1:
        return f"{range.region}[{range.first}]"
    return f"{range.region}[{range.first or ''}:{range.end}]"
