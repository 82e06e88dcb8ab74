"""The state: one flat record, declared once, as a table of fields.

A field is an array over one dimension (or, if constant, a scalar).  The mutable fields come first and are what a saved
state is; constants (rules, geometry, scratch) follow and are neither hashed nor stored per state.  A size class
fixes dimensions and field widths: `full` has x86-64's 4 x 9 page-table levels and bits, `tiny` 3 x 2 for exhaustive
search and for comparing interpreter and compiler.

Interpreted, a record is a `Machine`: memoryviews over its bytes.  Compiled, the same bytes are one numpy record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Protocol, cast

from pinhold.mm.rules import Rules, Switch


class Ints(Protocol):
    """An array of signed integers, whatever holds it."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Field:
    """dim: the name of its dimension, "" for a scalar; bytes per element in the full and the tiny class; lowest
    value.  names: what a value is the number of, and is renamed with: "page", "table", "swap", an "entry" (which names
    one of these), a "token" of content, an "arg" (which names what its function says, see task.py), or "", where
    numbers mean themselves."""

    dim: str
    full: int
    tiny: int
    low: int
    constant: bool
    names: str = ""


def per(dim: str, full: int, tiny: int, low: int = 0, names: str = "") -> Ints:
    """A mutable array of signed integers over `dim`."""
    return cast(Ints, Field(dim, full, tiny, low, constant=False, names=names))


def constant_per(dim: str, full: int, tiny: int) -> Ints:
    """An array outside the saved state."""
    return cast(Ints, Field(dim, full, tiny, -(1 << 62), constant=True))


SCALAR = Field("", 8, 8, -(1 << 62), constant=True)


def constant() -> int:
    """A scalar outside the saved state."""
    return cast(int, SCALAR)


class State(Rules):
    """All of a machine; the rules are constants of it, too.

    "Page" means a page frame number; its per-page fields are at `folio.page_index(page)`.
    Who computes with a machine and needs fields of its own beside it (constant ones: a saved state is a machine's)
    declares them in a class derived from this one, and has that class's record: see `layout`.
    """

    @classmethod
    def dimensions(cls, geometry: Geometry) -> dict[str, int]:
        """The length of each dimension that a field can have."""
        return geometry.dimensions()

    # page tables: a pool of tables, numbered; a table's entries are at (table << bits) + index
    pte: Ints = per("slots", 8, 4, names="entry")
    table_used: Ints = per("tables", 1, 1)

    # processes; a process's top page table is mm_pgd
    mm_alive: Ints = per("mms", 1, 1)
    mm_pgd: Ints = per("mms", 2, 1, names="table")
    mm_readers: Ints = per("mms", 1, 1)
    mm_writer: Ints = per("mms", 1, 1)
    mm_write_protect_seq: Ints = per("mms", 1, 1)
    mm_has_pinned: Ints = per("mms", 1, 1)
    mm_huge_zero: Ints = per("mms", 1, 1)
    mm_locked_vm: Ints = per("mms", 8, 2)
    mm_pinned_vm: Ints = per("mms", 8, 2)
    mm_memlock: Ints = per("mms", 8, 2, -1)
    mm_ipc_lock: Ints = per("mms", 1, 1)
    user_locked_vm: Ints = per("one", 8, 2)

    # VMAs: those of process p are at p * vmas_per_mm …; free where vma_end is 0; addresses in pages
    vma_start: Ints = per("vmas", 8, 1)
    vma_end: Ints = per("vmas", 8, 1)
    vma_flags: Ints = per("vmas", 4, 4)
    vma_file: Ints = per("vmas", 1, 1, -1)
    vma_pgoff: Ints = per("vmas", 8, 1)
    vma_anon: Ints = per("vmas", 2, 1, -127)
    vma_order: Ints = per("vmas", 1, 1)
    vma_reserve: Ints = per("vmas", 8, 1)
    vma_reserve_owner: Ints = per("vmas", 1, 1)
    vma_i_mmap: Ints = per("vmas", 1, 1)

    # pages and folios; a folio's fields are those of its head page; free where the refcount is 0 and the offset is 0
    page_offset: Ints = per("pages", 4, 1)
    page_mapcount: Ints = per("pages", 4, 1)
    page_exclusive: Ints = per("pages", 1, 1)
    page_content: Ints = per("pages", 2, 2, names="token")
    folio_refcount: Ints = per("pages", 4, 4)
    folio_pincount: Ints = per("pages", 4, 2)
    folio_entire_mapcount: Ints = per("pages", 4, 1)
    folio_large_mapcount: Ints = per("pages", 4, 1)
    folio_flags: Ints = per("pages", 2, 2)
    folio_order: Ints = per("pages", 1, 1)
    folio_file: Ints = per("pages", 1, 1, -1)
    folio_index: Ints = per("pages", 4, 1)
    folio_dirty: Ints = per("pages", 1, 1)
    folio_swap: Ints = per("pages", 4, 1, names="swap")
    folio_mm_id: Ints = per("mm_ids", 1, 1)
    folio_mm_id_mapcount: Ints = per("mm_ids", 4, 1)
    next_page: Ints = per("one", 4, 2)
    next_swap: Ints = per("one", 4, 2)
    huge_zero_page: Ints = per("one", 4, 2, -1, names="page")
    lru_batch: Ints = per("one", 1, 1)
    lru_batch_page: Ints = per("batch", 4, 2, names="page")
    hugetlb_free: Ints = per("hstates", 4, 1)
    hugetlb_reserved: Ints = per("hstates", 4, 1, -64)
    hugetlb_lost: Ints = per("hstates", 4, 1)

    # files: content of file f is at f * file_pages …, in units of the file's page size; cache_away: reclaim has taken
    # the page; cache_stored: what the device has, where that is not the page's content
    file_kind: Ints = per("files", 1, 1)
    file_order: Ints = per("files", 1, 1)
    file_users: Ints = per("files", 2, 1)
    file_reserve: Ints = per("files", 8, 1)
    cache_page: Ints = per("cache", 4, 2, -1, names="page")
    cache_away: Ints = per("cache", 1, 1)
    cache_stored: Ints = per("cache", 2, 2, names="token")

    # swap slots, numbered from 1; the swap cache's reference to a folio is folio_swap on the folio
    swap_count: Ints = per("swap", 2, 1)
    swap_content: Ints = per("swap", 2, 2, names="token")
    swap_page: Ints = per("swap", 4, 2, -1, names="page")

    # pins: each holds runs of consecutive pages of a folio at pin * runs_per_pin …; run_addr: where the pin's owner has
    # them, or NO_ADDR, if it has taken them away itself
    pin_state: Ints = per("pins", 1, 1)
    pin_mm: Ints = per("pins", 1, 1, -1)
    pin_flags: Ints = per("pins", 4, 4)
    pin_user: Ints = per("pins", 1, 1)
    pin_addr: Ints = per("pins", 8, 1)
    pin_count: Ints = per("pins", 4, 1)
    pin_charge: Ints = per("pins", 4, 1)
    pin_user_charge: Ints = per("pins", 4, 1)
    pin_runs: Ints = per("pins", 4, 1)
    run_page: Ints = per("runs", 8, 2, names="page")
    run_count: Ints = per("runs", 4, 1)
    run_addr: Ints = per("runs", 8, 1, -1)

    # tasks: a stack of activation records each, at task_stack[task] …
    task_depth: Ints = per("tasks", 1, 1)
    task_result: Ints = per("tasks", 8, 2, -200)
    task_irqs_off: Ints = per("tasks", 1, 1)
    act_function: Ints = per("acts", 1, 1)
    act_pc: Ints = per("acts", 1, 1)
    act_mm: Ints = per("acts", 1, 1)
    act_addr: Ints = per("acts", 8, 1)
    act_end: Ints = per("acts", 8, 1)
    act_flags: Ints = per("acts", 4, 4)
    act_arg: Ints = per("acts", 8, 2, -1, names="arg")
    act_entry: Ints = per("acts", 8, 4, names="entry")
    act_page: Ints = per("acts", 8, 2, -1, names="page")
    act_new: Ints = per("acts", 8, 2, -1, names="page")
    act_seq: Ints = per("acts", 1, 1)

    # constants: geometry and scope
    levels: int = constant()
    bits: int = constant()
    nr_mms: int = constant()
    nr_pages: int = constant()
    huge_frames: int = constant()
    nr_hugetlb: int = constant()
    hugetlb_shift: int = constant()
    vmas_per_mm: int = constant()
    file_pages: int = constant()
    runs_per_pin: int = constant()
    next_fit: int = constant()
    batch: int = constant()
    fault_around: int = constant()
    lru_batch_size: int = constant()
    task_stack: Ints = constant_per("stacks", 8, 8)
    # constants: the configuration of the kernel that is specified
    config_soft_dirty: int = constant()
    config_thp: int = constant()
    config_use_zero_page: int = constant()
    config_swap: int = constant()
    config_swap_sync: int = constant()
    config_swap_clusters: int = constant()
    config_pt_reclaim: int = constant()
    config_fork_skips_pud: int = constant()
    config_memory_ends: int = constant()
    config_vma_merges: int = constant()
    # constants: whether stores are left out, so that no page is known to be zero-filled
    content_unknown: int = constant()
    # constants: which of the outcomes that nobody decides (see chance.py)
    choice: Ints = constant_per("one", 8, 8)
    choices: Ints = constant_per("one", 8, 8)
    # constants: whether the machine was too small, or met what is not specified (see limits.py and trap.py)
    trapped: Ints = constant_per("one", 8, 8)
    # constants: which decision sites were passed, and working space of the invariants
    coverage: Ints = constant_per("sites", 1, 1)
    scratch_refs: Ints = constant_per("pages", 8, 8)
    scratch_maps: Ints = constant_per("pages", 8, 8)
    scratch_pins: Ints = constant_per("pages", 8, 8)
    scratch_entire: Ints = constant_per("pages", 8, 8)
    scratch_swap: Ints = constant_per("swap", 8, 8)


TASK_DEPTH = 4
SITES_MAX = 256
"""More decision sites than there are (sites/)."""
LRU_BATCH_MAX = 31


@dataclass(frozen=True, slots=True)
class Geometry:
    """Dimensions and the widths' class.

    stacks: activation records of each task, where they are not TASK_DEPTH.  pages: base pages; the last `huge_frames`
    PMDs' worth of them are for THPs alone, so that frames can be exchanged for one another within each size; 0: pages
    serve both.  hugetlb: the pool sizes per hstate.
    """

    full: bool
    levels: int
    bits: int
    mms: int
    tables: int
    vmas_per_mm: int
    pages: int
    hugetlb: tuple[int, int]
    files: int
    file_pages: int
    swap: int
    pins: int
    runs_per_pin: int
    tasks: int
    batch: int
    fault_around: int
    lru_batch_size: int
    huge_frames: int = 0
    stacks: tuple[int, ...] = ()

    @property
    def stack_starts(self) -> tuple[int, ...]:
        """Of each task's stack the first record, and behind the last one their number."""
        return tuple(accumulate(self.stacks or (TASK_DEPTH,) * self.tasks, initial=0))

    @property
    def pmd_pages(self) -> int:
        return 1 << self.bits

    @property
    def pud_pages(self) -> int:
        return 1 << (2 * self.bits)

    def dimensions(self) -> dict[str, int]:
        pages = self.pages + sum(self.hugetlb)
        return {
            "one": 1,
            "tables": self.tables,
            "slots": self.tables << self.bits,
            "mms": self.mms,
            "vmas": self.mms * self.vmas_per_mm,
            "pages": pages,
            "mm_ids": 2 * pages,
            "batch": self.lru_batch_size,
            "hstates": 2,
            "files": self.files,
            "cache": self.files * self.file_pages,
            "swap": self.swap + 1,
            "pins": self.pins,
            "runs": self.pins * self.runs_per_pin,
            "tasks": self.tasks,
            "stacks": self.tasks + 1,
            "acts": self.stack_starts[-1],
            "sites": SITES_MAX,
        }


X86_64 = Geometry(
    full=True,
    levels=4,
    bits=9,
    mms=8,
    tables=160,
    vmas_per_mm=48,
    pages=4096,
    hugetlb=(16, 6),
    files=16,
    file_pages=1024,
    swap=2048,
    pins=4,
    runs_per_pin=640,
    tasks=1,
    batch=1 << 20,
    fault_around=16,
    lru_batch_size=LRU_BATCH_MAX,
)
"""x86-64: 512 entries a table, 2 MiB and 1 GiB huge pages; one task, which runs operations to completion."""

TINY = replace(
    X86_64,
    full=False,
    levels=3,
    bits=2,
    mms=3,
    tables=40,
    vmas_per_mm=12,
    pages=48,
    hugetlb=(4, 3),
    files=4,
    file_pages=16,
    swap=12,
    pins=3,
    runs_per_pin=16,
    tasks=3,
    batch=1,
    fault_around=1,
    lru_batch_size=3,
)
"""Three levels of four entries: 64 pages of address space, a THP of 4 pages, a gigantic page of 16."""


def fields(settled: Collection[str] = (), record: type[State] = State) -> Iterator[tuple[str, Field]]:
    """The table of fields in record order: mutable ones first, wide before narrow, then constants.

    settled: fields that keep their values, and are constant therefore.  record: State, or a class that adds fields.
    """
    declared = (item for cls in reversed(record.__mro__) for item in vars(cls).items())
    table = [(name, SCALAR if isinstance(f, Switch) else f) for name, f in declared if isinstance(f, Field | Switch)]
    table = [(name, replace(f, constant=f.constant or name in settled)) for name, f in table]
    return iter(sorted(table, key=lambda item: (item[1].constant, item[1].dim == "", -item[1].full)))


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field lies in the record; count 0: a scalar."""

    offset: int
    width: int
    count: int
    low: int


@dataclass(frozen=True, slots=True)
class Layout:
    slots: Mapping[str, Slot]
    mutable_size: int
    size: int


@cache
def layout(geometry: Geometry, settled: frozenset[str] = frozenset(), record: type[State] = State) -> Layout:
    """Offsets of all fields for a geometry (settled, record: see `fields`); every field is aligned to its width."""
    dims = record.dimensions(geometry)
    slots: dict[str, Slot] = {}
    offset = mutable_size = 0
    for name, f in fields(settled, record):
        width = f.full if geometry.full else f.tiny
        count = dims[f.dim] if f.dim else 0
        if f.constant and not mutable_size:
            mutable_size = offset = -(-offset // 8) * 8
        offset = -(-offset // width) * width
        slots[name] = Slot(offset, width, count, f.low)
        offset += width * max(count, 1)
    return Layout(slots, mutable_size, -(-offset // 8) * 8)
