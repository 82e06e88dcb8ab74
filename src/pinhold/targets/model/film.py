"""A run on the model that is looked at later, when all steps of its scenario are known, and so which pages to watch.

A still is what can be seen of the machine after one step: copies of some of its fields, as far as they are in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from pinhold.mm.flags import ENOMEM
from pinhold.mm.machine import CODES, Machine
from pinhold.mm.state import State
from pinhold.scenario import steps as s
from pinhold.scenario.observation import Observation
from pinhold.scenario.watch import watched
from pinhold.targets.base import Outcome
from pinhold.targets.model.looking import Looking, Rows, Scene
from pinhold.targets.model.room import Given, missing
from pinhold.targets.model.session import ModelSession

CONSTANTS = ("bits", "levels", "hugetlb_shift", "vmas_per_mm", "config_soft_dirty", "rule_anon_exclusive")
WHOLE = ("mm_pgd", "huge_zero_page", "file_kind", "vma_start", "vma_end", "vma_flags", "vma_file")
PER_PAGE = (
    *("page_offset", "page_mapcount", "page_exclusive", "page_content"),
    *("folio_entire_mapcount", "folio_flags"),
)
LARGEST = 512
"""Pages and swap slots that are taken in one piece, at most."""


class Still(State):
    """Of a machine what targets/model/sight.py looks at.  data: of each field; pages: so many frames were in use, the
    first ones.

    It is as a machine that has no more frames than that, and the same huge pages of hugetlb behind them.
    """

    def __init__(self, m: Machine, data: Mapping[str, bytearray], pages: int) -> None:
        self.data = data
        for name in CONSTANTS:
            setattr(self, name, getattr(m, name))
        self.nr_pages = pages
        for name, each in data.items():
            setattr(self, name, memoryview(each).cast(CODES[m.layout.slots[name].width]))


def _in_use(m: Machine, pages: int) -> Iterator[tuple[str, bytearray]]:
    """Copies of the fields of a still, as far as they are in use."""
    slots, data = m.layout.slots, m.data
    used = slots["table_used"]
    tables = 1 + data.rfind(1, used.offset, used.offset + used.count) - used.offset
    pte = slots["pte"]
    yield "pte", data[pte.offset : pte.offset + (pte.width * tables << m.bits)]
    for name in WHOLE:
        slot = slots[name]
        yield name, data[slot.offset : slot.offset + slot.width * slot.count]
    for name in PER_PAGE:
        slot = slots[name]
        end = slot.offset + slot.width * slot.count
        yield name, data[slot.offset : slot.offset + slot.width * pages] + data[end - slot.width * m.nr_hugetlb : end]


@dataclass(frozen=True, slots=True)
class _Shot:
    """After one step.  pages, swap: behind the frames and the slots of swap that were taken last."""

    step: s.Action
    outcome: Outcome
    scene: Scene
    pages: int
    swap: int


class Film:
    """given: what the machine of the session was given, which runs the steps."""

    def __init__(self, session: ModelSession, given: Given) -> None:
        self._session = session
        self._given = given
        self._shots: list[_Shot] = []
        self._pages = 0
        self._still: Still | None = None

    def take(self, step: s.Action, outcome: Outcome) -> None:
        """The session has just done this step."""
        now, m = self._session.scene(), self._session.m
        self._pages = max(self._pages, m.next_page[0])
        data = dict(_in_use(m, self._pages))
        if self._still is None or self._still.data != data:
            self._still = Still(m, data, self._pages)
        regions = {proc: dict(regions) for proc, regions in now.regions.items()}
        scene = Scene(self._still, dict(now.mms), regions, now.pins)
        self._shots.append(_Shot(step, outcome, scene, m.next_page[0], m.next_swap[0]))

    def fits(self, scenario: s.Scenario, given: Given) -> bool:
        """Whether the scenario, on a machine that is given that, would run just as it has run here.

        How many frames there are, and how much swap, is of no matter to a run that comes to no end of either.
        """
        mine, its = self._given, given.geometry
        same = replace(mine, geometry=its) == given and mine.geometry.hugetlb == its.hugetlb
        if not same or tuple(shot.step for shot in self._shots) != scenario.steps:
            return False
        pages, swap = [shot.pages for shot in self._shots], [shot.swap for shot in self._shots]
        return _ample(pages, min(mine.geometry.pages, its.pages)) and (
            mine.geometry.swap == its.swap or _ample(swap, min(mine.geometry.swap, its.swap))
        )

    def run(self, scenario: s.Scenario) -> Iterator[tuple[Outcome, Observation]]:
        """What came of each step, and what was seen after it."""
        geometry = self._given.geometry
        looking = Looking(watched(scenario, geometry.pmd_pages, geometry.pud_pages))
        before: Scene | None = None
        rows: Rows = ()
        for shot in self._shots:
            outcome, scene = shot.outcome, shot.scene
            if outcome.errno == ENOMEM:
                outcome = replace(outcome, note=missing(shot.step, scenario, geometry))
            if before is None or before.m is not scene.m or (before.mms, before.regions) != (scene.mms, scene.regions):
                rows = looking.rows(scene)
            before = scene
            yield outcome, looking.at(rows, scene.pins, outcome.errno)


def _ample(taken: list[int], there_is: int) -> bool:
    """Whether there was always room for another large piece behind what was taken last."""
    return all(a <= b for a, b in pairwise(taken)) and max(taken, default=0) + LARGEST <= there_is
