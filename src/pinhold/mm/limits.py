"""Where a machine ends and a kernel does not: page frames, page tables, VMAs and the like are as many as were made.

Wanted beyond that, nothing that follows is the specification's: the machine is `trapped`, and whoever runs it ends with
a sentence about the machine, whatever errno comes of it.  What a kernel has pools of is no such limit: hugetlb pages,
swap slots, RLIMIT_MEMLOCK, and memory in PMD-sized pieces, without which it falls back to base pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from pinhold.mm.kernel import kernel
from pinhold.mm.state import State

(
    WITHIN_LIMITS,
    LIMIT_STACK,
    LIMIT_PAGES,
    LIMIT_TABLES,
    LIMIT_VMAS,
    LIMIT_RUNS,
    LIMIT_FILES,
    LIMIT_FILE_PAGES,
    LIMIT_MMS,
    LIMIT_PINS,
    LIMIT_RESERVE,
) = range(11)
"""Values of `trapped`: the first limit that was met."""

LIMITS: Mapping[int, tuple[str, str]] = {
    LIMIT_STACK: ("room on a task's stack", ""),
    LIMIT_PAGES: ("page frames", "pages"),
    LIMIT_TABLES: ("page tables", ""),
    LIMIT_VMAS: ("VMAs of a process", "vmas"),
    LIMIT_RUNS: ("runs of pages in a pin", ""),
    LIMIT_FILES: ("files", ""),
    LIMIT_FILE_PAGES: ("pages of a file", ""),
    LIMIT_MMS: ("processes", ""),
    LIMIT_PINS: ("pins", ""),
    LIMIT_RESERVE: ("huge pages of a mapping", ""),
}
"""What there is too little of, and the word of a small machine that makes more, if it has one."""

RESERVE_MAX = 62
"""Huge pages of one mapping or file, whose reserve is a bit each."""


@kernel
def too_small(m: State, limit: int) -> None:
    """The machine has no more of what was wanted."""
    if m.trapped[0] == WITHIN_LIMITS:
        m.trapped[0] = limit
