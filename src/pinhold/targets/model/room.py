"""How large a machine is: x86-64 with enough of everything, or a small one with no more than a scenario names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pinhold.mm.state import Geometry
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.hugepages import hugepages_needed
from pinhold.scenario.small import Small
from pinhold.scenario.watch import huge_unit, ranges, region_pages, region_sizes

MOST_FRAMES = 1 << 23
"""What a scenario may cost, whatever it says (see scenario/bounds.py)."""


@dataclass(frozen=True, slots=True)
class Pools:
    """What a kernel has so much of and no more.  hugetlb: free pages of 2 MiB and of 1 GiB; swap: pages.  None: as the
    geometry has it, and of swap as much as can be used."""

    hugetlb: tuple[int, int] | None = None
    swap: int | None = None


AMPLE = Pools()


@dataclass(frozen=True, slots=True)
class Given:
    """What the machine of a scenario is given: rules (by the release's name, which evidence is told of, and as they
    are), configuration, room, and what its first process may lock: pages, -1 for any number, and CAP_IPC_LOCK."""

    release: str
    row: Mapping[str, int]
    config: Mapping[str, int]
    geometry: Geometry
    memlock: int
    ipc_lock: int


def splits_vmas(step: s.Step) -> bool:
    """Whether the step can make one VMA two."""
    if isinstance(step, s.Madvise):
        return not ADVICE[step.advice].pages
    return isinstance(step, (s.Mprotect, s.Unmap, s.Mremap, s.Ksm))


def processes(steps: Sequence[s.Step]) -> tuple[str, ...]:
    """Their names, in the order of their slots: P, and what a fork names."""
    done = map(s.done_by, steps)
    return tuple(dict.fromkeys(["P", *(step.child for step in done if isinstance(step, s.Fork))]))


def pins(steps: Sequence[s.Step]) -> tuple[str, ...]:
    """The names of pins, in the order of their slots."""
    return tuple(dict.fromkeys(step.pin for step in map(s.done_by, steps) if isinstance(step, s.Hold)))


def small_geometry(small: Small, steps: Sequence[s.Step], tasks: int) -> Geometry:
    """Room for what the steps name, and no more; every operation in its atomic steps."""
    maps = [step for step in steps if isinstance(step, s.Map)]
    longest = max((region_pages(step, small.pmd_pages, small.pud_pages) for step in maps), default=1)
    nr_files = sum(1 for m in maps if not m.memory.anonymous and m.of is None)
    nr_mms = len(processes(steps))
    passing = any(isinstance(step, (s.Copy, s.Fill)) for step in steps)
    tables = 1 + sum(1 << (small.bits * level) for level in range(1, small.levels))
    return Geometry(
        full=False,
        levels=small.levels,
        bits=small.bits,
        mms=nr_mms,
        tables=nr_mms * tables,
        vmas_per_mm=max(small.vmas, vmas(steps), 1),
        pages=small.frames,
        hugetlb=(small.hugetlb, 0),
        files=max(nr_files, 1),
        file_pages=longest,
        swap=small.swap,
        pins=max(len(pins(steps)) + passing, 1),
        runs_per_pin=longest,
        tasks=tasks,
        batch=1,
        fault_around=1,
        lru_batch_size=small.lru_batch,
        huge_frames=small.thps,
    )


def roomy(geometry: Geometry, scenario: s.Scenario, pools: Pools = AMPLE) -> Geometry:
    """The geometry of a kernel, which has enough of everything, but for what it has pools of.

    As many frames, tables, VMAs and the like as the scenario can come to need, by a generous count; a run that needs
    more all the same is trapped (mm/limits.py).  Of pools as much as the kernel has, as far as the scenario can tell.
    Frames: one for each page of each process, one in a file, one that a write has replaced, and what pins hold.
    """
    steps, sizes = scenario.steps, region_sizes(scenario, geometry.pmd_pages, geometry.pud_pages)
    maps = [step for step in steps if isinstance(step, s.Map)]
    huge = {m.region for m in maps if m.memory.hugetlb}
    base = sum(sizes[m.region] for m in maps if m.region not in huge)
    longest = max((sizes[m.region] for m in maps if m.region not in huge), default=1)
    nr_mms, nr_pins = len(processes(steps)), len(pins(steps)) + 1
    frames = min(1 << (base * (nr_mms + 2) + longest * (nr_pins - 1)).bit_length(), MOST_FRAMES)
    tables = nr_mms * (4 + sum(3 + size // geometry.pmd_pages for size in sizes.values()))
    splits = 2 * sum(isinstance(s.done_by(step), (s.Madvise, s.Unmap, s.Mremap)) for step in steps)
    return replace(
        geometry,
        mms=max(geometry.mms, nr_mms),
        pages=max(geometry.pages, frames),
        tables=max(geometry.tables, tables),
        vmas_per_mm=max(geometry.vmas_per_mm, vmas(steps)),
        files=max(geometry.files, len(maps)),
        file_pages=max(geometry.file_pages, longest),
        pins=max(geometry.pins, nr_pins),
        runs_per_pin=max(geometry.runs_per_pin, longest + splits),
        hugetlb=huge_pages(geometry, maps, nr_mms, pools),
        swap=least(pools.swap, max(geometry.swap, 4 * base * nr_mms)),
    )


def huge_pages(geometry: Geometry, maps: Sequence[s.Map], nr_mms: int, pools: Pools) -> tuple[int, int]:
    """The free huge pages of both sizes, no more of them than can be used: each mapping's, and a copy for everybody."""
    if pools.hugetlb is None:
        return geometry.hugetlb
    pages = geometry.pmd_pages, geometry.pud_pages
    units = {"2M": 0, "1G": 0}
    for step in maps:
        if step.size is not None:
            units[step.size] += region_pages(step, *pages) // huge_unit(step, *pages)
    small, large = (max(usual, units[size] * (nr_mms + 1)) for usual, size in zip(geometry.hugetlb, units, strict=True))
    return least(pools.hugetlb[0], small), least(pools.hugetlb[1], large)


def missing(action: s.Action, scenario: s.Scenario, geometry: Geometry) -> str | None:
    """Of a step for which memory was short: how many huge pages the scenario's mappings need together, where they are
    too few for one of them."""
    if not isinstance(action, s.Map) or not action.memory.hugetlb:
        return None
    size = action.size or "2M"
    count = hugepages_needed(scenario, geometry.pmd_pages, geometry.pud_pages).get(size, 0)
    has = geometry.hugetlb[size == "1G"]
    return f"needs {count} hugepage{'s' if count != 1 else ''} of {size}, and the model's pool has {has}"


def least(there_is: int | None, wanted: int) -> int:
    """No more than is wanted; all that, where nobody says how much there is."""
    return wanted if there_is is None else min(there_is, wanted)


def vmas(steps: Sequence[s.Step]) -> int:
    """How many VMAs a process can come to have: one a mapping, and one more behind every place where a step's range may
    split it, as often as the place is moved."""
    boundaries: dict[str, set[int]] = {}
    for step in map(s.done_by, steps):
        if splits_vmas(step):
            for r in ranges(step):
                boundaries.setdefault(r.region, set()).update({r.first, r.end or 0} - {0})
        if isinstance(step, s.Map):
            boundaries.setdefault(step.region, set())
        elif isinstance(step, s.Mremap):
            boundaries[step.to] = set(boundaries.get(step.range.region, ()))
    return sum(1 + len(places) for places in boundaries.values())
