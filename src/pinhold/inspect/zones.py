"""Which node, zone and memory block a page frame is of.

Zones by what they span (struct pglist_data, struct zone).  Blocks are what memory hotplug takes away or brings: so many
sections, numbered as in /sys/devices/system/memory (drivers/base/memory.c).
"""

from __future__ import annotations

from dataclasses import dataclass

from drgn import Object

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.records import NotThere
from pinhold.inspect.symbols import NUMA_NODES
from pinhold.inspect.view import View

_MOST_NODES = 1 << 10
_SECTION = 1 << 15
"""Frames (PAGES_PER_SECTION of x86-64)."""
_MOST_SECTIONS = 1 << 14


@dataclass(frozen=True, slots=True)
class Zone:
    """frames: those that it spans, holes too."""

    node: int
    name: str
    frames: range


def zones(view: View) -> list[Zone]:
    """Those that span any frames.  Raises CannotLook, drgn.FaultError."""
    return [zone for number, node in _nodes(view) for zone in _of_node(number, node)]


def zone_of(found: list[Zone], pfn: int) -> Zone | None:
    return next((zone for zone in found if pfn in zone.frames), None)


def _nodes(view: View) -> list[tuple[int, Object]]:
    table = view.symbols.address(NUMA_NODES)
    if table is None:
        return [(0, view.program["contig_page_data"].address_of_())]
    count = int(view.program["nr_node_ids"].value_())
    if not 0 < count <= _MOST_NODES:
        raise CannotLook(f"the kernel says that it has {count} nodes: this memory is damaged")
    words = memoryview(view.read(table, 8 * count)).cast("Q")
    return [(number, view.pointer("struct pglist_data *", at)) for number, at in enumerate(words) if at]


def _of_node(number: int, node: Object) -> list[Zone]:
    found = []
    for zone in node.node_zones:
        first, size = int(zone.zone_start_pfn.value_()), int(zone.spanned_pages.value_())
        if size:
            found.append(
                Zone(number, zone.name.string_().decode("utf-8", "backslashreplace"), range(first, first + size))
            )
    return found


def block_of(view: View, number: int) -> range:
    """The frames of a memory block.  Raises NotThere, drgn.FaultError."""
    try:
        sections = int(view.program["sections_per_block"].value_())
    except LookupError:
        raise NotThere("this kernel has no memory blocks (CONFIG_MEMORY_HOTPLUG)") from None
    if not 0 < sections <= _MOST_SECTIONS:
        raise CannotLook(f"a memory block has {sections} sections, says the kernel: this memory is damaged")
    frames = range(number * sections * _SECTION, (number + 1) * sections * _SECTION)
    if frames.start >= view.max_pfn:
        last = (view.max_pfn - 1) // len(frames)
        raise NotThere(f"this kernel has no memory block {number}: the last one is {last}, of {len(frames) >> 8} MiB")
    return frames
