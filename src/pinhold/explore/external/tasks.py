"""The two tasks of a level.

Each is known by a directory and numbers, writes its files whole, and may be done again by anybody: it writes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from pinhold.explore import engine
from pinhold.explore.checkpoint import Unusable
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.external import files as f
from pinhold.explore.external import plan
from pinhold.explore.external.files import ORDER, Files
from pinhold.explore.external.levels import BUCKETS, VIA_BITS, Level, bucket_width, level_of, slices
from pinhold.explore.external.packed import put_states, states_part
from pinhold.explore.external.runs import REST, Array, Prints, absent, distinct, merged, together
from pinhold.explore.packing import Packing
from pinhold.explore.room import address
from pinhold.explore.table import Parts, Table
from pinhold.explore.threads import Stretch

CHUNK = 1 << 14
"""States that are expanded at once: what they come to is in memory unpacked."""

Found = tuple[Prints, Array, Array]
"""Of so many states fingerprints, orders, and the states."""


class Expander:
    """What expands states for one thread, without knowing any that has been seen."""

    def __init__(self, search: CompiledSearch) -> None:
        self.search = search
        self.packing = Packing(search.module, search.words)
        self.stretch = Stretch(search.module, search.registers, search.batch, search.uses, search.words)
        self.nothing: Parts = Table(search.module, lambda more: None).parts_now()

    def rest_of(self, states: Array) -> Array:
        found = np.empty(len(states), REST)
        self.search.module.rest_of(address(states), len(states), address(found))
        return found

    def expand(self, states: Array) -> Stretch:
        stretch = self.stretch.expand(states, self.nothing, 0, len(states))
        self.search.refuse(int(stretch.registers[engine.OUTCOMES_MET]), [stretch.batch])
        return stretch


@cache
def prepared(directory: str, key: str) -> tuple[plan.Plan, CompiledSearch]:
    """The search of a directory, compiled.  Raises Unusable where these sources would search otherwise.

    key: of the search; a directory may have another search later.
    """
    what = plan.read(Path(directory))
    search = CompiledSearch(
        what.world,
        symmetric=what.symmetric,
        properties=what.properties,
        invariants=what.invariants,
    )
    search.compile()
    if search.key() != key or what.key != key:
        raise Unusable(f"{directory}: the search there is of other sources than this worker has")
    return what, search


OWN = local()


def expander(search: CompiledSearch) -> Expander:
    """This thread's."""
    kept: Expander | None = getattr(OWN, "expander", None)
    if kept is None or kept.search is not search:
        OWN.expander = kept = Expander(search)
    return kept


def gathered(files: Files, level: Level, first: int, last: int, worker: Expander) -> Array:
    """The states of a level whose orders are from `first` to before `last`, in order; there is one."""
    orders, states = [], []
    for owner, low, high in slices(files, level, first, last):
        orders.append(f.part_of(files.orders(level.number, owner), ORDER, low, high))
        states.append(states_part(files.states(level.number, owner), low, high, worker.packing))
    return np.concatenate(states)[np.argsort(np.concatenate(orders))]


def expand(directory: str, key: str, level: int, piece: int) -> dict[str, Any]:
    """Make the successors of a piece of the level before this one."""
    files = Files(Path(directory))
    path = files.expanded(level, piece)
    if path.with_suffix(".json").exists():
        return f.record(path.with_suffix(".json"))
    what, search = prepared(directory, key)
    worker = expander(search)
    parents = level_of(files, level - 1)
    first, last, place = parents.bounds(piece)
    states = gathered(files, parents, first, last, worker)
    told = Expanded(uses=np.zeros(len(search.uses), np.int64))
    worker.stretch.batch[:] = search.batch  # no site passed
    found = [told.take(worker, states[start : start + CHUNK], place + start) for start in range(0, len(states), CHUNK)]
    prints = together([prints for prints, _, _ in found])
    orders = np.concatenate([orders for _, orders, _ in found])
    new = np.concatenate([new for _, _, new in found])
    kept = distinct(prints, orders)
    prints = prints[kept]
    f.put_prints(path, prints)
    f.put_array(path.with_suffix(".order"), orders[kept])
    pieces = (new[kept[at : at + CHUNK]] for at in range(0, len(kept), CHUNK))
    put_states(path.with_suffix(".state"), pieces, worker.packing)
    ends = np.searchsorted(prints.first >> np.uint64(what.shift), np.arange(what.owners + 1, dtype=np.uint64))
    result = told.record() | {"ends": ends.tolist(), "sites": sorted(search.passed(worker.stretch.batch))}
    f.put_record(path.with_suffix(".json"), result)
    return result


@dataclass
class Expanded:
    """What the states of a piece come to, as they are expanded.  bad: the order of the first bad one, its properties
    and invariant; stuck: the place of the first in which everybody waits."""

    uses: Array
    transitions: int = 0
    bad: tuple[int, int, int] | None = None
    stuck: int | None = None

    def take(self, worker: Expander, states: Array, place: int) -> Found:
        """Expand some states; place: of the first in its level."""
        stretch = worker.expand(states)
        r, count, room = stretch.registers, stretch.count, stretch.room
        orders = (room.parents[:count].astype(ORDER) + place << VIA_BITS) | room.vias[:count]
        new = room.states[:count].copy()
        self.transitions += int(r[engine.TRANSITIONS])
        self.uses += stretch.uses
        if self.bad is None and r[engine.BAD] >= 0:
            self.bad = int(orders[r[engine.BAD]]), int(r[engine.BAD_PROPERTIES]), int(r[engine.BAD_INVARIANT])
        if self.stuck is None and r[engine.STUCK] >= 0:
            self.stuck = place + int(r[engine.STUCK])
        return Prints(stretch.fingerprints[:count].astype(np.uint64), worker.rest_of(new)), orders, new

    def record(self) -> dict[str, Any]:
        return {**vars(self), "uses": self.uses.tolist()}


def merge(directory: str, key: str, level: int, first: int, last: int) -> dict[str, Any]:
    """For the owners `first` to before `last`: of what was found for each, keep what is new."""
    files = Files(Path(directory))
    parents = level_of(files, level - 1)
    ends = [f.record(files.expanded(level, p).with_suffix(".json"))["ends"] for p in range(len(parents.cuts))]
    packing = expander(prepared(directory, key)[1]).packing
    counts = np.zeros(BUCKETS, np.int64)
    runs = []
    for owner in range(first, last):
        done = files.merged(level, owner)
        if not done.exists():
            parts = [Part(files.expanded(level, piece), *of[owner : owner + 2]) for piece, of in enumerate(ends)]
            f.put_record(done, merge_one(files, parents, owner, [part for part in parts if len(part)], packing))
        told = f.record(done)
        runs.append(told["runs"])
        for bucket, count in told["counts"]:
            counts[bucket] += count
    return {"first": first, "runs": runs, "counts": counts.tolist()}


@dataclass(frozen=True)
class Part:
    """What the successors of a piece have for one owner: in its files from `low` to before `high`."""

    path: Path
    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low

    @property
    def prints(self) -> Prints:
        return f.prints_part(self.path, self.low, self.high)

    @property
    def orders(self) -> Array:
        return f.part_of(self.path.with_suffix(".order"), ORDER, self.low, self.high)

    def states(self, packing: Packing) -> Array:
        return states_part(self.path.with_suffix(".state"), self.low, self.high, packing)


def merge_one(files: Files, parents: Level, owner: int, parts: Sequence[Part], packing: Packing) -> dict[str, Any]:
    """What is new goes into the owner's files, in order; gives its runs, and how many states each bucket has.

    The pieces stand in the order of their states' parents: their states have only to be sorted within each.
    """
    level, names = parents.number + 1, parents.runs[owner]
    prints = together([part.prints for part in parts])
    orders = np.concatenate([np.empty(0, ORDER), *(part.orders for part in parts)])
    new = distinct(prints, orders)
    for name in names:
        new = new[absent(prints[new], f.prints_lying(files.run(name)))]
    if not len(new):
        return {"runs": names, "counts": []}
    runs = grown(files, names, prints[new], f"{files.folder(level).name}/seen-{owner:02d}")
    new = new[np.argsort(orders[new])]
    f.put_array(files.orders(level, owner), orders[new])
    starts = np.cumsum([0, *map(len, parts)])
    numbers = np.searchsorted(starts, new, "right")
    of_each = np.split(new, np.searchsorted(numbers, range(2, len(parts) + 1)))
    each = zip(parts, starts[:-1], of_each, strict=True)
    kept = (part.states(packing)[which - start] for part, start, which in each if len(which))
    put_states(files.states(level, owner), kept, packing)
    buckets, counts = np.unique((orders[new] >> VIA_BITS) // bucket_width(parents.states), return_counts=True)
    return {"runs": runs, "counts": list(zip(buckets.tolist(), counts.tolist(), strict=True))}


def grown(files: Files, names: Sequence[str], new: Prints, name: str) -> list[str]:
    """The runs with one more, into which those before go that are not twice as long: there are few to go along then,
    and a fingerprint is merged only as often as its run doubles."""
    kept = list(names)
    while kept and len(last := f.prints_lying(files.run(kept[-1]))) < 2 * len(new):
        new = merged(last, new)
        kept.pop()
    f.put_prints(files.run(name), new)
    return [*kept, name]
