"""What to do in the place of passing other flags: no pin at all, other memory, or advice of the process's own.

What other memory comes to is run, as every answer is; where a device does without a pin, nothing is pinned to be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pinhold.ask.cell import RELIABLE, UNTIL, Cell, cell
from pinhold.ask.flags import Request
from pinhold.ask.memory import MEMORY, Memory

SHARED = next(memory for memory in MEMORY if memory.lines.startswith("map P x memfd shared"))
"""memfd_create() and mmap(MAP_SHARED), as a row of the answer."""


@dataclass(frozen=True, slots=True)
class Instead:
    """name: what; who: the "driver" or the "process"; words: what it comes to and costs; source: of the kernel.

    answers: per release what was run, None where nothing was: "reliable", the word that it gets, or how many of the
    rows that fail become reliable, as "3 of 5 rows that hold until fork()".
    """

    name: str
    who: str
    words: str
    source: str
    answers: Mapping[str, str] | None = None


def instead(request: Request, columns: Mapping[str, Mapping[Memory, Cell]]) -> tuple[Instead, ...]:
    """For a call of GUP; columns: its answers, per release."""
    forked = {
        release: [memory for memory, found in column.items() if found.word == UNTIL["fork"]]
        for release, column in columns.items()
    }
    return (
        Instead(
            "no pin: mmu notifiers",
            "driver",
            "the device's tables follow the process's, and are emptied before a page is replaced: nothing is pinned, "
            "nothing is charged, pages may move; the device has to fault, or to stop while its tables change. RDMA "
            "calls it on-demand paging (IBV_ACCESS_ON_DEMAND)",
            "mmu_interval_notifier_insert(), hmm_range_fault(); ib_umem_odp_get()",
        ),
        Instead(
            "shared memory: memfd_create() and MAP_SHARED",
            "process",
            "nobody copies it on a write: process, child and device see the same pages",
            "memfd_create(), mm/memfd.c",
            {release: column[SHARED].word for release, column in columns.items() if SHARED in column},
        ),
        Instead(
            "madvise(MADV_DONTFORK)",
            "process",
            "a child does not have the memory, so that fork() shares none of its pages; rdma-core's ibv_fork_init() "
            "does it",
            "VM_DONTCOPY, dup_mmap()",
            {release: _cured(request, release, rows) for release, rows in forked.items() if rows},
        ),
    )


def _cured(request: Request, release: str, rows: list[Memory]) -> str:
    cured = sum(cell(request, memory, release, dontfork=True).word == RELIABLE for memory in rows)
    return f"{cured} of {len(rows)} rows that hold until fork()"
