"""What is told of pinned memory: the records that every view makes and every report reads.

Sizes are in bytes, addresses are those of user space.  Names are as the kernel has them: who prints them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

At = Callable[[str, int, int], None]
"""Is told how far a look is: of what, how many are done, of how many."""


class NotThere(Exception):
    """What was asked for is not in this kernel, such as a process of that number; the message says so."""


class State(StrEnum):
    """Whether what is pinned is still the memory of the process that it was pinned for."""

    SAME = "same"
    STALE = "STALE"
    UNMAPPED = "unmapped"
    SHARED = "shared"
    ZERO = "zero page"
    UNKNOWN = "cannot be told"


MEANING = {
    State.SAME: "the process sees what the device reads and writes",
    State.STALE: "the process has another page at this address: the device reads old data",
    State.UNMAPPED: "the process has nothing at this address any more",
    State.SHARED: "the page of a file, reached by shared mappings: whoever writes, writes to what is pinned",
    State.ZERO: "the zero page, still mapped: the next write of the process parts the two",
    State.UNKNOWN: "see the reason",
}


@dataclass(frozen=True, slots=True, order=True)
class Process:
    """name: of its first thread, as /proc/PID/comm has it: at most 15 bytes, any of them."""

    pid: int
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """A place where a folio is, or was, mapped."""

    process: Process
    address: int


TRANSIENT = "transient"
"""What is told as the holder of pins that were given back a moment after they were seen."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What took the pins.

    process, fd: who has it open.  module: where the holder is unknown, the module that it is of, as far as that can be
    told.  address: the user address that it keeps beside the page; None: it keeps none.
    """

    kind: str
    process: Process | None = None
    fd: int | None = None
    module: str | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """A range of memory that a holder says it holds, where its page frames cannot be seen.

    size: None where the holder is open, but whether and what it holds cannot be told.
    """

    holder: Holder
    size: int | None = None
    state: State = State.UNKNOWN
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PinnedFolio:
    """A folio with pins, or one page of it that a holder keeps.

    pfn: of its first page.  kind: anon, file, hugetlb, zero, ...  pins: their exact number; None: only references are
    held, or the number cannot be told.  dma_pinned: the kernel takes it for pinned (folio_maybe_dma_pinned()), which
    1024 references of any other kind bring about, too.  reason: why the state cannot be told.  cma: name of the area
    of CMA that it lies in; "": in none.
    """

    pfn: int
    kind: str
    size: int
    node: int
    zone: str
    pins: int | None
    dma_pinned: bool
    owners: tuple[Owner, ...] = ()
    holders: tuple[Holder, ...] = ()
    state: State = State.UNKNOWN
    reason: str = ""
    cma: str = ""


@dataclass(frozen=True, slots=True)
class ProcessPins:
    """What is charged to a process: VmPin and VmLck of /proc/PID/status (mm->pinned_vm, mm->locked_vm).

    RDMA, io_uring and others charge pinned_vm; VFIO, vDPA and mlock() charge locked_vm; short pins charge nothing.
    """

    process: Process
    vm_pin: int
    vm_lck: int


@dataclass(frozen=True, slots=True)
class Counters:
    """nr_foll_pin_acquired and nr_foll_pin_released of /proc/vmstat: references by FOLL_PIN since boot.

    exact: False where what each CPU counts by itself could not be folded in first.
    """

    acquired: int
    released: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """How complete the look is.

    objects: what was read, in words, such as "processes"; total: how many of them; inconsistent: how many could not be
    read consistently, as they changed meanwhile; denied: how many this user may not look into.
    """

    objects: str = "processes"
    total: int = 0
    inconsistent: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; None everywhere: all.

    address: of the process `pid`.  zone: by name, or CMA, CMA:NAME: areas of the contiguous memory allocator.  block:
    number of a memory block.
    """

    pid: int | None = None
    address: int | None = None
    pfn: int | None = None
    zone: str | None = None
    block: int | None = None

    @property
    def of_frames(self) -> bool:
        """Whether only who sees page frames can answer."""
        return (self.pfn, self.zone, self.block) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Told:
    """The answer.

    source: where it was read, such as "/proc".  release: of that kernel.  missing: what would have to be there for more
    to be told, a sentence each.
    """

    source: str
    release: str
    processes: tuple[ProcessPins, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    folios: tuple[PinnedFolio, ...] = ()
    counters: Counters | None = None
    looked: Looked = Looked()
    missing: tuple[str, ...] = ()
