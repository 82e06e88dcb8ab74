"""Every outcome of a scope: what can be seen where nobody is in the middle of an operation, and what calls come to.

Tasks of a scope go on for ever, so nothing is final; but where all are idle there is what a user can look at, and it
stays so until somebody begins something.  Told are, for each page of each process and each pin, which page it is: `-`
none, `zero`, `file`, `swap`, or anonymous ones by letters, the first that is seen A.  Equal letters in a row are one
page frame.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pinhold.explore.budget import Budget, Watch, unwatched
from pinhold.explore.moves import ACT_DEVICE_WRITE, begin
from pinhold.explore.result import SearchResult
from pinhold.explore.search import PLAIN, Stepper, search
from pinhold.explore.via import Via
from pinhold.explore.world import World
from pinhold.mm import flags as k
from pinhold.mm.folio import folio_test_anon, is_huge_zero_page, page_folio
from pinhold.mm.operations import NAMES
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_present
from pinhold.mm.step import step

NOTHING = "-"

Outcome = tuple[str, ...]


@dataclass
class Outcomes:
    """columns: what is told; states: how many states at rest have this outcome; calls: task, kernel function and result
    -> how many transitions end so."""

    columns: tuple[str, ...]
    states: Counter[Outcome] = field(default_factory=Counter)
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Observing(Stepper):
    """Notes what each state at rest shows, and the result of each operation that ends."""

    def __init__(self, world: World, *, symmetric: bool = True) -> None:
        functions = {**PLAIN, "move": self.moved}
        off = {"properties": 0, "invariants": False, "stuck": False}
        super().__init__(world, symmetric=symmetric, functions=functions, **off)  # type: ignore[arg-type]
        self.seen = Outcomes(tuple(name for name, *_ in self.pages()) + tuple(f"pin {name}" for name, _ in self.pins()))

    def successors(self, state: bytes) -> Iterator[tuple[Via, bytes]]:
        self.put(state)
        if not any(self.m.task_depth[task] for task in range(len(self.world.menu))):
            self.seen.states[self.outcome()] += 1
        yield from super().successors(state)

    def moved(self, m: Any, task: int, kind: int, *call: int) -> bool:
        """moves.move, which forgets a result as soon as nothing depends on it."""
        if m.task_depth[task] == 0:
            if not begin(m, task, kind, *call):
                return False
            if kind == ACT_DEVICE_WRITE:
                return True
        function = NAMES[m.act_function[m.task_stack[task]]]
        if step(m, task) == k.BLOCKED:
            return False
        if m.task_depth[task] == 0:
            result = m.task_result[task]
            said = "ok" if result >= 0 else errno.errorcode.get(-result, str(result))
            self.seen.calls[self.world.scope.operations[task][0], function, said] += 1
            m.task_result[task] = 0
        return True

    def pages(self) -> Iterator[tuple[str, int, int]]:
        """Each page that a process may have: its name, the process, the address."""
        for mm, proc in enumerate(self.world.scope.processes):
            for region, (start, size) in self.world.regions.items():
                for page in range(size):
                    yield f"{proc} {region}" if size == 1 else f"{proc} {region}[{page}]", mm, start + page

    def pins(self) -> Iterator[tuple[str, int]]:
        """Each slot of a pin, with its name."""
        for name, slots in self.world.scope.pins.items():
            for number, slot in enumerate(slots, 1):
                yield name if len(slots) == 1 else f"{name}.{number}", slot

    def outcome(self) -> Outcome:
        """What the state shows."""
        letters: dict[int, str] = {}
        told = [self.mapped(mm, addr, letters) if self.m.mm_alive[mm] else NOTHING for _, mm, addr in self.pages()]
        return (*told, *(self.held(slot, letters) for _, slot in self.pins()))

    def mapped(self, mm: int, addr: int, letters: dict[int, str]) -> str:
        slot, level = pt_leaf(self.m, mm, addr)
        entry = self.m.pte[slot]
        if entry == 0 or (level and not pte_present(entry)):
            return NOTHING
        if not pte_present(entry):
            return "swap"
        return self.page((entry >> k.PFN_SHIFT) + (addr & (level_pages(self.m, level) - 1)), letters)

    def held(self, pin: int, letters: dict[int, str]) -> str:
        if self.m.pin_state[pin] != k.PIN_LIVE:
            return NOTHING
        base = pin * self.m.runs_per_pin
        runs = range(base, base + self.m.pin_runs[pin])
        pages = [self.m.run_page[run] + i for run in runs for i in range(self.m.run_count[run])]
        return "+".join(self.page(page, letters) for page in pages) or NOTHING

    def page(self, page: int, letters: dict[int, str]) -> str:
        if page == k.ZERO_PFN or is_huge_zero_page(self.m, page):
            return "zero"
        if not folio_test_anon(self.m, page_folio(self.m, page)):
            if self.m.folio_file[page_folio(self.m, page)] >= 0:
                return "file"
        return letters.setdefault(page, chr(ord("A") + len(letters)))


def outcomes(world: World, budget: Budget = Budget(), watch: Watch = unwatched) -> tuple[SearchResult, Outcomes]:  # noqa: B008
    """All of them, whatever is bad among them."""
    stepper = Observing(world)
    return search(stepper, budget, watch), stepper.seen


def rows(found: Sequence[Outcomes]) -> list[tuple[Outcome, tuple[int, ...]]]:
    """Each outcome with its count in each of these, the most frequent first."""
    every = sorted({outcome for each in found for outcome in each.states})
    told = [(outcome, tuple(each.states[outcome] for each in found)) for outcome in every]
    return sorted(told, key=lambda row: -max(row[1]))
