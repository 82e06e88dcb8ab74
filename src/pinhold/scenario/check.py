"""What grammar cannot say: that a step names what exists at that point, within its bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import cast

from pinhold.scenario.bounds import (
    MAX_PAGES,
    MAX_PINS,
    MAX_PROCESSES,
    MAX_REGIONS,
    MAX_TASKS,
    MAX_TOTAL_PAGES,
    MAX_WATCHED,
)
from pinhold.scenario.forms import Role, Thing
from pinhold.scenario.ranges import encode_range
from pinhold.scenario.steps import Action, ExpectErrno, Map, Mremap, Range, Schedule, Start, Step
from pinhold.scenario.steps.table import Reference
from pinhold.scenario.watch import huge_unit, region_pages

FIRST_PROCESS = "P"


class Misuse(Exception):
    """A step that cannot be meant.  field: of the step; expected and found in words, as in tokens.Mismatch."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(field, expected, found)
        self.field = field
        self.expected = expected
        self.found = found


@dataclass(slots=True)
class _Process:
    regions: list[str] = field(default_factory=list)
    ended: int | None = None
    """The line of its exit."""


@dataclass(slots=True)
class _Region:
    pages: int
    unit: int
    map: Map
    moved: bool = False
    """Made by mremap: a part of a mapping."""


@dataclass(slots=True)
class _Pin:
    proc: str
    gone: str | None = None
    """Why nothing can use it any more."""


class Things:
    """The processes, regions, pins and tasks that the steps so far have made.

    small: on a small machine, which alone takes operations apart.
    """

    def __init__(self, pmd_pages: int, pud_pages: int, *, small: bool = False) -> None:
        self._geometry = pmd_pages, pud_pages
        self._small = small
        self._tasks: dict[str, None] = {}
        self._processes = {FIRST_PROCESS: _Process()}
        self._regions: dict[str, _Region] = {}
        self._pins: dict[str, _Pin] = {}
        self._after_action = False

    def step(self, step: Step, line: int) -> Step:
        """Take one step, stated in that line; gives it completed (a Map with `of`).  Raises Misuse."""
        if isinstance(step, ExpectErrno) and not self._after_action:
            raise Misuse("errno", "an action in the step before expect errno", "none")
        self._after_action = isinstance(step, Action)
        self._refuse_what_is_not_there(step)
        if isinstance(step, Schedule) and not self._small:
            raise Misuse("task", "a small line before the steps, for a schedule of atomic steps", "none")
        if isinstance(step, Start):
            self._start(step.task)
            return Start(step.task, cast(Action, self.step(step.step, line)))
        if isinstance(step, Map):
            step = self._completed(step)
            self._add_region(step.proc, step.region, "region", _Region(self._pages(step), self._unit(step), step))
        elif isinstance(step, Mremap):
            self._move(step)
        by = step.named(Role.USES, Thing.PROCESS) or FIRST_PROCESS
        for reference in step.references():
            self._follow(reference, by, line)
        return step

    def _follow(self, reference: Reference, by: str, line: int) -> None:
        """Take what a step does with one thing, or refuse it; `by`: the process that does it.  Regions have a size,
        and are taken with their step."""
        name = reference.name
        match reference.role, reference.thing:
            case Role.USES, Thing.TASK if name not in self._tasks:
                raise Misuse("task", self._one_of("a task that has started something", self._tasks), f"'{name}'")
            case Role.MAKES, Thing.PROCESS:
                self._fork(by, name)
            case Role.ENDS, Thing.PROCESS:
                self._exit(name, line)
            case Role.MAKES, Thing.PIN:
                self._add_pin(name, by)
            case Role.ENDS, Thing.PIN:
                self._pins[name].gone = f"was released in line {line}"

    def watch(self, watch: Range, watched: Iterable[Range]) -> None:
        """One range of a `watch` line, after the last step; `watched` are those before it.  Raises Misuse."""
        if watch.region not in self._regions:
            raise Misuse("range", self._one_of("a region", self._regions), f"'{watch.region}'")
        self._within(watch, "range")
        pages = sum(self._observed(r) for r in (*watched, watch))
        if pages > MAX_WATCHED:
            raise Misuse("range", f"at most {MAX_WATCHED} watched pages", f"{pages}")

    def loses_reserve(self, step: Step) -> bool:
        """Whether the step moves a part of a private hugetlb mapping: the kernel then keeps the huge pages that were
        reserved for the rest for nobody, until it is booted again (mm/hugetlb.py: clear_vma_resv_huge_pages)."""
        if not isinstance(step, Mremap):
            return False
        region = self._regions[step.range.region]
        whole = step.range.first == 0 and step.range.end in (None, region.pages)
        return region.map.memory.hugetlb and not region.map.shared and not whole

    def unit(self, region: str) -> int:
        """Base pages of the smallest piece of a region."""
        return self._regions[region].unit if region in self._regions else 1

    def _observed(self, r: Range) -> int:
        region = self._regions[r.region]
        end = region.pages if r.end is None else r.end
        return (end - 1) // region.unit - r.first // region.unit + 1

    # What a step names

    def _refuse_what_is_not_there(self, step: Step) -> None:
        there = [reference for reference in step.references() if reference.role is not Role.MAKES]
        for reference in there:
            if reference.thing is Thing.PROCESS:
                self._alive(reference.name, reference.field)
        for place in step.places():
            self._reachable(place.proc, place.range, place.field)
        for reference in there:
            if reference.thing is Thing.PIN:
                self._held(reference.name)

    def _alive(self, proc: str, field: str) -> None:
        process = self._processes.get(proc)
        running = [name for name, p in self._processes.items() if p.ended is None]
        if process is None:
            raise Misuse(field, self._one_of("a running process", running), f"'{proc}'")
        if process.ended is not None:
            found = f"'{proc}', which exited in line {process.ended}"
            raise Misuse(field, self._one_of("a running process", running), found)

    def _reachable(self, proc: str, r: Range, field: str) -> None:
        regions = self._processes[proc].regions
        if r.region not in regions:
            raise Misuse(field, self._one_of(f"a region of {proc}", regions), f"'{r.region}'")
        self._within(r, field)
        unit = self._regions[r.region].unit
        if r.first % unit or (r.end is not None and r.end % unit):
            expected = f"a range of whole huge pages of {r.region} ({unit} pages each)"
            raise Misuse(field, expected, f"'{encode_range(r)}'")

    def _within(self, r: Range, field: str) -> None:
        pages = self._regions[r.region].pages
        if r.first >= pages or (r.end is not None and r.end > pages):
            raise Misuse(field, f"a range within the {_pages(pages)} of {r.region}", f"'{encode_range(r)}'")

    def _held(self, pin: str) -> None:
        known = self._pins.get(pin)
        held = [name for name, p in self._pins.items() if p.gone is None]
        if known is None:
            raise Misuse("pin", self._one_of("a pin", held), f"'{pin}'")
        if known.gone is not None:
            raise Misuse("pin", self._one_of("a pin", held), f"'{pin}', which {known.gone}")

    @staticmethod
    def _one_of(what: str, names: Iterable[str]) -> str:
        return f"{what} ({', '.join(names) or 'there is none yet'})"

    # Steps that make or end something

    def _completed(self, step: Map) -> Map:
        """`step` with what its `of` says; raises Misuse for what cannot be mapped so."""
        if step.of is not None:
            known = self._processes[step.proc].regions
            mappable = [r for r in known if self._regions[r].map.memory.descriptor and not self._regions[r].moved]
            if step.of not in mappable:
                raise Misuse("of", self._one_of(f"a mapped file of {step.proc}", mappable), f"'{step.of}'")
            first = self._regions[step.of].map
            step = replace(step, kind=first.kind, size=first.size, pages=first.pages)
        if step.shared and step.memory.anonymous:
            raise Misuse("shared", f"private ({step.kind} is private memory; use memfd to share)", "'shared'")
        if step.readonly and not step.memory.descriptor:
            raise Misuse("readonly", f"a file, which could be opened read-only ({step.kind} is none)", "'readonly'")
        unit = self._unit(step)
        if step.pages is not None and step.pages % unit:
            raise Misuse("pages", f"a multiple of {unit} pages, the huge page size", f"'{step.pages}'")
        return step

    def _start(self, task: str) -> None:
        self._tasks[task] = None
        if len(self._tasks) > MAX_TASKS:
            raise Misuse("task", f"at most {MAX_TASKS} tasks", "one more")

    def _pages(self, step: Map) -> int:
        return region_pages(step, *self._geometry)

    def _unit(self, step: Map) -> int:
        return huge_unit(step, *self._geometry)

    def _add_region(self, proc: str, name: str, field: str, region: _Region) -> None:
        if name in self._regions:
            raise Misuse(field, "a new name for this region", f"'{name}', which exists")
        if len(self._regions) >= MAX_REGIONS:
            raise Misuse(field, f"at most {MAX_REGIONS} regions", "one more")
        if region.pages > MAX_PAGES:
            raise Misuse("pages", f"at most {MAX_PAGES} pages in a region", str(region.pages))
        total = region.pages + sum(r.pages for r in self._regions.values() if not r.moved)
        if not region.moved and total > MAX_TOTAL_PAGES:
            raise Misuse(field, f"at most {MAX_TOTAL_PAGES} pages in all regions", str(total))
        self._regions[name] = region
        self._processes[proc].regions.append(name)

    def _move(self, step: Mremap) -> None:
        old = self._regions[step.range.region]
        end = old.pages if step.range.end is None else step.range.end
        moved = _Region(end - step.range.first, old.unit, old.map, moved=True)
        self._add_region(step.proc, step.to, "to", moved)

    def _fork(self, parent: str, child: str) -> None:
        if child in self._processes:
            raise Misuse("child", "a new name for the child", f"'{child}', which exists")
        if len(self._processes) >= MAX_PROCESSES:
            raise Misuse("child", f"at most {MAX_PROCESSES} processes", "one more")
        self._processes[child] = _Process(list(self._processes[parent].regions))

    def _exit(self, proc: str, line: int) -> None:
        self._processes[proc].ended = line
        for pin in self._pins.values():
            if pin.proc == proc and pin.gone is None:
                pin.gone = f"was released when {proc} exited in line {line}"

    def _add_pin(self, name: str, proc: str) -> None:
        if name in self._pins:
            raise Misuse("pin", "a new name for this pin", f"'{name}', which exists")
        if len(self._pins) >= MAX_PINS:
            raise Misuse("pin", f"at most {MAX_PINS} pins", "one more")
        self._pins[name] = _Pin(proc)


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"
