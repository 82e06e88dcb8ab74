"""A state to compute with, interpreted: its record's bytes, and views of them under the fields' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar, cast

from pinhold.mm.flags import FOLIO_RESERVED, ZERO_PFN
from pinhold.mm.rules import BY_NAME, RULES
from pinhold.mm.state import SITES_MAX, Geometry, Slot, State, layout

M = TypeVar("M", bound="Machine")

CODES: dict[int, Literal["b", "h", "i", "q"]] = {1: "b", 2: "h", 4: "i", 8: "q"}


class CheckedInts:
    """An array that traps a store outside its field's range (a checked build)."""

    def __init__(self, name: str, view: Any, slot: Slot) -> None:
        self.name, self.view = name, view
        self.low, self.high = slot.low, (1 << (8 * slot.width - 1)) - 1

    def __getitem__(self, index: int) -> int:
        if index < 0:
            raise IndexError(f"{self.name}[{index}]")
        return cast(int, self.view[index])

    def __setitem__(self, index: int, value: int) -> None:
        if index < 0 or not self.low <= value <= self.high:
            raise ValueError(f"{self.name}[{index}] = {value} is outside {self.low}..{self.high}")
        self.view[index] = value

    def __len__(self) -> int:
        return len(self.view)


class Trace:
    """Stands for `coverage` in an interpreted machine: remembers the decision sites in order."""

    def __init__(self) -> None:
        self.sites: list[int] = []

    def __getitem__(self, site: int) -> int:
        return int(site in self.sites)

    def __setitem__(self, site: int, _value: int) -> None:
        self.sites.append(site)

    def __len__(self) -> int:
        return SITES_MAX


class Machine(State):
    """A record, interpreted: arrays are memoryviews over `data`, constant scalars plain attributes.

    A class derived from this one and from one that adds fields to State has that one's record.

    checked: trap stores outside their field's range.  settled: see state.fields.
    """

    def __init__(
        self,
        geometry: Geometry,
        data: bytearray | None = None,
        *,
        checked: bool = False,
        settled: frozenset[str] = frozenset(),
    ) -> None:
        self.geometry = geometry
        self.settled = settled
        self.layout = layout(geometry, settled, type(self))  # type: ignore[arg-type]  # mypy: a class had no hash
        self.data = bytearray(self.layout.size) if data is None else data
        self.trace = Trace()
        raw = memoryview(self.data)
        for name, slot in self.layout.slots.items():
            view = raw[slot.offset : slot.offset + slot.width * max(slot.count, 1)].cast(CODES[slot.width])
            if not slot.count:
                setattr(self, name, view[0])
            elif checked:
                setattr(self, name, CheckedInts(name, view, slot))
            else:
                setattr(self, name, view)
        self.coverage = self.trace

    def set_constant(self, name: str, value: int) -> None:
        """Store a constant scalar, in the bytes and in the attribute."""
        slot = self.layout.slots[name]
        self.data[slot.offset : slot.offset + slot.width] = value.to_bytes(slot.width, "little", signed=True)
        setattr(self, name, value)

    def arranged(self, geometry: Geometry, settled: frozenset[str] = frozenset()) -> Self:
        """The same machine, its tasks idle, with other stacks, and these fields in the constant part of its record."""
        other = type(self)(geometry, settled=settled)
        for name, slot in other.layout.slots.items():
            start, length = self.layout.slots[name].offset, slot.width * max(slot.count, 1)
            other.data[slot.offset : slot.offset + length] = self.data[start : start + length]
        return type(self)(geometry, other.data, settled=settled).with_stacks()

    def with_stacks(self) -> Self:
        """Itself, the tasks' stacks in their places."""
        for task, start in enumerate(self.geometry.stack_starts):
            self.task_stack[task] = start
        return self

    def saved(self) -> bytes:
        """The mutable bytes: what the explorer stores and compares."""
        return bytes(self.data[: self.layout.mutable_size])


def create(geometry: Geometry, row: Mapping[str, int], config: Mapping[str, int], *, checked: bool = False) -> Machine:
    """A machine at boot (see `boot`)."""
    return boot(Machine(geometry, checked=checked), row, config)


def boot(m: M, row: Mapping[str, int], config: Mapping[str, int]) -> M:
    """Make the machine what it is at boot: no process, the zero page, full hugetlb pools, no swap used.

    row: rule name -> value (`releases.row`).  config: soft_dirty, thp, use_zero_page, swap, swap_sync, swap_clusters,
    pt_reclaim -> 0 or 1; fork_skips_pud, how the chance of that rule turns out; memory_ends, whether what finds no page
    frame is told ENOMEM, as at the limit of a memory cgroup, instead of trapping the machine; vma_merges, 0 for a
    machine that keeps VMAs apart and tells anon_vmas from none alone, as a search can want for fewer states.
    """
    geometry = m.with_stacks().geometry
    scope = {
        "levels": geometry.levels,
        "bits": geometry.bits,
        "nr_mms": geometry.mms,
        "nr_pages": geometry.pages,
        "huge_frames": geometry.huge_frames,
        "nr_hugetlb": sum(geometry.hugetlb),
        "hugetlb_shift": max(2 * geometry.bits, geometry.pages.bit_length()),
        "vmas_per_mm": geometry.vmas_per_mm,
        "file_pages": geometry.file_pages,
        "runs_per_pin": geometry.runs_per_pin,
        "next_fit": int(geometry.full),
        "batch": geometry.batch,
        "fault_around": geometry.fault_around,
        "lru_batch_size": min(geometry.lru_batch_size, int(BY_NAME["lru_batch"].names[row["lru_batch"]])),
    }
    scope |= {f"config_{name}": value for name, value in config.items()}
    scope |= {f"rule_{rule.name}": row[rule.name] for rule in RULES}
    for name, value in scope.items():
        m.set_constant(name, value)
    fill(m, "cache_page", -1)
    fill(m, "swap_page", -1)
    fill(m, "folio_file", -1)
    fill(m, "vma_file", -1)
    m.huge_zero_page[0] = -1
    m.next_page[0] = 1
    m.next_swap[0] = 1
    m.folio_refcount[ZERO_PFN] = 1
    m.folio_flags[ZERO_PFN] = FOLIO_RESERVED
    for hstate, size in enumerate(geometry.hugetlb):
        m.hugetlb_free[hstate] = size
    return m


def fill(m: Machine, name: str, value: int) -> None:
    """Set every element of a field."""
    slot = m.layout.slots[name]
    element = value.to_bytes(slot.width, "little", signed=True)
    m.data[slot.offset : slot.offset + slot.width * slot.count] = element * slot.count
