"""One look at a scenario: what all its processes and pins show at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinhold.scenario.observation import FrameNames, PageView, PinView
from pinhold.scenario.steps import (
    Action,
    Capability,
    ClearSoftDirty,
    DirectWrite,
    Drain,
    Exit,
    Fork,
    IoUring,
    LimitMemlock,
    Map,
    Mprotect,
    Mremap,
    Pin,
    ProcessVmReadv,
    Read,
    SwapIn,
    Unmap,
    Unpin,
    Vmsplice,
)
from pinhold.targets.live import protocol as p
from pinhold.targets.live.folios import Told
from pinhold.targets.live.pagemap import Sight
from pinhold.targets.live.taking import LivePins
from pinhold.targets.live.tree import Tree
from pinhold.targets.live.views import All, Known, Views

_LOOKS = 5
"""Pages that move under each of so many looks are told as they were seen last."""

OWN = (
    *(Map, Unmap, Mremap, Mprotect, ClearSoftDirty, Read, SwapIn, Fork, Exit, LimitMemlock, Capability, Drain),
    *(Pin, IoUring, Vmsplice, Unpin, ProcessVmReadv, DirectWrite),
)
"""Steps that store to no page, and change no page-table entry of another process but to map another page there or none,
which pagemap shows."""

Regions = Mapping[str, Mapping[str, Known]]
"""Process -> region -> what is known of it."""


class Looking:
    """names: those of the frames."""

    def __init__(self, tree: Tree, sight: Sight, views: Views, names: FrameNames, pins: LivePins) -> None:
        self._tree = tree
        self._sight = sight
        self._views = views
        self._names = names
        self._pins = pins
        self._own = False

    def after(self, action: Action) -> None:
        """The next look is after this step."""
        self._own = self._sight.frames and isinstance(action, OWN)

    def at(self, regions: Regions, merged: bool) -> tuple[tuple[PageView, ...], tuple[PinView, ...]]:
        """Every watched page of every live process, first and last page of every live pin.  merged: KSM has run."""
        seen, told = self._look(regions)
        self._names.begin()
        self._views.folios.begin(told)
        pages = tuple(self._views.of({proc: regions[proc] for proc in seen}, seen, told, merged))
        pins = tuple(self._pins.views(self._names, self._views.folios))
        self._names.end()
        self._views.folios.end()
        return pages, pins

    def _look(self, regions: Regions) -> tuple[All, Told]:
        """What the processes see, and what the kernel says of the frames in the same moment: what has changed when
        both are known, as the kernel may move any page, is looked at again."""
        if self._own:
            self._tree.fresh()
        self._own = False
        for _ in range(_LOOKS):
            seen = self._tree.seen()
            told = self._views.frames(seen)
            changed = [proc for proc in seen if not self._same(proc, regions[proc], seen[proc])]
            if not changed:
                break
            self._tree.stale(changed)
        self._tree.stale()
        return seen, told

    def _same(self, proc: str, regions: Mapping[str, Known], seen: Mapping[str, Sequence[p.Seen]]) -> bool:
        """Whether a process's watched pages are where they were when it told of them, as far as anybody can see."""
        if not self._sight.frames:
            return True
        try:
            return self._views.same(self._tree.pagemap(proc), regions, seen)
        except OSError:  # it has just ended
            return False
