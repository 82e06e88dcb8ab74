"""The watched pages of a scenario's processes as an observation has them: what a process sees of its own, and what the
kernel says of the frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pinhold.scenario.kinds import Kind
from pinhold.scenario.observation import FrameNames, PageView
from pinhold.targets.live import pagemap
from pinhold.targets.live import protocol as p
from pinhold.targets.live.entries import decode
from pinhold.targets.live.pagemap import FrameWords, Sight


@dataclass(frozen=True, slots=True)
class Known:
    """What the controller knows of a region: its base pages, its kind, whether it is shared, and the level of the huge
    entries that can map it."""

    pages: int
    kind: Kind
    shared: bool
    huge: str = "pmd"


class Views:
    """watched: the pages of each region, by its name."""

    def __init__(self, watched: Mapping[str, Sequence[int]], sight: Sight) -> None:
        self._watched = watched
        self._sight = sight
        self._frame_words = FrameWords()
        self.names = FrameNames()

    def watch(self) -> p.Watch:
        """What the processes are to tell."""
        return p.Watch(self._watched, not self._sight.flags)

    def begin(self) -> None:
        """An observation begins."""
        self.names.begin()

    def end(self) -> None:
        """Frames that the observation does not show are forgotten."""
        self.names.end()

    def of(
        self, proc: str, regions: Mapping[str, Known], seen: Mapping[str, Sequence[p.Seen]], merged: bool
    ) -> Iterator[PageView]:
        """The views of a process's pages.  merged: KSM has run."""
        for name, known in regions.items():
            for page, one in zip(self._watched[name], seen[name], strict=True):
                yield self._view(proc, name, page, known, one, merged)

    def _view(self, proc: str, region: str, page: int, known: Known, seen: p.Seen, merged: bool) -> PageView:
        word, byte, zero, huge, told = seen
        state = pagemap.state(word)
        soft_dirty, uffd_wp = self._sight.marks(word)
        entry = None if told is None else decode(told)
        if state != "present":
            exclusive = entry.exclusive if entry and state == "swapped" and self._sight.anon_exclusive else None
            return PageView(proc, region, page, state, exclusive=exclusive, soft_dirty=soft_dirty, uffd_wp=uffd_wp)
        frame = pagemap.pfn(word)
        flags = self._frame_words.flags(frame)
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
            frame=None if frame is None else self.names.name(frame),
            kind=kind,
            exclusive=exclusive,
            mapcount=self._frame_words.count(frame),
            byte=byte,
            anon=anon,
            level=entry.level if entry else None if huge is None else known.huge if huge else "pte",
            writable=entry.writable if entry else None,
            dirty=entry.dirty if entry else None,
            soft_dirty=soft_dirty,
            uffd_wp=uffd_wp,
        )

    def is_written_back(self, frame: int) -> bool:
        """Whether its content is on the way to a device."""
        return pagemap.bit(self._frame_words.flags(frame) or 0, pagemap.KPF_WRITEBACK)

    def close(self) -> None:
        self._frame_words.close()
