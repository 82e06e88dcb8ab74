"""The kinds of memory that a scenario can map: one record each, which everything that asks about a kind reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Backing(Enum):
    """Whose page cache the pages of a file are in."""

    SHMEM = "shmem"
    DISK = "a file system on a disk"
    HUGETLB = "hugetlbfs"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    backing: None for anonymous memory, which cannot be shared between mappings.  descriptor: the file can be mapped
    once more (`of`); an anonymous hugetlb mapping is of a file, too, but nobody has a descriptor of it.  linked: the
    file has a name in a directory.  thp: of anonymous memory, whether it is advised to be in THPs or not to be.  zero:
    a scenario reads it before it writes, which maps the (huge) zero page.
    """

    name: str
    backing: Backing | None = None
    descriptor: bool = False
    linked: bool = False
    thp: bool = False
    zero: bool = False

    @property
    def anonymous(self) -> bool:
        return self.backing is None

    @property
    def hugetlb(self) -> bool:
        """Its pages are those of a pool, of a size that the scenario says."""
        return self.backing is Backing.HUGETLB

    @property
    def on_disk(self) -> bool:
        """Its pages are written back to a file system, and need no swap."""
        return self.backing is Backing.DISK

    @property
    def swapped(self) -> bool:
        """Its pages can go to swap."""
        return self.backing in (None, Backing.SHMEM)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("anon"),
        Kind("zeropage", zero=True),
        Kind("memfd", Backing.SHMEM, descriptor=True),
        Kind("tmpfile", Backing.DISK, descriptor=True),
        Kind("file", Backing.DISK, descriptor=True, linked=True),
        Kind("thp", thp=True),
        Kind("hugezero", thp=True, zero=True),
        Kind("hugetlb", Backing.HUGETLB),
        Kind("memfd_hugetlb", Backing.HUGETLB, descriptor=True),
    )
}
HUGETLB_SIZES = ("2M", "1G")
