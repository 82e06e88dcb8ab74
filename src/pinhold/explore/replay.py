"""A way through a scope's states, walked once more with frames that keep their names, and what each move changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from pinhold.explore.moves import pin_slot, set_chance
from pinhold.explore.search import Stepper
from pinhold.explore.via import WENT_ON, ActionNumber, Via
from pinhold.explore.world import World
from pinhold.mm import flags as k
from pinhold.mm.folio import is_huge_zero_page, page_folio, page_index
from pinhold.mm.machine import Machine
from pinhold.mm.operations import NAMES
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_present
from pinhold.mm.properties import check_pins
from pinhold.mm.sites import SITES, Site
from pinhold.mm.task import current
from pinhold.scenario import steps as s
from pinhold.scenario.bounds import MAX_NAME
from pinhold.scenario.printer import format_step


@dataclass(frozen=True)
class Moment:
    """One move.  task: its name; does: the operation that it begins, or the kernel function that goes on; begins: the
    operation begun, each pin under a name of its own, or None; ends: the task is idle afterwards; chance: how what
    nobody decides falls; changes: in words; decided: by which rules; wrong: pins that violate a property."""

    task: str
    does: str
    begins: s.Step | None
    ends: bool
    chance: int
    changes: tuple[str, ...]
    decided: tuple[Site, ...]
    wrong: tuple[str, ...]


class Replay:
    """Walks a path found by a symmetric search without renaming anything."""

    def __init__(self, world: World, path: tuple[Via, ...]) -> None:
        self.world = world
        self.path = path
        self.concrete = Stepper(world, symmetric=False)
        self.canonical = Stepper(world, symmetric=True)
        self.frames: dict[int, str] = {}
        setup = [step.pin for step in world.scope.scenario.steps if isinstance(step, s.Hold)]
        self.pins = {world.scope.pins[name].start: name for name in setup}
        self.given = set(setup)

    def moments(self) -> Iterator[Moment]:
        state = self.concrete.first()
        form = self.form(state)
        for via in self.path:
            form_after = self.successor(form, via)
            state_after, chance, sites = self.step(state, via, form_after)
            begins, chance = self.begun(state, via.action, chance)
            does = format_step(begins) if begins else self.goes_on(state, via.task)
            before, after = self.view(state), self.view(state_after)
            state, form = state_after, form_after
            ends = self.concrete.m.task_depth[via.task] == 0
            yield Moment(
                self.world.scope.operations[via.task][0],
                does,
                begins,
                ends,
                chance,
                tuple(f"{what}: {now}" for what, now in after.items() if before.get(what) != now),
                tuple(SITES[site] for site in dict.fromkeys(sites)),
                tuple(self.wrong(state)),
            )

    def form(self, state: bytes) -> bytes:
        self.canonical.put(state)
        return self.canonical.taken()

    def successor(self, form: bytes, via: Via) -> bytes:
        return next(state for v, state in self.canonical.successors(form) if v == via)

    def step(self, state: bytes, via: Via, wanted: bytes) -> tuple[bytes, int, list[int]]:
        """The successor that is symmetric to the wanted one: chance may have to fall otherwise here, which is told."""
        numbers = self.world.numbers(via.action)
        chance = 0
        while self.concrete.step(state, via.task, numbers, chance):
            chances = self.concrete.m.choices[0]
            sites = list(self.concrete.m.trace.sites)
            after = self.concrete.taken()
            if self.form(after) == wanted:
                return after, chance, sites
            chance += 1
            if chance >= chances:
                break
        raise AssertionError("the way cannot be walked again")

    def goes_on(self, state: bytes, task: int) -> str:
        self.concrete.put(state)
        return NAMES[self.concrete.m.act_function[current(self.concrete.m, task)]]

    # --- pins ---

    def begun(self, state: bytes, action: ActionNumber, chance: int) -> tuple[s.Step | None, int]:
        """The operation, if one is begun, with the name of the pin that it takes, uses or lets go of; and what is left
        of chance when it has decided which."""
        if action == WENT_ON:
            return None, chance
        step = self.world.actions[action].step
        if not isinstance(step, (s.Hold, s.Unpin, s.DeviceWrite)):
            return step, chance
        takes = isinstance(step, s.Hold)
        m = self.concrete.m
        self.concrete.put(state)
        set_chance(m, chance)
        slot = pin_slot(m, self.world.scope.pins[step.pin].start, k.PIN_FREE if takes else k.PIN_LIVE)
        if takes:
            self.pins[slot] = self.fresh(step.pin)
        return replace(step, pin=self.pins[slot]), m.choice[0]

    def wrong(self, state: bytes) -> Iterator[str]:
        """The pins that violate a property, each looked at as if it were the only one."""
        m = self.concrete.m
        for slot, name in self.pins.items():
            self.concrete.put(state)
            for other in range(len(m.pin_state)):
                if other != slot:
                    m.pin_state[other] = k.PIN_FREE
            if check_pins(m):
                yield name

    def fresh(self, pin: str) -> str:
        """p, then p2, p3, …: a scenario gives each name once."""
        taken = self.given | (self.world.scope.pins.keys() - {pin})
        name = next(name for n in count(1) if (name := pin if n == 1 else f"{pin[: MAX_NAME - 2]}{n}") not in taken)
        self.given.add(name)
        return name

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
        for pin, name in sorted(self.pins.items()):
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
