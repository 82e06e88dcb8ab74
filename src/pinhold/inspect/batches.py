"""Folios that wait in the batches of a processor for the LRU lists: each place there holds a reference.

A folio on its way to the lists for the first time is seen by its flags (Folio.batched); of one that is to go to another
place in them (activated, lazyfree) only the batch itself tells.  Linux: mm/swap.c, mm/folio.c from 7.3 on.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drgn import FaultError, Type, offsetof, sizeof

from pinhold.inspect import layout
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.symbols import BATCHES, CPU_OFFSETS

if TYPE_CHECKING:
    from pinhold.inspect.view import View

_KINDS = {"struct pagevec": "pages", "struct folio_batch": "folios"}
"""What a batch is called, and its array; `nr` says how many there are in it."""
_CPUS_MOST = 8192


_LAZYFREE = "lru_lazyfree"
"""The batch of what MADV_FREE has marked: PG_swapbacked goes when it is drained (lru_lazyfree_fn())."""


@dataclass(slots=True)
class Waiting:
    """By the pfn of a folio's head: how many places it has; lazyfree: what waits to be no longer swap-backed."""

    places: Counter[int] = field(default_factory=Counter)
    lazyfree: set[int] = field(default_factory=set)


def in_batches(view: View) -> Waiting:
    """What waits in the batches of all processors.

    Raises CannotLook where this kernel's batches are not known, drgn.FaultError.
    """
    found = Waiting()
    known = {name: at for name in BATCHES if (at := view.symbols.address(name)) is not None}
    if not known:
        raise CannotLook("this kernel's batches for the LRU lists were not found: it is not known")
    for offset in _cpu_offsets(view):
        for name, at in known.items():
            for batch, folio in _waiting(view, BATCHES[name], at + offset & (1 << 64) - 1):
                pfn = view.pfn_of(folio)
                found.places[pfn] += 1
                if batch == _LAZYFREE:
                    found.lazyfree.add(pfn)
    return found


def _cpu_offsets(view: View) -> Iterator[int]:
    """Of the processors that are there."""
    table = view.symbols.address(CPU_OFFSETS)
    if table is None:
        raise CannotLook("this kernel's variables of each processor were not found: it has no CONFIG_SMP")
    count = min(int(view.program["nr_cpu_ids"].value_()), _CPUS_MOST)
    offsets = struct.unpack(f"<{count}Q", view.read(table, 8 * count))
    return iter(dict.fromkeys(offsets))


def _waiting(view: View, type_name: str, address: int) -> Iterator[tuple[str, int]]:
    """The struct pages in the batches of one variable, each with the batch's name."""
    type_ = layout.type_of(view.program, type_name)
    assert type_ is not None
    try:
        data = view.read(address, sizeof(type_))
    except FaultError:
        return  # a processor that never was there has no variables
    for called, at, batch in _batches(type_):
        (array, name) = next((m, m.name) for m in batch.members or () if m.name in _KINDS.values())
        nr, first = data[at + offsetof(batch, "nr")], at + offsetof(batch, name)
        for folio in struct.unpack_from(f"<{min(nr, array.type.length or 0)}Q", data, first):
            yield called, folio


def _batches(type_: Type) -> Iterator[tuple[str, int, Type]]:
    """Name, offset and type of each batch in a structure of them."""
    for member in type_.members or ():
        if member.type.type_name() in _KINDS:
            yield member.name or "", member.bit_offset // 8, member.type
