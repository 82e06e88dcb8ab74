"""How large a machine is: x86-64 with enough of everything, or a small one with no more than a scenario names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pinhold.mm.state import Geometry
from pinhold.scenario import step as s
from pinhold.scenario.small import Small
from pinhold.scenario.watch import FILE_KINDS, HUGETLB_KINDS, region_pages, region_sizes


def processes(steps: Sequence[s.Step]) -> tuple[str, ...]:
    """Their names, in the order of their slots: P, and what a fork names."""
    done = map(s.done_by, steps)
    return tuple(dict.fromkeys(["P", *(step.child for step in done if isinstance(step, s.Fork))]))


def pins(steps: Sequence[s.Step]) -> tuple[str, ...]:
    """The names of pins, in the order of their slots."""
    return tuple(dict.fromkeys(step.pin for step in map(s.done_by, steps) if isinstance(step, s.HOLDS)))


def small_geometry(small: Small, steps: Sequence[s.Step], tasks: int) -> Geometry:
    """Room for what the steps name, and no more; every operation in its atomic steps."""
    maps = [step for step in steps if isinstance(step, s.Map)]
    moves = [step for step in steps if isinstance(step, s.Mremap)]
    longest = max((region_pages(step, small.pmd_pages, small.pud_pages) for step in maps), default=1)
    nr_files = sum(1 for m in maps if m.kind in (*FILE_KINDS, "hugetlb") and m.of is None)
    nr_mms = len(processes(steps))
    passing = any(isinstance(step, (*s.COPIES, s.ProcessVmWritev, s.DirectRead)) for step in steps)
    tables = 1 + sum(1 << (small.bits * level) for level in range(1, small.levels))
    return Geometry(
        full=False,
        levels=small.levels,
        bits=small.bits,
        mms=nr_mms,
        tables=nr_mms * tables,
        vmas_per_mm=max(small.vmas, len(maps) + len(moves), 1),
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


def roomy(geometry: Geometry, scenario: s.Scenario) -> Geometry:
    """The geometry with enough frames, tables and file space for the scenario's regions in a few processes."""
    sizes = region_sizes(scenario, geometry.pmd_pages, geometry.pud_pages)
    huge = {st.region for st in scenario.steps if isinstance(st, s.Map) and st.kind in HUGETLB_KINDS}
    base = sum(size for name, size in sizes.items() if name not in huge)
    if base <= geometry.file_pages:
        return geometry
    pages = 1 << (4 * base).bit_length()
    return replace(
        geometry,
        pages=max(geometry.pages, pages),
        tables=geometry.tables + 8 * (base // geometry.pmd_pages + 4),
        file_pages=max(geometry.file_pages, 1 << base.bit_length()),
        swap=max(geometry.swap, 2 * base),
        runs_per_pin=max(geometry.runs_per_pin, base + 1),
    )
