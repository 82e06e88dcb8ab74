"""What a process sees of its own regions: its pagemap, its mappings, and the bytes that it may load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from pinhold.targets.live import content, pagemap, vmas
from pinhold.targets.live import protocol as p
from pinhold.targets.live.entries import Entries
from pinhold.targets.live.regions import Region
from pinhold.targets.live.syscalls import PAGE


class Eyes:
    """Looking changes nothing: a byte is loaded where a page is present and may be read, and nowhere else."""

    def __init__(self) -> None:
        self._pagemap = vmas.open_pagemap()
        self._entries = Entries()
        self._watch = p.Watch({}, zero=False)
        self._told: dict[str, list[p.Seen]] = {}
        self._touchable: dict[tuple[int, int, bool], list[vmas.Span]] = {}

    def watch(self, watch: p.Watch) -> None:
        """What news() is about."""
        self._watch = watch

    def forked(self) -> None:
        """This is a child now: nobody has been told of it, and its mappings are not all of its parent's."""
        os.close(self._pagemap)
        self._pagemap = vmas.open_pagemap()
        self._told = {}
        self.remapped()

    def close(self) -> None:
        """Look no more."""
        os.close(self._pagemap)
        self._entries.close()

    def remapped(self) -> None:
        """The process has changed its mappings, or their rights."""
        self._touchable.clear()

    def news(self, regions: Mapping[str, Region]) -> p.News:
        """The watched pages of the regions that do not look as they did at the last time."""
        found = {}
        for name, pages in self._watch.pages.items():
            if name in regions:
                seen = self._seen(regions[name], pages)
                if self._told.get(name) != seen:
                    self._told[name] = found[name] = seen
        return found

    def _seen(self, region: Region, pages: Sequence[int]) -> list[p.Seen]:
        words = pagemap.words_of(self._pagemap, region.address, pages)
        if not any(word & (pagemap.PM_PRESENT | pagemap.PM_SWAP) for word in words):
            return [(word, None, None, None, None) for word in words]
        readable = self._accessible(region.address, region.end, write=False)
        zero = self._scan(region, vmas.PAGE_IS_PFNZERO) if self._watch.zero else None
        addresses = [region.address + page * PAGE for page in pages]
        entries = self._entries.of(addresses)
        huge = self._huge(region) if entries is None else None
        views: list[p.Seen] = []
        for address, word, entry in zip(addresses, words, entries or [None] * len(pages), strict=True):
            byte = None
            if word & pagemap.PM_PRESENT and _within(address, readable):
                byte = content.load(address)
            views.append((word, byte, _within(address, zero), _within(address, huge), entry))
        return views

    def words(self, region: Region, pages: Sequence[int]) -> list[int]:
        """The pagemap words of some pages, ascending."""
        return pagemap.words_of(self._pagemap, region.address, pages)

    def _scan(self, region: Region, category: int) -> list[vmas.Span] | None:
        return vmas.scan(self._pagemap, region.address, region.end, category)

    def touchable(self, address: int, pages: int, write: bool) -> int:
        """How many of the pages, from the first on, can be touched without a SIGSEGV."""
        spans = self._accessible(address, address + pages * PAGE, write)
        return (spans[0][1] - address) // PAGE if spans and spans[0][0] == address else 0

    def _accessible(self, start: int, end: int, write: bool) -> list[vmas.Span]:
        """What may be touched of [start, end): it stays so until this process maps something else."""
        asked = start, end, write
        if asked not in self._touchable:
            self._touchable[asked] = vmas.accessible(*asked)
        return self._touchable[asked]

    def _huge(self, region: Region) -> list[vmas.Span] | None:
        """Where huge entries map the region; None where it cannot be seen."""
        if region.pages < vmas.HUGE_PAGES:
            return []
        spans = self._scan(region, vmas.PAGE_IS_HUGE)
        if spans is not None:
            return spans
        if region.unit > PAGE:
            return [(region.address, region.end)]
        words = pagemap.words(self._pagemap, region.address, region.pages)
        return vmas.huge_entries(region.address, region.end, words, region.private_anonymous)

    def contents(self, region: Region, address: int, pages: int) -> list[p.Piece]:
        """The bytes of pages at `address`, as far as they are present and may be read."""
        readable = self._accessible(address, address + pages * PAGE, write=False)
        stretches = [
            (first, count, state == "present" and visible)
            for first, count, state, visible in self._pieces(region, address, pages, readable)
        ]
        return [(run.first, run.count, run.byte) for run in content.runs(region.address, stretches)]

    def states(self, region: Region, address: int, pages: int) -> tuple[list[tuple[int, int, str]], bool]:
        """The states of pages at `address`, and whether "huge" can be told from "present"."""
        huge = self._huge(region)
        stretches = [
            (first, count, "huge" if state == "present" and in_huge else state)
            for first, count, state, in_huge in self._pieces(region, address, pages, huge or [])
        ]
        return stretches, huge is not None

    def _pieces(
        self, region: Region, address: int, pages: int, spans: list[vmas.Span]
    ) -> Iterator[tuple[int, int, str, bool]]:
        """(first, count, state, within the spans) over pages at `address`, numbered from the region's start."""
        for first, count, state in pagemap.states(pagemap.words(self._pagemap, address, pages)):
            start = address + first * PAGE
            for low, high, inside in vmas.cut(start, start + count * PAGE, spans):
                yield (low - region.address) // PAGE, (high - low) // PAGE, state, inside


def _within(address: int, spans: list[vmas.Span] | None) -> bool | None:
    if spans is None:
        return None
    return any(first <= address < end for first, end in spans)
