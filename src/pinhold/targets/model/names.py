"""What a scenario's names stand for on the model: processes, regions, files and pins as numbers of the machine."""

from __future__ import annotations

from pinhold.mm import flags as k
from pinhold.mm.machine import Machine
from pinhold.mm.vma import find_vma
from pinhold.scenario import steps as s
from pinhold.scenario.ranges import encode_range
from pinhold.targets.base import CannotDo
from pinhold.targets.model.calls import Span


class Names:
    """mms, pins: name -> slot; regions: process -> region -> first page and size; files: region -> its file's slot.

    coming: the slots of children whose fork() has begun and not ended, which have no name yet.
    """

    def __init__(self, m: Machine) -> None:
        self.m = m
        self.mms: dict[str, int] = {}
        self.regions: dict[str, dict[str, tuple[int, int]]] = {}
        self.files: dict[str, int] = {}
        self.pins: dict[str, int] = {}
        self.coming: set[int] = set()
        self._next_address = 0

    def started(self, name: str, mm: int) -> None:
        """A process without regions."""
        self.mms[name] = mm
        self.regions[name] = {}

    def forked(self, a: s.Fork, mm: int) -> None:
        """The child has what its parent had."""
        self.started(a.child, mm)
        self.regions[a.child] = dict(self.regions[a.proc])

    def exited(self, proc: str) -> None:
        del self.mms[proc], self.regions[proc]

    def mm(self, proc: str) -> int:
        """Raises CannotDo for a process that a schedule has not made yet, or has ended."""
        if proc not in self.mms:
            raise CannotDo(f"there is no process {proc} when the schedule comes here")
        return self.mms[proc]

    def span(self, proc: str, r: s.Range) -> Span:
        """mm, first and end address of a range."""
        mm = self.mm(proc)
        start, size = self.regions[proc].get(r.region, (0, 0))
        end = size if r.end is None else r.end
        return mm, start + r.first, start + end

    def pin(self, name: str) -> int:
        """Raises CannotDo for one that holds nothing."""
        if name not in self.pins:
            raise CannotDo(f"{name} holds no pages")
        return self.pins[name]

    def process(self, mm: int) -> str:
        """The inverse of mm()."""
        return next(name for name, number in self.mms.items() if number == mm)

    def range(self, mm: int, first: int, pages: int) -> str | None:
        """As a scenario writes so many pages from an address on; None where no region begins before them."""
        for region, (start, size) in self.regions[self.process(mm)].items():
            if start <= first < start + size:
                return encode_range(s.Range(region, first - start, first - start + pages))
        return None

    def free_mm(self) -> int:
        """A process's slot that nothing uses, or NO_MM."""
        free = (mm for mm in range(self.m.nr_mms) if not self.m.mm_alive[mm] and mm not in self.coming)
        return next(free, k.NO_MM)

    def place(self, pages: int) -> int:
        """A fresh range of addresses, aligned for the largest leaf that could map it."""
        geometry = self.m.geometry
        align = geometry.pud_pages if pages >= geometry.pud_pages else geometry.pmd_pages
        if self.m.levels == 1:
            align = 1
        start = -(-self._next_address // align) * align
        self._next_address = start + pages
        if self._next_address > 1 << (self.m.bits * self.m.levels):
            more = "" if geometry.full else ", of which levels and bits in the small line make more"
            raise CannotDo(f"the scenario maps more than the model's address space holds{more}")
        return start

    def place_like(self, mm: int, first: int, end: int) -> int:
        """A fresh range for pages [first, end), which lies within a huge page as they do: see targets.live.regions."""
        if self.m.levels == 1:
            return self.place(end - first)
        vma = find_vma(self.m, mm, first)
        unit = 1 if vma == k.NO_VMA else 1 << self.m.vma_order[vma]
        offset = first % max(self.m.geometry.pmd_pages, unit)
        return self.place(offset + end - first) + offset
