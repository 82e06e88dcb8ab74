"""What a target saw after a step, in terms that every target shares.

A field that a target cannot see is None, and a comparison passes over it.  Frames are equivalence classes: equal or
different within one observation, never raw page frame numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.scenario.counts import Counts

PAGE_STATES = ("none", "present", "swapped")
PAGE_KINDS = ("anon", "file", "zero", "hugetlb", "ksm")
LEVELS = ("pte", "pmd", "pud")
"""Of the entry that maps a page."""
FOLL_FLAGS = ("FOLL_WRITE", "FOLL_GET", "FOLL_FORCE", "FOLL_LONGTERM", "FOLL_PIN")
"""The flags of GUP that a pin view tells, in the order of their values."""


@dataclass(frozen=True, slots=True)
class PageView:
    """One watched page of one process: `page` counts base pages from the region's start.

    exclusive: PageAnonExclusive, also as a swap entry keeps it.  anon: whether it is anonymous memory (PageAnon), which
    of hugetlb the kind does not tell.  Of the entry that maps it: level; writable; dirty (pte_dirty(), which is not the
    folio's dirty flag); soft_dirty, of a swap entry too, and true wherever the VMA has VM_SOFTDIRTY, as pagemap tells
    it; uffd_wp, of a swap entry too.  folio: a name for the folio that it belongs to, as of frames; offset: which page
    of the folio it is.  counts: what no process sees of itself, where somebody looked from outside.
    """

    proc: str
    region: str
    page: int
    state: str | None = None
    frame: int | None = None
    kind: str | None = None
    exclusive: bool | None = None
    mapcount: int | None = None
    byte: int | None = None
    anon: bool | None = None
    level: str | None = None
    writable: bool | None = None
    dirty: bool | None = None
    soft_dirty: bool | None = None
    uffd_wp: bool | None = None
    folio: int | None = None
    offset: int | None = None
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class PinView:
    """One page of a pin: `page` counts the pinned pages; `byte` only after expectations and device steps.

    owner: the process whose memory it is; range: what of it was taken, as a scenario writes it; flags: those of
    FOLL_FLAGS that it was taken with, joined by "|"; folio, offset: as of a page.  A copy holds nothing: it has an
    owner alone.
    """

    pin: str
    page: int
    frame: int | None = None
    byte: int | None = None
    owner: str | None = None
    range: str | None = None
    flags: str | None = None
    folio: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """errno: 0 or the (positive) errno of the step; None where the step has none (an expectation)."""

    errno: int | None
    pages: tuple[PageView, ...] = ()
    pins: tuple[PinView, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """`count` consecutive pages from `first` with the same content; byte None: not readable without a fault,
    MIXED: the page is not uniform."""

    first: int
    count: int
    byte: int | None


MIXED = -1


class FrameNames:
    """Names raw frames f0, f1, … in order of appearance.

    A name lives on only while an observation shows its frame: a freed frame number may come back as another page.  So a
    frame keeps its name from one observation to the next, and a name that is gone never comes back.
    """

    def __init__(self) -> None:
        self._names: dict[int, int] = {}
        self._next = 0
        self._seen: set[int] = set()

    def begin(self) -> None:
        """Start one observation."""
        self._seen = set()

    def name(self, raw: int) -> int:
        self._seen.add(raw)
        if raw not in self._names:
            self._names[raw] = self._next
            self._next += 1
        return self._names[raw]

    def end(self) -> None:
        """Forget the frames that the observation did not show."""
        self._names = {raw: n for raw, n in self._names.items() if raw in self._seen}
