"""A process's own mappings: which of its memory it may touch, and where huge entries map it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
from array import array
from collections.abc import Iterator, Sequence

from pinhold.targets.live.pagemap import PM_FILE, PM_PRESENT, tops
from pinhold.targets.live.syscalls import PAGE

Span = tuple[int, int]

HUGE = 2 << 20
HUGE_PAGES = HUGE // PAGE

PAGEMAP_SCAN = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg), since 6.7."""

PAGE_IS_PFNZERO = 1 << 5
PAGE_IS_HUGE = 1 << 6
_PRESENT, _FILE = PM_PRESENT >> 56, PM_FILE >> 56
_ARGUMENT = struct.Struct("=12Q")
_REGION = struct.Struct("=3Q")
_VECTOR = 256

_PIECE = 1024
"""Bytes.  The kernel makes as many lines as it is asked for, and a few are enough."""

_NO_RIGHTS = b"---"
_MAPS = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (....) ")


def accessible(start: int, end: int, write: bool, path: str = "/proc/self/maps") -> list[Span]:
    """The parts of [start, end) that the process may load from, or store to."""
    position, letter = (1, ord("w")) if write else (0, ord("r"))
    found: list[Span] = []
    for line in _lines(path):
        match = _MAPS.match(line)
        if match is None:
            continue
        if int(match[1], 16) >= end:
            break
        first, last = max(start, int(match[1], 16)), min(end, int(match[2], 16))
        if first >= last or match[3][position] != letter:
            continue
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def mapped(address: int, path: str = "/proc/self/maps") -> bool:
    """Whether the process has a mapping there."""
    for line in _lines(path):
        match = _MAPS.match(line)
        if match is not None and address < int(match[2], 16):
            return int(match[1], 16) <= address
    return False


def _lines(path: str) -> Iterator[bytes]:
    """The lines of maps or smaps, read piece by piece: the regions come first, and who has seen them stops."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rest = b""
        while piece := os.read(fd, _PIECE):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
    finally:
        os.close(fd)


def scan(pagemap: int, start: int, end: int, categories: int) -> list[Span] | None:
    """The parts of [start, end) whose pages are in all `categories`, by PAGEMAP_SCAN; None where there is none."""
    vector = bytearray(_REGION.size * _VECTOR)
    with_address = _address_of(vector)
    found: list[Span] = []
    while start < end:
        argument = bytearray(
            _ARGUMENT.pack(_ARGUMENT.size, 0, start, end, 0, with_address, _VECTOR, 0, 0, categories, 0, categories)
        )
        try:
            count = fcntl.ioctl(pagemap, PAGEMAP_SCAN, argument)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        for index in range(count):
            first, last, _ = _REGION.unpack_from(vector, index * _REGION.size)
            found.append((first, last))
        walked = _ARGUMENT.unpack(argument)[4]
        if walked <= start:
            break
        start = walked
    return found


def _address_of(buffer: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))


def huge_entries(
    start: int, end: int, words: array[int], private_anonymous: bool, path: str = "/proc/self/smaps"
) -> list[Span] | None:
    """Where PMDs map memory that is not hugetlb, from smaps: for kernels without PAGEMAP_SCAN.

    smaps counts huge entries per mapping and leaves the huge zero page out, which pagemap (`words`, one a page from
    `start`) shows, in private anonymous memory, as not anonymous.  It looks at them as GUP does, which follows no
    entry that is inaccessible: of a mapping without rights it counts none.  None where the count leaves open which
    parts are huge.
    """
    found: list[Span] = []
    for first, last, size, rights in _huge_sizes(start, end, path):
        blocks = []
        for block in range(-(-first // HUGE) * HUGE, last - HUGE + 1, HUGE):
            first_page = (block - start) // PAGE
            kinds = set(tops(words[first_page : first_page + HUGE_PAGES]))
            if private_anonymous and all(top & _PRESENT and top & _FILE for top in kinds):
                found.append((block, block + HUGE))
            elif all(top & _PRESENT for top in kinds):
                blocks.append((block, block + HUGE))
        if blocks and rights == _NO_RIGHTS:
            return None
        if size == len(blocks) * HUGE:
            found += blocks
        elif size:
            return None
    return sorted(found)


_HUGE_LINES = (b"AnonHugePages:", b"ShmemPmdMapped:", b"FilePmdMapped:")


def _huge_sizes(start: int, end: int, path: str) -> list[tuple[int, int, int, bytes]]:
    """(first, last, bytes mapped by huge entries, rights) of each mapping that lies within [start, end)."""
    found: list[tuple[int, int, int, bytes]] = []
    inside = False
    for line in _lines(path):
        match = _MAPS.match(line)
        if match is not None:
            first, last = int(match[1], 16), int(match[2], 16)
            if first >= end:
                break
            inside = start <= first and last <= end
            if inside:
                found.append((first, last, 0, match[3][:3]))
        elif inside and line.startswith(_HUGE_LINES):
            first, last, size, rights = found[-1]
            found[-1] = (first, last, size + int(line.split()[1]) * 1024, rights)
    return found


def cut(first: int, end: int, spans: Sequence[Span]) -> list[tuple[int, int, bool]]:
    """[first, end) in pieces (first, end, whether it is in `spans`, which are in order and apart)."""
    pieces: list[tuple[int, int, bool]] = []
    for start, stop in spans:
        if stop <= first or start >= end:
            continue
        if start > first:
            pieces.append((first, start, False))
        pieces.append((max(first, start), min(stop, end), True))
        first = min(stop, end)
    if first < end:
        pieces.append((first, end, False))
    return pieces


def open_pagemap() -> int:
    """The calling process's own pagemap."""
    return os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
