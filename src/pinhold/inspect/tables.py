"""Page tables of x86-64, walked in raw words: what the processor and the kernel read in an entry.

arch/x86/include/asm/pgtable_types.h.  These bits are the processor's, or have been the kernel's since 5.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
_BITS = 9
_ENTRIES = 1 << _BITS
_FRAME = 0x000F_FFFF_FFFF_F000
"""Bits of a physical address (PTE_PFN_MASK)."""

PRESENT, RW, DIRTY, PSE, PROTNONE = 1 << 0, 1 << 1, 1 << 6, 1 << 7, 1 << 8
USER = 1 << 2
UFFD_WP, SOFT_DIRTY = 1 << 10, 1 << 11
SAVED_DIRTY = 1 << 58
"""Since 6.6: dirty of an entry that must not look like a shadow stack's."""

_SWP_SOFT_DIRTY, _SWP_UFFD_WP, _SWP_EXCLUSIVE = RW, USER, 1 << 3
_SWP_TYPE_SHIFT, _SWP_OFFSET_SHIFT = 59, 14

NAMES = {1: "pte", 2: "pmd", 3: "pud", 4: "p4d", 5: "pgd"}
"""Of a level; with 4 levels the fourth is the pgd's."""

Words = Callable[[int, int], memoryview]
"""So many words of 64 bits at a physical address."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an address comes to.  level: 1 (pte) to 5, where the walk ended; value: the word there, 0: an empty one.

    address: the first that this entry stands for.
    """

    address: int
    level: int
    value: int

    @property
    def size(self) -> int:
        """Bytes that the entry stands for."""
        return 1 << PAGE_SHIFT + _BITS * (self.level - 1)

    @property
    def present(self) -> bool:
        """pte_present(), pmd_present(): something is mapped, perhaps so that no access is allowed (PROT_NONE)."""
        return bool(self.value & (PRESENT | PROTNONE | (PSE if self.level > 1 else 0)))

    @property
    def swapped(self) -> bool:
        """An entry that is no mapping: of swap, of a migration, or a marker."""
        return bool(self.value) and not self.present

    def pfn(self, address: int) -> int | None:
        """The frame of an address within the entry; None where nothing is mapped."""
        if not self.present:
            return None
        # An entry without _PAGE_PRESENT has its frame inverted, for L1TF (protnone_mask()).
        value = self.value if self.value & PRESENT else ~self.value
        return ((value & _FRAME & -self.size) + (address & self.size - 1)) >> PAGE_SHIFT

    @property
    def writable(self) -> bool:
        return self.present and bool(self.value & RW)

    @property
    def dirty(self) -> bool:
        return self.present and bool(self.value & (DIRTY | SAVED_DIRTY))

    @property
    def protnone(self) -> bool:
        """PROT_NONE, or a hint of NUMA balancing."""
        return self.value & (PRESENT | PROTNONE) == PROTNONE

    @property
    def soft_dirty(self) -> bool:
        return bool(self.value & (_SWP_SOFT_DIRTY if self.swapped else SOFT_DIRTY))

    @property
    def uffd_wp(self) -> bool:
        return bool(self.value & (_SWP_UFFD_WP if self.swapped else UFFD_WP))

    @property
    def swap(self) -> tuple[int, int] | None:
        """Type and offset of a swap entry (__swp_type(), __swp_offset()), of others than swap too; None: it is none."""
        if not self.swapped:
            return None
        offset = (~self.value & (1 << _SWP_TYPE_SHIFT) - 1) >> _SWP_OFFSET_SHIFT
        return self.value >> _SWP_TYPE_SHIFT, offset

    @property
    def swap_exclusive(self) -> bool:
        """_PAGE_SWP_EXCLUSIVE, since 5.19."""
        return self.swapped and bool(self.value & _SWP_EXCLUSIVE)


def walk(words: Words, top: int, levels: int, address: int) -> Entry:
    """The entry of one address.  top: physical address of the pgd.  Raises what `words` raises."""
    table = top
    for level in range(levels, 0, -1):
        shift = PAGE_SHIFT + _BITS * (level - 1)
        (value,) = words(table + 8 * (address >> shift & _ENTRIES - 1), 1)
        if level == 1 or _ends(value, level):
            return Entry(address & -(1 << shift), level, value)
        table = value & _FRAME
    raise AssertionError("a walk ends at the lowest level")


def entries(words: Words, top: int, levels: int, start: int, end: int) -> Iterator[Entry]:
    """All entries of a range that are not empty, in order of address.  Tables are read whole, each once."""
    yield from _entries(words, top, levels, 0, start, end)


def _entries(words: Words, table: int, level: int, base: int, start: int, end: int) -> Iterator[Entry]:
    size = 1 << PAGE_SHIFT + _BITS * (level - 1)
    first = max(0, (start - base) // size)
    last = min(_ENTRIES, -((base - end) // size))
    if last <= first:
        return
    for index, value in enumerate(words(table + 8 * first, last - first), first):
        if not value:
            continue
        here = base + index * size
        if level == 1 or _ends(value, level):
            yield Entry(here, level, value)
        else:
            yield from _entries(words, value & _FRAME, level - 1, here, start, end)


def _ends(value: int, level: int) -> bool:
    """Whether an entry above the lowest level is a leaf, empty, or no mapping."""
    return not value & PRESENT or (level in (2, 3) and bool(value & PSE))
