"""The memory under test: regions of a process, mapped where nothing of the interpreter ever is.

Regions lie in a part of the address space that the kernel does not choose by itself, each on a boundary of its own
with a gap behind it.  So a hole that munmap() leaves stays a hole, neighbours never merge, and page tables look the
same in every run.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from pinhold.scenario.advice import ADVICE
from pinhold.scenario.kinds import Kind
from pinhold.targets.live.syscalls import (
    MAP_ANONYMOUS,
    MAP_FIXED_NOREPLACE,
    MAP_HUGE_SHIFT,
    MAP_HUGETLB,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mmap,
    mremap_to,
    munmap,
)

ARENA = 1 << 44
BOUNDARY = 1 << 30
PMD = 2 << 20

PROT = {"none": PROT_NONE, "read": PROT_READ, "rw": PROT_READ | PROT_WRITE}
HUGE_SHIFTS = {"2M": 21, "1G": 30}


@dataclass(frozen=True, slots=True)
class Region:
    """pages: base pages; unit: bytes of the pages that the region is made of (a hugetlb size, else a base page)."""

    address: int
    pages: int
    kind: Kind
    shared: bool
    unit: int = PAGE

    @property
    def end(self) -> int:
        return self.address + self.pages * PAGE

    @property
    def private_anonymous(self) -> bool:
        return self.kind.anonymous and not self.shared


class Arena:
    """Where the next region of a process goes."""

    def __init__(self) -> None:
        self._next = ARENA

    def _place(self, length: int) -> int:
        address = self._next
        self._next = -(-(address + length + BOUNDARY) // BOUNDARY) * BOUNDARY
        return address

    def map(self, kind: Kind, pages: int, shared: bool, prot: str, size: str | None, file: int) -> Region:
        """A fresh region; `file`: the descriptor that backs it, or -1.  Raises OSError."""
        flags = (MAP_SHARED if shared else MAP_PRIVATE) | MAP_FIXED_NOREPLACE
        if file < 0:
            flags |= MAP_ANONYMOUS
        if kind.hugetlb and size is not None and file < 0:
            flags |= MAP_HUGETLB | HUGE_SHIFTS[size] << MAP_HUGE_SHIFT
        length = pages * PAGE
        address = mmap(self._place(length), length, PROT[prot], flags, file)
        if kind.anonymous:
            try:
                madvise(address, length, ADVICE["hugepage" if kind.thp else "nohugepage"].number)
            except OSError as error:
                if error.errno != errno.EINVAL or kind.thp:
                    munmap(address, length)
                    raise
        return Region(address, pages, kind, shared, 1 << HUGE_SHIFTS[size] if size else PAGE)

    def move(self, region: Region, first: int, end: int) -> Region:
        """mremap() pages [first, end) to a fresh place, as far from a huge-page boundary as they were.

        Nothing is mapped there, so that a hole which is moved along stays one.
        """
        source, length = region.address + first * PAGE, (end - first) * PAGE
        boundary = max(PMD, region.unit)
        target = self._place(length + boundary) + source % boundary
        mremap_to(source, length, target)
        return Region(target, end - first, region.kind, region.shared, region.unit)
