"""Areas of the contiguous memory allocator, and the page frames of each; mm/cma.c.

They lie within zones, and page frames of theirs are lent for movable memory alone: one that is pinned makes cma_alloc()
fail.  The kernel lists its areas in `cma_areas`; one has a range of frames, in newer kernels several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drgn import Object

from pinhold.inspect.holders.kept import bounded
from pinhold.inspect.records import NotThere
from pinhold.inspect.symbols import CMA_AREAS
from pinhold.inspect.view import View

NAME = "CMA"
"""What --zone calls them: all, or one as CMA:NAME."""

_TYPE = "struct cma"
_MOST = 1 << 10


@dataclass(frozen=True, slots=True)
class Area:
    """name: as it was set aside, such as "reserved" (cma= on the command line) or "hugetlb0"."""

    name: str
    frames: tuple[range, ...]


def areas(view: View) -> list[Area]:
    """Those that have frames; none where the kernel has no CMA.  Raises CannotLook, drgn.FaultError."""
    first = view.symbols.address(CMA_AREAS)
    if first is None:
        return []
    count = bounded(int(view.program["cma_area_count"].value_()), _MOST, "areas of CMA")
    array = view.pointer(f"{_TYPE} *", first)
    found = [_area(view, array[index].read_()) for index in range(count)]
    return [area for area in found if area.frames]


def _area(view: View, area: Object) -> Area:
    name = area.name.string_().decode("utf-8", "backslashreplace")
    return Area(name, tuple(frames for frames in _ranges(view, area) if frames))


def _ranges(view: View, area: Object) -> Iterator[range]:
    several = view.has(_TYPE, "ranges")
    count = bounded(int(area.nranges.value_()), len(area.ranges), "ranges of an area of CMA") if several else 1
    for one in area.ranges[:count] if several else [area]:
        base = int(one.base_pfn.value_())
        yield range(base, base + int(one.member_("count").value_()))


def frames_of(found: list[Area], asked: str) -> list[range]:
    """Of all areas, or of the one that is asked for.  Raises NotThere."""
    if not found:
        raise NotThere("this kernel has no area of CMA: it was built without CONFIG_CMA, or none was set aside (cma=)")
    name = asked.partition(":")[2]
    frames = [frames for area in found if name in ("", area.name) for frames in area.frames]
    if not frames:
        raise NotThere(f"this kernel has no area of CMA {name!r}: it has {', '.join(area.name for area in found)}")
    return frames


def area_of(found: list[Area], pfn: int) -> str:
    """The name of the area that a frame is in; "": of none."""
    return next((area.name for area in found if any(pfn in frames for frames in area.frames)), "")
