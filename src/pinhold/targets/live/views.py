"""The watched pages of a scenario's processes as an observation has them: what a process sees of its own, and what the
kernel says of the frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pinhold.scenario.kinds import Kind
from pinhold.scenario.observation import FrameNames, PageView
from pinhold.targets.live import pagemap
from pinhold.targets.live import protocol as p
from pinhold.targets.live.entries import decode
from pinhold.targets.live.folios import Folios, Told
from pinhold.targets.live.pagemap import FrameWords, Sight


@dataclass(frozen=True, slots=True)
class Known:
    """What the controller knows of a region: where it is, its base pages, its kind, whether it is shared, and the level
    of the huge entries that can map it."""

    address: int
    pages: int
    kind: Kind
    shared: bool
    huge: str = "pmd"


All = Mapping[str, Mapping[str, Sequence[p.Seen]]]
"""What each process sees of its pages, by its name and region."""

Row = tuple[p.Seen, int | None, int | None, int | None, int | None, int | None]
"""What a process sees of a page; and of its frame the name, the flags and the count, the folio's name, and which of its
pages it is."""


class Place(NamedTuple):
    """A region of a process, what is known of it, and whether KSM has run."""

    proc: str
    region: str
    known: Known
    merged: bool


class Made(NamedTuple):
    """The views of a region's pages, and what each was made of."""

    rows: Sequence[Row | None]
    views: list[PageView]


class Views:
    """watched: the pages of each region, by its name."""

    def __init__(self, watched: Mapping[str, Sequence[int]], sight: Sight, names: FrameNames) -> None:
        self._watched = watched
        self._sight = sight
        self._frame_words = FrameWords()
        self.folios = Folios(self._frame_words)
        self._last: dict[Place, Made] = {}
        self._names = names

    def watch(self) -> p.Watch:
        """What the processes are to tell."""
        return p.Watch(self._watched, not self._sight.flags)

    def same(self, fd: int, regions: Mapping[str, Known], seen: Mapping[str, Sequence[p.Seen]]) -> bool:
        """Whether the pagemap of a process, read from outside, says of its watched pages what it has told of them."""
        return all(
            pagemap.words_of(fd, known.address, self._watched[name]) == [one[0] for one in seen[name]]
            for name, known in regions.items()
        )

    def frames(self, seen: All) -> Told:
        """What the kernel says of the frames of all present pages."""
        return self._frame_words.of(
            {frame for each in seen.values() for pages in each.values() for one in pages if (frame := _frame(one))}
        )

    def of(
        self,
        regions: Mapping[str, Mapping[str, Known]],
        seen: All,
        told: Told,
        merged: bool,
    ) -> Iterator[PageView]:
        """The views of all processes' pages, by process and region.  told: of their frames.  merged: KSM has run.

        A page that looks as it did, in a frame of which the kernel says what it did, has the view that it had.
        """
        for proc, known in regions.items():
            for name, region in known.items():
                rows = [self._row(one, told, region.huge) for one in seen[proc][name]]
                yield from self._made(Place(proc, name, region, merged), rows)

    def _made(self, place: Place, rows: list[Row]) -> list[PageView]:
        """The views of a region's pages; those that were made of the same are the same objects."""
        before = self._last.get(place, Made([None] * len(rows), []))
        if before.rows == rows:
            return before.views
        views = [
            before.views[at] if before.rows[at] == row else self._view(place, page, row)
            for at, (page, row) in enumerate(zip(self._watched[place.region], rows, strict=True))
        ]
        self._last[place] = Made(rows, views)
        return views

    def _row(self, seen: p.Seen, told: Told, huge: str) -> Row:
        frame = _frame(seen)
        if frame is None:
            return seen, None, None, None, None, None
        return seen, self._names.name(frame), *told[frame], *self.folios.place(frame, huge if seen[3] else "pte")

    def _view(self, place: Place, page: int, row: Row) -> PageView:
        proc, region, known, merged = place
        (word, byte, zero, huge, shown), name, flags, count, folio, offset = row
        state = pagemap.state(word)
        soft_dirty, uffd_wp = self._sight.marks(word)
        entry = None if shown is None else decode(shown)
        if state != "present":
            exclusive = entry.exclusive if entry and state == "swapped" and self._sight.anon_exclusive else None
            return PageView(proc, region, page, state, exclusive=exclusive, soft_dirty=soft_dirty, uffd_wp=uffd_wp)
        if flags is None:
            private_anonymous = known.kind.anonymous and not known.shared
            kind = pagemap.kind_without_flags(word, known.kind.hugetlb, private_anonymous, zero)
            anon = pagemap.anon_without_flags(word, known.kind.hugetlb, zero)
            exclusive = None
        else:
            kind, anon = self._sight.kind(flags), pagemap.bit(flags, pagemap.KPF_ANON)
            if entry:
                exclusive = entry.exclusive if anon and self._sight.anon_exclusive else None
            else:
                exclusive = self._sight.exclusive(flags, huge)
            if kind == "anon" and merged and not self._sight.ksm:
                kind = None
        return PageView(
            proc,
            region,
            page,
            state,
            frame=name,
            kind=kind,
            exclusive=exclusive,
            mapcount=count,
            byte=byte,
            anon=anon,
            level=entry.level if entry else None if huge is None else known.huge if huge else "pte",
            writable=entry.writable if entry else None,
            dirty=entry.dirty if entry else None,
            soft_dirty=soft_dirty,
            uffd_wp=uffd_wp,
            folio=folio,
            offset=offset,
        )

    def is_written_back(self, frame: int) -> bool:
        """Whether its content is on the way to a device."""
        return pagemap.bit(self._frame_words.flags(frame) or 0, pagemap.KPF_WRITEBACK)

    def close(self) -> None:
        self._frame_words.close()


def _frame(seen: p.Seen) -> int | None:
    return pagemap.pfn(seen[0])
