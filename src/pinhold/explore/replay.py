"""A way through a scope's states, walked once more with frames that keep their names, and what each move changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pinhold.explore.limits import Via
from pinhold.explore.search import NOTHING, Stepper
from pinhold.explore.world import World
from pinhold.mm import flags as k
from pinhold.mm.folio import is_huge_zero_page, page_folio, page_index
from pinhold.mm.machine import Machine
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_present
from pinhold.mm.sites import SITES, Site
from pinhold.mm.task import FUNCTION_NAMES, current


@dataclass(frozen=True)
class Moment:
    """One move.  task: its name; does: the operation that it begins, or the kernel function that goes on; begins: the
    number of the operation begun, or None; ends: the task is idle afterwards; chance: how what nobody decides falls;
    changes: in words; decided: by which rules."""

    task: str
    does: str
    begins: int | None
    ends: bool
    chance: int
    changes: tuple[str, ...]
    decided: tuple[Site, ...]


class Replay:
    """Walks a path found by a symmetric search without renaming anything."""

    def __init__(self, world: World, path: tuple[Via, ...]) -> None:
        self.world = world
        self.path = path
        self.concrete = Stepper(world, symmetric=False)
        self.canonical = Stepper(world, symmetric=True)
        self.frames: dict[int, str] = {}

    def moments(self) -> Iterator[Moment]:
        state = self.concrete.first()
        form = self.form(state)
        for via in self.path:
            form_after = self.successor(form, via)
            before = self.view(state)
            doing = self.doing(state, via)
            state, chance, sites = self.step(state, via, form_after)
            form = form_after
            after = self.view(state)
            ends = self.concrete.m.task_depth[via.task] == 0
            yield Moment(
                self.world.scope.operations[via.task][0],
                doing,
                via.action if via.action >= 0 else None,
                ends,
                chance,
                tuple(f"{what}: {now}" for what, now in after.items() if before.get(what) != now),
                tuple(SITES[site] for site in dict.fromkeys(sites)),
            )

    def form(self, state: bytes) -> bytes:
        self.canonical.put(state)
        return self.canonical.taken()

    def successor(self, form: bytes, via: Via) -> bytes:
        return next(state for v, state in self.canonical.successors(form) if v == via)

    def step(self, state: bytes, via: Via, wanted: bytes) -> tuple[bytes, int, list[int]]:
        """The successor that is symmetric to the wanted one: chance may have to fall otherwise here, which is told."""
        numbers = NOTHING if via.action < 0 else self.world.actions[via.action].numbers
        chance = 0
        while self.concrete.step(state, via.task, numbers, chance):
            chances = self.concrete.m.choices[0]
            sites = list(self.concrete.m.trace.sites)
            after = self.concrete.taken()
            if self.form(after) == wanted:
                self.concrete.put(after)
                return after, chance, sites
            chance += 1
            if chance >= chances:
                break
        raise AssertionError("the way cannot be walked again")

    def doing(self, state: bytes, via: Via) -> str:
        if via.action >= 0:
            return str(self.world.actions[via.action])
        self.concrete.put(state)
        return FUNCTION_NAMES[self.concrete.m.act_function[current(self.concrete.m, via.task)]]

    # --- what there is to see ---

    def view(self, state: bytes) -> dict[str, str]:
        """What each page of each process and each pin is, in words."""
        self.concrete.put(state)
        m = self.concrete.m
        seen = {}
        for mm, proc in enumerate(self.world.scope.processes):
            if not m.mm_alive[mm]:
                continue
            for region, (start, size) in self.world.regions.items():
                for page in range(size):
                    name = f"{proc} {region}" if size == 1 else f"{proc} {region}[{page}]"
                    seen[name] = self.entry(m, mm, start + page)
        for name, pin in self.world.pins.items():
            seen[f"pin {name}"] = self.pin(m, pin)
        return seen

    def entry(self, m: Machine, mm: int, addr: int) -> str:
        slot, level = pt_leaf(m, mm, addr)
        entry = m.pte[slot]
        if entry == 0 or (level and not pte_present(entry)):
            return "nothing mapped"
        if not pte_present(entry):
            return "swapped"
        page = (entry >> k.PFN_SHIFT) + (addr & (level_pages(m, level) - 1))
        words = [self.frame(m, page)]
        words += ["exclusive"] if m.page_exclusive[page_folio(m, page) if level else page_index(m, page)] else []
        words.append("writable" if entry & k.PTE_RW else "read-only")
        words += ["by a huge entry"] if level else []
        return ", ".join(words)

    def pin(self, m: Machine, pin: int) -> str:
        if m.pin_state[pin] == k.PIN_FREE:
            return "none"
        held = [self.frame(m, m.run_page[pin * m.runs_per_pin + run]) for run in range(m.pin_runs[pin])]
        words = "holds " + " and ".join(held) if held else "holds nothing yet"
        return words if m.pin_state[pin] == k.PIN_LIVE else f"being taken, {words}"

    def frame(self, m: Machine, page: int) -> str:
        if page == k.ZERO_PFN:
            return "the zero page"
        if is_huge_zero_page(m, page):
            return "the huge zero page"
        name = self.frames.setdefault(page, f"frame {len(self.frames) + 1}")
        if not m.folio_flags[page_folio(m, page)] & k.FOLIO_ANON and m.folio_file[page_folio(m, page)] >= 0:
            return f"{name} of the file"
        return name
