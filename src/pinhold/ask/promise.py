"""What a named interface promises: every use of it, on every kind of memory, with each release's own flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pinhold.ask.answer import Runner, Task, in_turn
from pinhold.ask.cell import Cell, cell
from pinhold.ask.interfaces import Call, Interface, Use
from pinhold.ask.memlock import CHARGED, Charge, charge
from pinhold.ask.memory import MEMORY, Memory


@dataclass(frozen=True, slots=True)
class UsePromise:
    """One use.  calls: per release; columns: per release the cell of each memory; charges: per memory of CHARGED, by
    its name, and release, of an interface that the specification charges."""

    use: Use
    calls: Mapping[str, Call]
    columns: Mapping[str, Mapping[Memory, Cell]]
    charges: Mapping[str, Mapping[str, Charge]]


@dataclass(frozen=True, slots=True)
class Promise:
    """releases: the columns, in order; uses: as the interface lists them."""

    interface: Interface
    releases: tuple[str, ...]
    uses: tuple[UsePromise, ...]


def promise(interface: Interface, releases: Sequence[str], run: Runner = in_turn) -> Promise:
    """Compute it."""
    releases = tuple(dict.fromkeys(releases))
    places = [(use, release) for use in interface.uses for release in releases]
    tasks: list[Task[object]] = [
        (_cell, (use.call(release), memory, release, interface.user)) for use, release in places for memory in MEMORY
    ]
    costs = [(use, what, release) for use, release in places for what in CHARGED] if interface.user else []
    tasks += [(charge, (use.call(release).request, interface.user, what, release)) for use, what, release in costs]
    results = list(run(tasks))
    cells = iter([x for x in results if isinstance(x, Cell)])
    columns = {place: {memory: next(cells) for memory in MEMORY} for place in places}
    charges = dict(zip(costs, (x for x in results if isinstance(x, Charge)), strict=True))
    return Promise(
        interface,
        releases,
        tuple(
            UsePromise(
                use,
                {r: use.call(r) for r in releases},
                {r: columns[use, r] for r in releases},
                {w.name: {r: charges[use, w, r] for r in releases} for w in CHARGED} if charges else {},
            )
            for use in interface.uses
        ),
    )


def _cell(call: Call, memory: Memory, release: str, user: str) -> Cell:
    return cell(call.request, memory, release, fast=call.fast, user=user)
