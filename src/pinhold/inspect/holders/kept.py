"""What a holder keeps of memory: runs of page frames, and where they were, as far as it keeps that."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.view import View

PAGE = 4096

MOST = 1 << 26
"""Page frames of one holder: 256 GiB; one that claims more is damaged."""


@dataclass(frozen=True, slots=True)
class Run:
    """Page frames that follow each other.  address: of the first byte, in the memory of `mm`; None: it is not kept.

    mm: the address of the struct mm_struct; 0: not kept.  pinned: with FOLL_PIN; else by references alone.  of_file:
    what is held is a part of a file, and no process's mapping of it.
    """

    pfn: int
    pages: int
    address: int | None = None
    mm: int = 0
    pinned: bool = True
    of_file: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """Memory that is held where its page frames cannot be found, and why."""

    address: int
    size: int
    reason: str
    mm: int = 0


def joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that go on where the one before ends, in frames and in addresses, as one."""
    before: Run | None = None
    for run in runs:
        if before is not None and run == replace(_after(before), pages=run.pages):
            before = replace(before, pages=before.pages + run.pages)
            continue
        if before is not None:
            yield before
        before = run
    if before is not None:
        yield before


def _after(run: Run) -> Run:
    """The one that would go on where it ends."""
    address = None if run.address is None else run.address + run.pages * PAGE
    return replace(run, pfn=run.pfn + run.pages, address=address)


def pointers(view: View, address: int, count: int) -> Iterator[int]:
    """An array of them.  Raises drgn.FaultError."""
    return (word for (word,) in struct.iter_unpack("<Q", view.read(address, 8 * count)))


def bounded(count: int, most: int, what: str) -> int:
    """The count, where it can be one.  Raises CannotLook."""
    if not 0 <= count <= most:
        raise CannotLook(
            f"{what}: {count} cannot be, {most} are the most: this memory is damaged, or was read meanwhile"
        )
    return count
