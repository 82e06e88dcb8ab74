"""Which node and zone a page frame is of, by what the zones span (struct pglist_data, struct zone)."""

from __future__ import annotations

from dataclasses import dataclass

from drgn import Object

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.symbols import NUMA_NODES
from pinhold.inspect.view import View

_MOST_NODES = 1 << 10


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
