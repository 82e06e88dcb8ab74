"""The small machine that an exhaustive search, and a scenario with a schedule, is bounded to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

BOUNDS: Mapping[str, tuple[int, int]] = {
    "levels": (1, 2),
    "bits": (1, 2),
    "pages": (0, 60),
    "thps": (0, 8),
    "hugetlb": (0, 7),
    "swap": (0, 20),
    "vmas": (0, 8),
    "lru_batch": (1, 15),
}
"""The least and the most of each: what the narrowest width of a field of the state holds."""

OFF: Mapping[str, int] = {
    "soft_dirty": 0,
    "thp": 0,
    "use_zero_page": 0,
    "swap": 0,
    "swap_sync": 1,
    "swap_clusters": 0,
    "pt_reclaim": 0,
    "fork_skips_pud": 0,
    "memory_ends": 0,
    "vma_merges": 1,
}
"""A kernel in which nothing is configured that the small machine does not ask for."""

SWITCHES = tuple(name for name in OFF if name != "swap")
"""What of OFF can be asked for; there is swap where there are slots."""


@dataclass(frozen=True, slots=True)
class Small:
    """levels, bits: of the page tables (a THP has two to the power of `bits` pages).  pages: base frames beside the
    zero page.  thps: frames of a PMD's size.  hugetlb: pages of the pool.  swap: slots.  vmas: room for mappings in a
    process, where it is more than the steps can come to.  lru_batch: length of the batch of fresh pages on their way to
    the LRU (1: none waits).  The rest: how the kernel is configured, 0 or 1; None: as OFF says, THPs and their zero
    page being on where there are frames for them.
    """

    levels: int = 1
    bits: int = 1
    pages: int = 3
    thps: int = 0
    hugetlb: int = 0
    swap: int = 0
    vmas: int = 0
    lru_batch: int = 1
    soft_dirty: int | None = None
    thp: int | None = None
    use_zero_page: int | None = None
    swap_sync: int | None = None
    swap_clusters: int | None = None
    pt_reclaim: int | None = None
    fork_skips_pud: int | None = None
    memory_ends: int | None = None
    vma_merges: int | None = None

    @property
    def pmd_pages(self) -> int:
        return 1 << self.bits

    @property
    def pud_pages(self) -> int:
        return self.pmd_pages**2

    @property
    def frames(self) -> int:
        """Base frames, the zero page among them, so many that THPs behind them are aligned."""
        base = self.pages + 1
        if self.thps:
            base = -(-base // self.pmd_pages) * self.pmd_pages
        return base + self.thps * self.pmd_pages

    @property
    def configuration(self) -> dict[str, int]:
        """Every name of OFF and its value."""
        on = {"thp": 1, "use_zero_page": 1} if self.thps else {}
        asked = {name: value for name in SWITCHES if (value := getattr(self, name)) is not None}
        return dict(OFF) | on | ({"swap": 1} if self.swap else {}) | asked


DEFAULTS: Mapping[str, int | None] = {f.name: f.default for f in fields(Small)}  # type: ignore[misc]
