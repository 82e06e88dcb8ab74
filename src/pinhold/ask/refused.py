"""Why there is no pin: the flag without which there would be one, or flags that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from pinhold.ask.cell import ABSENT, Cell, cell, refusal
from pinhold.ask.flags import Request, words
from pinhold.ask.memory import Memory
from pinhold.mm import flags as k
from pinhold.mm import gup
from pinhold.mm.sites import SITES
from pinhold.mm.sites.gup import GUP_DIRTY_TRACKED_REFUSED
from pinhold.mm.sites.hugetlb import HUGETLB_FORCE_REFUSED

_BY_FLAG = {
    k.FOLL_WRITE: "FOLL_WRITE needs a writable mapping; FOLL_FORCE does without in private ones only",
    k.FOLL_ANON: "FOLL_ANON takes anonymous memory only, and hugetlb does not count as such",
    k.FOLL_NOFAULT: "the page is not there as the pin needs it, and FOLL_NOFAULT forbids to fault it in or unshare it",
    k.FOLL_DUMP: "FOLL_DUMP leaves out holes and zero pages",
    k.FOLL_SPLIT_PMD: "FOLL_SPLIT_PMD cannot split hugetlb",
}
_BY_SITE = {SITES[number].name: SITES[number].sentence for number in (GUP_DIRTY_TRACKED_REFUSED, HUGETLB_FORCE_REFUSED)}
"""Decisions that say more than the flag does."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """word: an errno's name, or what else there is instead of a pin; sentence: why."""

    word: str
    sentence: str


def why_refused(request: Request, memory: Memory, release: str, found: Cell) -> Refusal:
    """Why this memory is not pinned; found: its cell."""
    for decision in found.decisions:
        if decision.site in _BY_SITE:
            return Refusal(found.word, _BY_SITE[decision.site])
    for flag in request.flags:
        if (
            flag.value in _BY_FLAG
            and not cell(Request(request.pin, request.passed & ~flag.value), memory, release).refused
        ):
            return Refusal(found.word, _BY_FLAG[flag.value])
    sentence = found.decisions[-1].sentence if found.decisions else "the specification gives no reason"
    return Refusal(found.word, sentence)


def why_invalid(request: Request, release: str, fast: bool = False) -> Refusal | None:
    """Why the entry point does not take the flags, whatever the memory; None where it does."""
    found = refusal(request, release, fast)
    if found is None:
        return None
    if found.word == ABSENT:
        names = ", ".join(f"{flag.name} (since {flag.since})" for flag in request.missing_in(release))
        return Refusal(found.word, f"this release has no {names}")
    part = next(_smallest(request, release, fast))
    if fast and refusal(Request(request.pin, part), release) is None:
        return Refusal(found.word, f"it does not know {words(part)}; {request.entry}() does")
    return Refusal(found.word, _invalid(part))


def _smallest(request: Request, release: str, fast: bool) -> Iterator[int]:
    """The parts of the flags that are refused by themselves, the smallest first."""
    values = [flag.value for flag in request.flags]
    for size in range(1, len(values) + 1):
        for part in combinations(values, size):
            if refusal(Request(request.pin, sum(part)), release, fast):
                yield sum(part)


def _invalid(part: int) -> str:
    """Why this part of the flags is refused."""
    if part == k.FOLL_GET:
        return "FOLL_GET and FOLL_PIN exclude each other, and pin_user_pages() sets FOLL_PIN"
    if part == k.FOLL_LONGTERM:
        return "FOLL_LONGTERM is for pins: use pin_user_pages()"
    if part & gup.INTERNAL_FLAGS:
        return f"{words(part)} is internal to GUP: callers may not pass it"
    return f"{words(part)} cannot be passed together"
