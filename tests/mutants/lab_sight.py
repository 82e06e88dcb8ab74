"""The specification as the lab shows a kernel: what a guest cannot see is None, what it cannot do is left out.

As targets/live is in a guest: with rights of root, soft-dirty, an edu device behind VFIO, and pinprobe wherever headers
are packaged; without gup_test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pinhold.commands.registry import model_of
from pinhold.conform.wanted import by_any, there
from pinhold.mm import flags as k
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_pfn, pte_present
from pinhold.mm.vma import find_vma
from pinhold.scenario import steps as s
from pinhold.scenario.observation import Observation, PageView
from pinhold.scenario.ran import TargetInfo
from pinhold.targets.base import Outcome
from pinhold.targets.live.pins.base import Access, Gives, choose
from pinhold.targets.live.taking import ITS_OWN, NEEDS
from pinhold.targets.model.looking import Held
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.target import ModelTarget

LAB = ("5.10.262", "6.1.192", "6.12.117", "6.18.15", "7.3.4")
"""The stock kernels that the lab has."""

NO_PINPROBE = ("6.18.15",)
"""Those whose headers are not packaged: nothing tells more of an entry than pagemap does."""

MECHANISMS = ("io_uring", "vfio", "vmsplice", "process_vm", "direct_io", "ptrace", "pinprobe", "pinprobe_short")


def lab(release: str) -> TargetInfo:
    """What the lab's guest with that kernel says of itself, as far as its model asks."""
    config = {
        "MEM_SOFT_DIRTY": "y",
        "PT_RECLAIM": "y" if release in LAB[3:] else "n",
        "thp": "madvise",
        "huge_zero_page": "y",
        "swap_kib": "262140",
        "swap_free_kib": "262140",
        "swap_rotates": "y",
        "swap_synchronous": "n",
        "hugetlb_2M": "16 free of 16",
        "hugetlb_1G": "none",
        "memlock_kib": "64" if release == LAB[0] else "8192",
        "ipc_lock": "y",
    }
    has = [name for name in MECHANISMS if not (name.startswith("pinprobe") and release in NO_PINPROBE)]
    return TargetInfo(f"lab:{release}", release, release, config, dict.fromkeys(has, "available"))


def lab_config(release: str) -> dict[str, int]:
    """The same as the model takes it."""
    model = model_of(lab(release))
    assert isinstance(model, ModelTarget)
    return model.config


@dataclass(frozen=True, slots=True)
class InGuest:
    """A mechanism that is there in the guest, whatever this machine has."""

    name: str
    summary: str
    gives: Gives

    def unavailable(self) -> str | None:
        return None


class LabSession(ModelSession):
    """One scenario.  The frames of a pin are what its owner's entries named when it was taken, as on a real kernel."""

    taken: dict[str, dict[int, int | None]]
    """By pin and page."""

    def do(self, action: s.Action) -> Outcome:
        """Raises CannotDo for a pin that no mechanism gives."""
        if not isinstance(action, s.Hold):
            return super().do(action)
        written = any(isinstance(later, s.DeviceWrite) and later.pin == action.pin for later in self.scenario.steps)
        via = action.via if isinstance(action, s.Pin) else None
        choose(NEEDS[type(action)](action), via, self._mechanisms(action), Access(read=True, write=written))
        outcome = super().do(by_any(action))
        if outcome.errno == 0:
            mm, start, _ = self.names.span(action.proc, action.range)
            last = self.m.pin_count[self.names.pins[action.pin]] - 1
            self.taken[action.pin] = {page: self._mapped(mm, start + page) for page in (0, last)}
        return outcome

    def _mechanisms(self, step: s.Hold) -> dict[str, InGuest]:
        """Those that the step may be done by."""
        here = {holder.name: InGuest(holder.name, holder.summary, holder.gives) for holder in there(lab(self.release))}
        return here if isinstance(step, s.Pin) else {ITS_OWN[type(step)]: here[ITS_OWN[type(step)]]}

    def _mapped(self, mm: int, addr: int) -> int | None:
        """The frame that an entry names."""
        slot, level = pt_leaf(self.m, mm, addr)
        entry = self.m.pte[slot]
        return pte_pfn(entry) + (addr & (level_pages(self.m, level) - 1)) if pte_present(entry) else None

    def observe(self) -> Observation:
        seen = super().observe()
        return replace(seen, pages=tuple(map(self.page_view, seen.pages)))

    def page_view(self, view: PageView) -> PageView:
        """Bytes where the process may read; what only pinprobe tells where it is."""
        mm, addr = self.names.mms[view.proc], self.names.regions[view.proc][view.region][0] + view.page
        unseen = ["uffd_wp"] if self.release == LAB[0] else []
        if self.release in NO_PINPROBE:
            unseen += ["writable", "dirty"]
            if view.state == "swapped" or self._tail(mm, addr):
                unseen.append("exclusive")
        if view.byte is not None and not self.m.vma_flags[find_vma(self.m, mm, addr)] & (k.VM_READ | k.VM_WRITE):
            unseen.append("byte")
        return replace(view, **dict.fromkeys(unseen)) if unseen else view

    def _tail(self, mm: int, addr: int) -> bool:
        """Whether a page that is not its folio's first is mapped: kpageflags shows the folio's flags there."""
        pfn = self._mapped(mm, addr)
        if pfn is None or pfn < self.m.nr_pages:
            return pfn is not None and self.m.page_offset[pfn] > 0
        return addr % level_pages(self.m, pt_leaf(self.m, mm, addr)[1]) > 0

    def held(self, name: str) -> Iterator[Held]:
        """Of what folio the page is, is not seen."""
        for held in super().held(name):
            frame = self.taken.get(name, {}).get(held.page)
            yield held._replace(pfn=-1 if frame is None else frame)


class LabTarget(ModelTarget):
    """A lab kernel that does what the specification says."""

    @contextmanager
    def open(self, scenario: s.Scenario) -> Iterator[ModelSession]:
        with super().open(scenario) as session:
            session.__class__ = LabSession
            assert isinstance(session, LabSession)
            session.taken = {}
            yield session
