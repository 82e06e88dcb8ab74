"""Page tables on memory made by hand: 4 and 5 levels, leaves of each size, and each bit that is told."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from pinhold.inspect.tables import (
    DIRTY,
    PRESENT,
    PROTNONE,
    PSE,
    RW,
    SAVED_DIRTY,
    SOFT_DIRTY,
    UFFD_WP,
    Entry,
    entries,
    walk,
)

ADDRESS = 0x7F12_3456_7000


class Memory:
    """Physical memory with page tables, the highest of them at 0x1000."""

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.tables: dict[int, bytearray] = {0x1000: bytearray(4096)}
        self.reads = 0

    def put(self, address: int, level: int, value: int) -> None:
        """An entry at that level, and the tables above it."""
        table = 0x1000
        for above in range(self.levels, level, -1):
            at = address >> 12 + 9 * (above - 1) & 511
            (entry,) = struct.unpack_from("<Q", self.tables[table], 8 * at)
            if not entry:
                entry = 0x1000 * (len(self.tables) + 1) | PRESENT | RW
                self.tables[entry & ~0xFFF] = bytearray(4096)
                struct.pack_into("<Q", self.tables[table], 8 * at, entry)
            table = entry & ~0xFFF
        struct.pack_into("<Q", self.tables[table], 8 * (address >> 12 + 9 * (level - 1) & 511), value)

    def words(self, physical: int, count: int) -> memoryview:
        """As View.words()."""
        self.reads += 1
        start = physical & 0xFFF
        return memoryview(bytes(self.tables[physical & ~0xFFF][start : start + 8 * count])).cast("Q")


both = pytest.mark.parametrize("levels", [4, 5])


@both
@pytest.mark.parametrize(("level", "size"), [(1, 1 << 12), (2, 1 << 21), (3, 1 << 30)])
def test_a_leaf_of_each_size(levels: int, level: int, size: int) -> None:
    """The frame of an address within it; its level; its size."""
    memory = Memory(levels)
    address = ADDRESS | (3 << 48 if levels == 5 else 0)
    memory.put(address, level, 0x40_0000_0000 | PRESENT | (PSE if level > 1 else 0))
    entry = walk(memory.words, 0x1000, levels, address)
    assert (entry.level, entry.size, entry.address) == (level, size, address & -size)
    assert entry.pfn(address) == (0x40_0000_0000 + address % size) >> 12
    assert entry.present and not (entry.writable or entry.dirty or entry.soft_dirty or entry.uffd_wp or entry.swapped)


def test_a_kernel_with_five_levels_is_not_read_with_four() -> None:
    """What five levels map is not what four find: the number is the kernel's to tell."""
    memory = Memory(5)
    memory.put(ADDRESS, 1, 0x5000 | PRESENT)
    assert walk(memory.words, 0x1000, 5, ADDRESS).pfn(ADDRESS) == 5
    assert walk(memory.words, 0x1000, 4, ADDRESS).pfn(ADDRESS) is None


@both
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_where_nothing_is(levels: int, level: int) -> None:
    """The level at which the walk ended, and an entry that is none."""
    memory = Memory(levels)
    memory.put(ADDRESS, level, 0)
    entry = walk(memory.words, 0x1000, levels, ADDRESS)
    assert (entry.level, entry.value, entry.present, entry.swapped, entry.pfn(ADDRESS)) == (
        level,
        0,
        False,
        False,
        None,
    )


def leaf(bits: int, level: int = 1) -> Entry:
    return Entry(0, level, 0x1234_5000 | bits)


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        (RW, lambda entry: entry.writable),
        (DIRTY, lambda entry: entry.dirty),
        (SAVED_DIRTY, lambda entry: entry.dirty),
        (SOFT_DIRTY, lambda entry: entry.soft_dirty),
        (UFFD_WP, lambda entry: entry.uffd_wp),
    ],
    ids=["writable", "dirty", "saved-dirty", "soft-dirty", "uffd-wp"],
)
def test_each_bit(bits: int, told: Callable[[Entry], bool]) -> None:
    """Each is told where it is set and the entry maps something, and is not where it is not."""
    assert told(leaf(PRESENT | bits)) and not told(leaf(PRESENT))


def test_no_access_is_a_mapping_with_its_frame_inverted() -> None:
    """PROT_NONE and NUMA hints, of a page and of a huge one."""
    entry = Entry(0x7000, 1, ~0x1234_5000 & 0x000F_FFFF_FFFF_F000 | PROTNONE)
    assert entry.present and entry.protnone and entry.pfn(0x7123) == 0x12345
    huge = Entry(0, 2, ~0x1240_0000 & 0x000F_FFFF_FFFF_F000 | PROTNONE | PSE)
    assert huge.present and huge.pfn(0x3000) == 0x12403


def test_a_swap_entry_has_marks_of_its_own() -> None:
    """Type and offset, and soft-dirty, uffd-wp and exclusive in other bits than a mapping's."""
    value = 3 << 59 | (~77 << 14 & (1 << 59) - 1)
    entry = Entry(0, 1, value)
    assert entry.swap == (3, 77) and entry.swapped and not entry.present
    assert not (entry.soft_dirty or entry.uffd_wp or entry.swap_exclusive or entry.writable)
    marked = Entry(0, 1, value | 1 << 1 | 1 << 2 | 1 << 3)
    assert marked.soft_dirty and marked.uffd_wp and marked.swap_exclusive and not marked.writable
    assert leaf(PRESENT).swap is None


@both
def test_a_range_is_read_table_by_table(levels: int) -> None:
    """All entries in it that are not empty, in order, those at its edges included; each table once."""
    memory = Memory(levels)
    for page in range(1200):
        memory.put(ADDRESS + page * 4096, 1, page << 12 | PRESENT)
    memory.put(0x7F20_0000_0000, 2, 7 << 21 | PRESENT | PSE)
    memory.put(0x7F40_0000_0000, 3, 1 << 30 | PRESENT | PSE)
    memory.reads = 0
    found = list(entries(memory.words, 0x1000, levels, ADDRESS + 5 * 4096, ADDRESS + 1000 * 4096))
    assert [entry.pfn(entry.address) for entry in found] == list(range(5, 1000))
    assert [entry.address for entry in found] == [ADDRESS + page * 4096 for page in range(5, 1000)]
    assert memory.reads <= levels - 1 + 3
    found = list(entries(memory.words, 0x1000, levels, 0, 1 << 47))
    assert [entry.level for entry in found] == [1] * 1200 + [2, 3]
    # A range that begins within a huge page has it.
    inside = list(entries(memory.words, 0x1000, levels, 0x7F20_0000_3000, 0x7F20_0000_4000))
    assert [entry.pfn(0x7F20_0000_3000) for entry in inside] == [(7 << 9) + 3]
