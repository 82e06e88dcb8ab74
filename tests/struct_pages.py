"""Struct pages made by hand, as two kernels have them."""

from __future__ import annotations

import struct
from dataclasses import replace

from pinhold.inspect.layout import Layout, PageType

FLAGS = {"PG_lru": 5, "PG_head": 6, "PG_private": 15, "PG_swapcache": 10, "PG_anon_exclusive": 17, "PG_swapbacked": 19}
NEW = Layout(
    size=64, page_flags=0, head=8, mapping=24, index=32, private=40, mapcount=48, refcount=52, order=64,
    pincount=92, entire_mapcount=88, large_mapcount=80, nr_pages_mapped=84,
    flags=FLAGS, types={"hugetlb": PageType(0xFF << 24, 0xF4 << 24), "slab": PageType(0xFF << 24, 0xF5 << 24)},
)  # fmt: skip
"""As 6.18 and 7.3 have it."""
OLD = replace(
    NEW, order=81, pincount=144, entire_mapcount=84, large_mapcount=None, nr_pages_mapped=None, dtor=80, hugetlb_dtor=2,
    flags={name: FLAGS[name] for name in FLAGS if name != "PG_anon_exclusive"} | {"PG_slab": 9, "PG_double_map": 7},
    types={},
)  # fmt: skip
"""As 5.10 has it: flags of the second page among them, pins in the third."""
CLEARED = {
    "6.10": replace(
        NEW, types={"hugetlb": PageType(0xF000_0800, 0xF000_0000), "slab": PageType(0xF000_1000, 0xF000_0000)}
    ),
    "6.11": replace(NEW, types={"hugetlb": PageType(0x8400_0000, 1 << 31), "slab": PageType(0x8200_0000, 1 << 31)}),
}
"""Two kernels whose page types are bits that are cleared."""
VMEMMAP = 0xFFFF_EA00_0000_0000
ANON = 0xFFFF_8880_0000_1000 | 1
FILE = 0xFFFF_8880_0000_2000


def page(layout: Layout, flags: str = "", **words: int) -> bytearray:
    """A struct page.  words: of the layout, by name."""
    made = bytearray(layout.size)
    struct.pack_into("<i", made, layout.mapcount, -1)
    struct.pack_into("<Q", made, layout.page_flags, sum(1 << layout.flags[f"PG_{name}"] for name in flags.split()))
    for name, value in words.items():
        signed = name in ("mapcount", "refcount")
        struct.pack_into("<i" if signed else "<Q", made, getattr(layout, name), value)
    return made


def large(layout: Layout, order: int, pins: int, entire: int, **words: int) -> bytearray:
    """The first four struct pages of a large folio."""
    made = page(layout, "head lru", **words) + b"".join(page(layout) for _ in range(3))
    made[layout.order] = order
    struct.pack_into("<i", made, layout.entire_mapcount, entire - 1)
    struct.pack_into("<i", made, layout.pincount, pins)
    if layout.large_mapcount is not None:
        struct.pack_into("<i", made, layout.large_mapcount, entire - 1)
    return made
