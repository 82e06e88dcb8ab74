"""What is pinned in a kernel that is looked into: who holds it, where it is mapped, and in which state it is."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from drgn import FaultError

from pinhold.inspect import cma
from pinhold.inspect.errors import CannotLook, unread
from pinhold.inspect.files import Task, tasks
from pinhold.inspect.folio import Folio, folio_at, head_of
from pinhold.inspect.holders import Found, Holders, unknown
from pinhold.inspect.holders.kept import PAGE, Run
from pinhold.inspect.loose import CHANGED, Loose, without_counts
from pinhold.inspect.records import (
    TRANSIENT,
    At,
    Buffer,
    Holder,
    Looked,
    NotThere,
    Owner,
    PinnedFolio,
    Process,
    ProcessPins,
    Selection,
    State,
    Told,
)
from pinhold.inspect.scan import pinned
from pinhold.inspect.state import ENDED, Judged, by_rmap, judge
from pinhold.inspect.view import View
from pinhold.inspect.zones import Zone, block_of, zone_of, zones

_LOOKS = 5


class Look:
    """One look.  at: see At."""

    def __init__(self, view: View, at: At = lambda what, done, total: None) -> None:
        self._view = view
        self._at = at
        self._zones: list[Zone] = []
        self._areas: list[cma.Area] = []
        self._by_mm: dict[int, Task] = {}
        self._folios: dict[object, PinnedFolio] = {}
        self._buffers: list[Buffer] = []
        self._unknown: list[Holder] = []
        self._held: list[range] = []
        self._loose = Loose(view)
        self._inconsistent: set[int] = set()

    def look(self, selection: Selection) -> Told:
        """What is asked for.  Raises NotThere, CannotLook."""
        try:
            with self._view.paused():
                frames, told = self._look(selection)
            with self._later():
                self._settle()
        except FaultError as wrong:
            raise CannotLook(f"{self._view.source.name}: the kernel's memory cannot be read: {unread(wrong)}") from None
        wanted = filter(_wanted(selection, frames), self._folios.values())
        return replace(told, folios=tuple(sorted(wanted, key=lambda folio: folio.pfn)))

    def _look(self, selection: Selection) -> tuple[list[range], Told]:
        """Which frames are asked for, and all but the folios."""
        self._zones, self._areas = zones(self._view), cma.areas(self._view)
        processes = self._processes()
        self._by_mm = {task.mm: task for task in processes}
        if selection.pid is not None and all(task.process.pid != selection.pid for task in processes):
            raise NotThere(f"no process {selection.pid} with memory of its own is in this kernel")
        frames = self._frames(selection)
        self._walk(processes)
        for some in frames:
            self._scan(some)
        wanted = [task for task in processes if selection.pid in (None, task.process.pid)]
        buffers = tuple(
            one for one in self._buffers if selection.pid in (None, one.holder.process and one.holder.process.pid)
        )
        told = Told(
            source=self._view.source.name,
            release=self._view.info.release,
            processes=tuple(_charged(task) for task in wanted),
            buffers=() if selection.of_frames else buffers,
            looked=Looked("processes", len(processes), len(self._inconsistent)),
        )
        return frames, told

    def _frames(self, selection: Selection) -> list[range]:
        """Those that are asked for.  Raises NotThere."""
        if selection.pfn is not None:
            if selection.pfn >= self._view.max_pfn:
                raise NotThere(f"this kernel has no page frame {selection.pfn:#x}: it ends at {self._view.max_pfn:#x}")
            return [range(selection.pfn, selection.pfn + 1)]
        if selection.block is not None:
            return [block_of(self._view, selection.block)]
        if selection.zone is None:
            return [range(self._view.max_pfn)]
        if selection.zone.partition(":")[0] == cma.NAME:
            return cma.frames_of(self._areas, selection.zone)
        found = [zone.frames for zone in self._zones if zone.name == selection.zone]
        if not found:
            names = ", ".join(dict.fromkeys(zone.name for zone in self._zones))
            raise NotThere(f"this kernel has no zone {selection.zone!r}: it has {names}")
        return found

    def _scanned(self, done: int) -> None:
        self._at("frames", done, self._view.max_pfn)

    def _processes(self) -> list[Task]:
        """Those with memory.  Of a kernel that runs on the list may break while it is walked: then again."""
        for look in range(1, _LOOKS + 1):
            try:
                return [task for task in tasks(self._view) if task.mm]
            except (FaultError, CannotLook):
                if not self._view.source.changes or look == _LOOKS:
                    raise
        raise AssertionError("the last look returns or raises")

    def _walk(self, processes: list[Task]) -> None:
        """Every holder, once."""
        holders = Holders(self._view)
        seen: set[tuple[str, int]] = set()
        for done, task in enumerate(processes):
            self._at("processes", done, len(processes))
            found, consistent = holders.of(task)
            if not consistent:
                self._inconsistent.add(task.mm)
            for one in found:
                if one.key not in seen:
                    seen.add(one.key)
                    self._hold(one, task, holders)

    def _hold(self, found: Found, task: Task, holders: Holders) -> None:
        holder = found.holder
        if holder.kind == unknown.KIND:
            self._unknown.append(holder)
        for unseen in found.unseen:
            at = replace(holder, address=unseen.address or None)
            self._buffers.append(Buffer(at, unseen.size, reason=unseen.reason))
        if found.trouble:
            self._buffers.append(Buffer(holder, reason=found.trouble))
        self._held += [range(run.pfn, run.pfn + run.pages) for run in found.runs]
        for judged in self._settled(found, task, holders):
            self._add(judged, [replace(holder, address=judged.run.address)])

    def _settled(self, found: Found, task: Task, holders: Holders) -> list[Judged]:
        """What is held, in its states.  Of a kernel that runs on both have to be the same twice: else what was given
        back, and is mapped no more, would be told as stale."""
        first = self._judged(found)
        if not self._view.source.changes or not found.runs:
            return first
        for _ in range(_LOOKS):
            now = next((one for one in holders.of(task)[0] if one.key == found.key), None)
            if now is None:
                return []  # it has been given back
            second = self._judged(now)
            if now == found and list(map(without_counts, first)) == list(map(without_counts, second)):
                return second
            found, first = now, second
        self._inconsistent.add(task.mm)
        return [replace(judged, state=State.UNKNOWN, reason=CHANGED) for judged in first]

    def _judged(self, found: Found) -> list[Judged]:
        """Every part of what is held; one that cannot be read is left open."""
        judged: list[Judged] = []
        for run in found.runs:
            try:
                judged += self._of_run(run, found.holder)
            except (FaultError, CannotLook) as wrong:
                buffer = Buffer(replace(found.holder, address=run.address), run.pages * PAGE, reason=str(wrong))
                if buffer not in self._buffers:
                    self._buffers.append(buffer)
        return judged

    def _of_run(self, run: Run, holder: Holder) -> Iterator[Judged]:
        if run.address is None:
            task = next((t for t in self._by_mm.values() if t.process == holder.process), None)
            yield from by_rmap(self._view, run, task.mm if task else 0)
        elif run.mm in self._by_mm:
            yield from judge(self._view, self._view.pointer("struct mm_struct *", run.mm), run)
        else:
            for folio, part in _by_folio(self._view, run):
                yield Judged(part, folio, State.UNMAPPED, ENDED)

    def _scan(self, frames: range) -> None:
        """What is pinned and held by nobody that is known."""
        held = _Frames(self._held)
        if len(frames) == 1:  # perhaps within a folio
            frames = range(head_of(self._view, frames.start), frames.stop)
        for folio in pinned(self._view, frames, self._scanned):
            if folio.pins and not held.meets(range(folio.pfn, folio.pfn + folio.pages)):
                self._loose.add(folio)

    @contextmanager
    def _later(self) -> Iterator[None]:
        """A moment later, and the kernel stands still again; at once where nothing waits for it."""
        if not self._loose.wait:
            yield
            return
        time.sleep(self._loose.wait)
        with self._view.paused():
            yield

    def _settle(self) -> None:
        """What is held by nobody that is known: by a module perhaps, or by I/O that has ended since."""
        for judged, gone in self._loose.settled():
            self._add(judged, [Holder(TRANSIENT)] if gone else self._suspects(judged))

    def _suspects(self, judged: Judged) -> list[Holder]:
        """Files of modules that are not known, of the processes whose memory it is; of all where it is nobody's."""
        owners = {self._by_mm[mm].process for mm, _ in judged.places if mm in self._by_mm}
        found = [one for one in self._unknown if one.process in owners or not owners]
        return found or [Holder(unknown.KIND)]

    def _add(self, judged: Judged, holders: Sequence[Holder]) -> None:
        run, folio = judged.run, judged.folio
        zone = zone_of(self._zones, run.pfn)
        owners = [Owner(self._by_mm[mm].process, at) for mm, at in judged.places if mm in self._by_mm]
        counted = folio.kind not in ("zero", "free")
        one = PinnedFolio(
            pfn=run.pfn,
            kind=folio.kind,
            size=run.pages * PAGE,
            node=zone.node if zone else 0,
            zone=zone.name if zone else "?",
            pins=folio.pins if counted and run.pinned else None,
            dma_pinned=counted and folio.taken_for_pinned,
            owners=tuple(owners),
            holders=tuple(holders),
            state=judged.state,
            reason=judged.reason,
            cma=cma.area_of(self._areas, run.pfn),
        )
        key = replace(one, holders=())
        before = self._folios.get(key)
        self._folios[key] = one if before is None else replace(one, holders=before.holders + one.holders)


class _Frames:
    """Ranges of frames, to be asked for by what meets them."""

    def __init__(self, ranges: Iterable[range]) -> None:
        self._ranges = sorted(ranges, key=lambda one: one.start)
        self._starts = [one.start for one in self._ranges]
        self._longest = max(map(len, self._ranges), default=0)

    def meets(self, frames: range) -> bool:
        """Whether any of them is in one of the ranges."""
        index = bisect_left(self._starts, frames.stop)
        while index and self._starts[index - 1] > frames.start - self._longest:
            index -= 1
            if self._ranges[index].stop > frames.start:
                return True
        return False


def _by_folio(view: View, run: Run) -> Iterator[tuple[Folio, Run]]:
    """A run in parts, one a folio."""
    done = 0
    while done < run.pages:
        pfn = run.pfn + done
        folio = folio_at(view, pfn)
        pages = max(1, min(run.pages - done, folio.pfn + folio.pages - pfn))
        address = None if run.address is None else run.address + done * PAGE
        yield folio, Run(pfn, pages, address, run.mm, run.pinned)
        done += pages


def _charged(task: Task) -> ProcessPins:
    pinned = locked = 0
    with suppress(FaultError, LookupError):
        mm = task.task.mm.read_()
        pinned, locked = int(mm.pinned_vm.counter.value_()), int(mm.locked_vm.value_())
    return ProcessPins(task.process, pinned * PAGE, locked * PAGE)


def _wanted(selection: Selection, frames: Sequence[range]) -> Callable[[PinnedFolio], bool]:
    """Whether a folio is asked for."""

    def wanted(folio: PinnedFolio) -> bool:
        own = range(folio.pfn, folio.pfn + folio.size // PAGE)
        return (
            (selection.pid is None or selection.pid in _pids(folio))
            and any(own.start < some.stop and some.start < own.stop for some in frames)
            and (selection.address is None or _reaches(folio, selection))
        )

    return wanted


def _pids(folio: PinnedFolio) -> set[int]:
    processes: set[Process | None] = {owner.process for owner in folio.owners}
    processes |= {holder.process for holder in folio.holders}
    return {process.pid for process in processes if process is not None}


def _reaches(folio: PinnedFolio, selection: Selection) -> bool:
    return any(
        owner.process.pid == selection.pid and owner.address <= (selection.address or 0) < owner.address + folio.size
        for owner in folio.owners
    )
