"""What memory contains, page by page, as runs of equal pages: quick enough for a 1 GiB page."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from pinhold.scenario.observation import MIXED, Run
from pinhold.targets.live.syscalls import (
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    PAGE,
    PROT_READ,
    PROT_WRITE,
    memcmp,
    mmap,
    munmap,
)

_CHUNK = 512


@contextmanager
def scratch(pages: int) -> Iterator[int]:
    """The address of fresh private memory that is no part of any test."""
    address = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    try:
        yield address
    finally:
        munmap(address, pages * PAGE)


def load(address: int) -> int:
    """One byte."""
    return int(ctypes.c_ubyte.from_address(address).value)


def load_each_page(address: int, pages: int) -> None:
    """One load from each page, in order."""
    if pages:
        memory = (ctypes.c_ubyte * ((pages - 1) * PAGE + 1)).from_address(address)
        bytes(memoryview(memory)[::PAGE])


def fill(address: int, pages: int, byte: int) -> None:
    """Stores to every byte, in order."""
    ctypes.memset(address, byte, pages * PAGE)


def uniform(address: int, pages: int) -> bool:
    """Whether every byte is equal to the first: memory that equals itself one byte on."""
    return memcmp(address, address + 1, pages * PAGE - 1) == 0


def _pieces(address: int, first: int, end: int) -> Iterator[tuple[int, int]]:
    """(count, byte) over readable pages [first, end) of the memory at `address`."""
    if uniform(address + first * PAGE, end - first):
        yield end - first, load(address + first * PAGE)
        return
    step = _CHUNK if end - first > _CHUNK else 1
    for page in range(first, end, step):
        stop = min(page + step, end)
        if step > 1:
            yield from _pieces(address, page, stop)
        else:
            at = address + page * PAGE
            yield 1, load(at) if uniform(at, 1) else MIXED


def runs(address: int, stretches: Sequence[tuple[int, int, bool]]) -> list[Run]:
    """The pages of (first, count, readable) stretches as runs; page 0 is at `address`."""
    found: list[Run] = []

    def add(first: int, count: int, byte: int | None) -> None:
        if found and found[-1].byte == byte and found[-1].first + found[-1].count == first:
            found[-1] = Run(found[-1].first, found[-1].count + count, byte)
        else:
            found.append(Run(first, count, byte))

    for first, count, readable in stretches:
        if not readable:
            add(first, count, None)
            continue
        page = first
        for length, byte in _pieces(address, first, first + count):
            add(page, length, byte)
            page += length
    return found


def joined(pages: Iterable[int]) -> list[Run]:
    """One byte (or MIXED) a page, as runs."""
    found: list[Run] = []
    for byte, equal in groupby(pages):
        first = found[-1].first + found[-1].count if found else 0
        found.append(Run(first, sum(1 for _ in equal), byte))
    return found
