"""One look at a scenario on the model: what all its watched pages and pins show at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pinhold.mm.state import State
from pinhold.scenario.observation import FrameNames, Observation, PageView, PinView
from pinhold.targets.model.counts import counts_at
from pinhold.targets.model.sight import Row, page_row

Regions = Mapping[str, Mapping[str, tuple[int, int]]]
"""Process -> region -> first address and pages."""

Rows = Sequence[tuple[tuple[str, str, int], Row]]
"""Process, region and page, and what there is."""


class Held(NamedTuple):
    """What a PinView says, but with frames by their numbers: pfn is the page's own, head the first of its folio.  A
    page of a copy has none."""

    pin: str
    page: int
    byte: int | None
    owner: str
    range: str | None = None
    flags: str | None = None
    pfn: int = -1
    head: int = -1


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to look at.  mms: slots of processes on the machine."""

    m: State
    mms: Mapping[str, int]
    regions: Regions
    pins: Sequence[Held]


class Looking:
    """watched: the pages of each region; counts: whether views have counts.  Frames and folios keep their names from
    one look to the next, and what looks as it did before is the same view."""

    def __init__(self, watched: Mapping[str, Sequence[int]], counts: bool = False) -> None:
        self._watched = watched
        self._counts = counts
        self._frames = FrameNames()
        self._folios = FrameNames()
        self._pages: dict[object, PageView] = {}
        self._pins: dict[object, PinView] = {}

    def rows(self, scene: Scene) -> Rows:
        """Every watched page of every process."""
        return [
            ((proc, region, page), self._row(scene.m, scene.mms[proc], start + page))
            for proc, regions in scene.regions.items()
            for region, (start, size) in regions.items()
            for page in self._watched.get(region, ())
            if page < size
        ]

    def _row(self, m: State, mm: int, addr: int) -> Row:
        row = page_row(m, mm, addr)
        return row._replace(counts=counts_at(m, mm, addr)) if self._counts else row

    def at(self, rows: Rows, pins: Sequence[Held], errno: int | None) -> Observation:
        """Those pages, and first and last page of every pin, their frames with names."""
        self._frames.begin()
        self._folios.begin()
        seen = tuple([self._page(place, row) for place, row in rows]), tuple(map(self._pin, pins))
        self._frames.end()
        self._folios.end()
        return Observation(errno, *seen)

    def _page(self, place: tuple[str, str, int], row: Row) -> PageView:
        frame, folio, offset = self._names(row.pfn, row.head)
        what = place, frame, folio, row
        view = self._pages.get(what)
        if view is None:
            view = self._pages[what] = PageView(
                *place,
                state=row.state,
                frame=frame,
                kind=row.kind,
                exclusive=row.exclusive,
                mapcount=row.mapcount,
                byte=row.byte,
                anon=row.anon,
                level=row.level,
                writable=row.writable,
                dirty=row.dirty,
                soft_dirty=row.soft_dirty,
                uffd_wp=False,
                folio=folio,
                offset=offset,
                counts=row.counts,
            )
        return view

    def _pin(self, held: Held) -> PinView:
        frame, folio, offset = self._names(held.pfn, held.head)
        what = frame, folio, held
        view = self._pins.get(what)
        if view is None:
            told = held.byte, held.owner, held.range, held.flags
            view = self._pins[what] = PinView(held.pin, held.page, frame, *told, folio, offset)
        return view

    def _names(self, pfn: int, head: int) -> tuple[int | None, int | None, int | None]:
        """Of a frame and of its folio, and which of its pages it is."""
        return (None, None, None) if pfn < 0 else (self._frames.name(pfn), self._folios.name(head), pfn - head)
