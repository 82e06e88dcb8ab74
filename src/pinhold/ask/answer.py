"""The whole answer: every kind of memory on every release, with what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from pinhold.ask.advice import Advice, advice
from pinhold.ask.cell import Cell, cell
from pinhold.ask.changes import Change, changes
from pinhold.ask.flags import Request
from pinhold.ask.instead import Instead, instead
from pinhold.ask.memlock import CHARGED, USERS, Charge, charge
from pinhold.ask.memory import MEMORY, Memory
from pinhold.ask.refused import Refusal, why_invalid, why_refused

T = TypeVar("T")
Task = tuple[Callable[..., T], tuple[object, ...]]
"""A function of this room and its arguments."""

Runner = Callable[[Sequence[Task[object]]], Iterable[object]]
"""Computes tasks, in their order; somewhere else where it likes."""


def in_turn(tasks: Sequence[Task[object]]) -> Iterable[object]:
    """One task after the other, here."""
    return (function(*arguments) for function, arguments in tasks)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    columns: per release the cell of each memory, of the slow entry point; fast: the cells of the fast one that differ.
    invalid, fast_invalid: per release why the flags are not accepted, where they are not.  refused: per release and
    memory why there is no pin.  advice: one per release on which a cell fails or none does, of flags that are accepted.
    instead: what is no other flags, where a cell fails.
    charges: per memory of CHARGED, by its name, per user and release; empty for a call that no such user makes.
    """

    request: Request
    releases: tuple[str, ...]
    columns: Mapping[str, Mapping[Memory, Cell]]
    fast: Mapping[str, Mapping[Memory, Cell]]
    invalid: Mapping[str, Refusal]
    fast_invalid: Mapping[str, Refusal]
    refused: Mapping[str, Mapping[Memory, Refusal]]
    changes: tuple[Change, ...]
    advice: tuple[Advice, ...]
    instead: tuple[Instead, ...]
    charges: Mapping[str, Mapping[str, Mapping[str, Charge]]]


def answer(request: Request, releases: Sequence[str], run: Runner = in_turn) -> Answer:
    """Compute it.  releases: as in rules.row(), in the order of the columns."""
    releases = tuple(dict.fromkeys(releases))
    places = [(release, memory) for release in releases for memory in MEMORY]
    computed = run([(_both, (request, memory, release)) for release, memory in places])
    found = dict(zip(places, (x for x in computed if isinstance(x, _Both)), strict=True))
    columns = {r: {m: found[r, m].slow for m in MEMORY} for r in releases}
    fast = {r: {m: found[r, m].fast for m in MEMORY} for r in releases}
    invalid = {r: why for r in releases if (why := why_invalid(request, r))}
    valid = [r for r in releases if r not in invalid]

    tasks: list[Task[object]] = [(advice, (request, r, columns[r])) for r in valid]
    tasks += [
        (changes, (request, old, new, {m: (columns[old][m], columns[new][m]) for m in part}))
        for old, new in pairwise(releases)
        for part in (MEMORY[::2], MEMORY[1::2])
    ]
    gone = [(r, m) for r in valid for m in MEMORY if columns[r][m].refused]
    tasks += [(why_refused, (request, m, r, columns[r][m])) for r, m in gone]
    costs = [(what, user, r) for what in CHARGED for user in USERS for r in valid]
    costs = costs if request.pin and request.longterm else []
    tasks += [(charge, (request, user, what, r)) for what, user, r in costs]
    results = list(run(tasks))

    failing = [x.release for x in results if isinstance(x, Advice) and x.failing]
    told = [c for x in results if isinstance(x, tuple) for c in x]
    refusals = dict(zip(gone, (x for x in results if isinstance(x, Refusal)), strict=True))
    charges = dict(zip(costs, (x for x in results if isinstance(x, Charge)), strict=True))
    return Answer(
        request,
        releases,
        columns,
        {r: {m: c for m, c in fast[r].items() if c.word != columns[r][m].word} for r in releases},
        invalid,
        {r: why for r in releases if (why := why_invalid(request, r, fast=True))},
        {r: {m: refusals[r, m] for m in MEMORY if (r, m) in refusals} for r in valid},
        tuple(sorted(told, key=lambda c: (releases.index(c.new), MEMORY.index(c.memory)))),
        tuple(x for x in results if isinstance(x, Advice)),
        instead(request, {r: columns[r] for r in failing}) if failing else (),
        {w.name: {u: {r: charges[w, u, r] for r in valid} for u in USERS} for w in CHARGED} if charges else {},
    )


@dataclass(frozen=True, slots=True)
class _Both:
    """A cell by the slow and by the fast entry point."""

    slow: Cell
    fast: Cell


def _both(request: Request, memory: Memory, release: str) -> _Both:
    return _Both(cell(request, memory, release), cell(request, memory, release, fast=True))
