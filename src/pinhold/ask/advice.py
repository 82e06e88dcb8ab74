"""What to pass instead: every alternative is run on the memory that the question's flags fail on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pinhold.ask.cell import FAILING, LEAKS, RELIABLE, UNTIL, Cell, cell
from pinhold.ask.flags import Request
from pinhold.ask.memory import Memory
from pinhold.mm import flags as k

_RANK = {RELIABLE: 3, **dict.fromkeys(UNTIL.values(), 2), LEAKS: 0}
"""How good an answer is; what is missing here is 1."""

_HINDERING = k.FOLL_NOFAULT | k.FOLL_ANON | k.FOLL_DUMP
"""Flags by which GUP passes over what it could pin."""


@dataclass(frozen=True, slots=True)
class Advice:
    """For one release.

    failing: the memory on which the question's flags fail.  use: the best alternative, None where none betters
    anything.  With it, or with the question's flags where there is none: cured is reliable, cured_with_dontfork is so
    once the process has advised MADV_DONTFORK, left is not, with the word that it gets; lost is memory that the
    question's flags pin reliably and `use` does not.
    """

    release: str
    failing: tuple[Memory, ...]
    use: Request | None = None
    cured: tuple[Memory, ...] = ()
    cured_with_dontfork: tuple[Memory, ...] = ()
    left: tuple[tuple[Memory, str], ...] = ()
    lost: tuple[tuple[Memory, str], ...] = ()


def alternatives(request: Request) -> list[Request]:
    """Other calls for the same purpose, the mildest first."""
    extra = (
        k.FOLL_LONGTERM,
        k.FOLL_LONGTERM | k.FOLL_WRITE,
        k.FOLL_LONGTERM | k.FOLL_WRITE | k.FOLL_FORCE,
    )
    bases = (request.passed, request.passed & ~_HINDERING)
    made = dict.fromkeys(Request(True, base | flags) for base in bases for flags in extra)
    return [other for other in made if other != request]


def advice(request: Request, release: str, column: Mapping[Memory, Cell]) -> Advice:
    """The best alternative on one release; column: what the question's flags give there."""
    failing = tuple(memory for memory, found in column.items() if found.word in FAILING)
    best: tuple[tuple[int, ...], Request, dict[Memory, str]] | None = None
    for number, other in enumerate(alternatives(request) if failing else ()):
        words = {memory: cell(other, memory, release).word for memory in failing}
        better = sum(_rank(words[m]) > _rank(column[m].word) for m in failing)
        merit = (list(words.values()).count(RELIABLE), better, -number)
        if better and (best is None or merit > best[0]):
            best = merit, other, words
    use, words = best[1:] if best else (request, {memory: column[memory].word for memory in failing})
    dontfork = tuple(
        memory
        for memory, word in words.items()
        if word == UNTIL["fork"] and cell(use, memory, release, dontfork=True).word == RELIABLE
    )
    others = [memory for memory, found in column.items() if found.word == RELIABLE] if best else []
    lost = {memory: cell(use, memory, release).word for memory in others}
    return Advice(
        release,
        failing,
        use if best else None,
        tuple(memory for memory, word in words.items() if word == RELIABLE),
        dontfork,
        tuple((memory, word) for memory, word in words.items() if word != RELIABLE and memory not in dontfork),
        tuple((memory, word) for memory, word in lost.items() if word != RELIABLE),
    )


def _rank(word: str) -> int:
    return _RANK.get(word, 1)
