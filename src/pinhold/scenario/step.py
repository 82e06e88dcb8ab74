"""The steps of a scenario: what a process, a pin's user or a device does next.

Each step is a frozen value; its class's `meets` is what it may end with.  A region is a named stretch of a process's
memory; it keeps its name in a child after fork().  Pages are counted in base pages (4 KiB) from the start of the
region, bytes are 0..255 and fill whole pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pinhold.scenario.kinds import KINDS, Kind
from pinhold.scenario.meets import (
    CANNOT,
    CHANGES,
    COPIES_PAGES,
    NO_DISK,
    NO_MEMORY,
    REACHES,
    REFERS,
    REFUSED,
    SHORT,
    TAKES,
    TASKS,
    UNMAPPED,
    UNSUITABLE,
    Meets,
)
from pinhold.scenario.small import Small

PROTS = ("none", "read", "rw")
STATES = ("present", "swapped", "none", "huge")
PIN_USERS = ("none", "vfio", "io_uring", "rdma")
FRAME_RELATIONS = ("same", "different")
POKES = ("proc_mem", "ptrace")
"""How a forced write gets into the kernel: a write to /proc/PID/mem, or PTRACE_POKEDATA."""


@dataclass(frozen=True, slots=True)
class Range:
    """Pages [first, end) of `region`; end None: up to the region's end."""

    region: str
    first: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Map:
    """mmap() of a fresh region.  kind: one of kinds.KINDS.  `of`: a second mapping of that region's file (kind is then
    that region's).  readonly: of a descriptor of the file that was opened for reading alone."""

    meets: ClassVar[Meets] = Meets(
        refused={
            **CANNOT.refused,
            **NO_DISK,
            **UNSUITABLE,
            "ENODEV": "this kernel has no such memory",
            "EOPNOTSUPP": "the temporary directory takes no such file",
            "EOVERFLOW": "too much is mapped",
        }
    )
    proc: str
    region: str
    kind: str
    shared: bool = False
    prot: str = "rw"
    pages: int | None = None
    size: str | None = None
    of: str | None = None
    readonly: bool = False

    @property
    def memory(self) -> Kind:
        """The kind's record."""
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Unmap:
    """munmap()."""

    meets: ClassVar[Meets] = CHANGES
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class Read:
    """Load from each page; faults as needed."""

    meets: ClassVar[Meets] = REACHES
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class Write:
    """Fill each page with `byte`; faults as needed."""

    meets: ClassVar[Meets] = REACHES
    proc: str
    range: Range
    byte: int


@dataclass(frozen=True, slots=True)
class Fork:
    meets: ClassVar[Meets] = CANNOT
    proc: str
    child: str


@dataclass(frozen=True, slots=True)
class Exit:
    """The process exits and is waited for."""

    meets: ClassVar[Meets] = CANNOT
    proc: str


@dataclass(frozen=True, slots=True)
class Mprotect:
    meets: ClassVar[Meets] = Meets(
        refused={name: why for name, why in REFUSED.items() if name != "EACCES"},
        declined={**CHANGES.declined, "EACCES": "not with such memory"},
    )
    proc: str
    range: Range
    prot: str


@dataclass(frozen=True, slots=True)
class Madvise:
    """madvise().  advice: one of advice.ADVICE."""

    meets: ClassVar[Meets] = Meets(
        frozenset({"EFAULT"}),
        REFUSED,
        {
            **CHANGES.declined,
            "EBADF": "not with such memory on this kernel",
            "EBUSY": "the memory is in use",
            "EIO": "the device behind it failed",
            "EHWPOISON": "the memory is broken",
        },
    )
    proc: str
    range: Range
    advice: str


@dataclass(frozen=True, slots=True)
class Mremap:
    """Move `range` to a fresh place, which becomes the region `to`."""

    meets: ClassVar[Meets] = Meets(frozenset({"EFAULT"}), REFUSED, CHANGES.declined)
    proc: str
    range: Range
    to: str


@dataclass(frozen=True, slots=True)
class SwapOut:
    """Reclaim each page to swap, and say so (errno EBUSY) where one stayed."""

    meets: ClassVar[Meets] = Meets(refused=REFUSED, declined={**CHANGES.declined, "EBUSY": "pages stayed in memory"})
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class SwapIn:
    """Bring each page back by a read."""

    meets: ClassVar[Meets] = REACHES
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class UffdioContinue:
    """Map the page cache's pages by UFFDIO_CONTINUE, where nothing is mapped."""

    meets: ClassVar[Meets] = Meets(
        frozenset({"EFAULT", "EEXIST", "ENOENT"}), REFUSED, {**UNSUITABLE, **NO_MEMORY, **SHORT}
    )
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class Writeback:
    """Write the pages of a shared file mapping back, by msync(MS_SYNC)."""

    meets: ClassVar[Meets] = Meets(
        refused=REFUSED, declined={**UNMAPPED, **UNSUITABLE, "EIO": "the device behind it failed"}
    )
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class NumaHint:
    """NUMA balancing's scan passes: the pages become inaccessible until the next access."""

    meets: ClassVar[Meets] = CHANGES
    proc: str
    range: Range


@dataclass(frozen=True, slots=True)
class Ksm:
    """KSM merges each page of `range` with the one at the same place in `other_range`, up to the end of the shorter.

    Both ranges are advised MADV_MERGEABLE first.  It is an attempt: which pages stay apart, the frames tell.
    """

    meets: ClassVar[Meets] = CHANGES
    proc: str
    range: Range
    other_proc: str
    other_range: Range


@dataclass(frozen=True, slots=True)
class ClearSoftDirty:
    """Write 4 to /proc/PID/clear_refs."""

    meets: ClassVar[Meets] = Meets(refused={**CANNOT.refused, **UNSUITABLE, "ENOENT": "needs /proc"})
    proc: str


@dataclass(frozen=True, slots=True)
class Drain:
    """lru_add_drain() on the scenario's CPU."""

    meets: ClassVar[Meets] = CHANGES


@dataclass(frozen=True, slots=True)
class LimitMemlock:
    """RLIMIT_MEMLOCK of the process, in base pages."""

    meets: ClassVar[Meets] = CANNOT
    proc: str
    pages: int


@dataclass(frozen=True, slots=True)
class Capability:
    """Give or take CAP_IPC_LOCK."""

    meets: ClassVar[Meets] = CANNOT
    proc: str
    ipc_lock: bool


@dataclass(frozen=True, slots=True)
class Pin:
    """pin_user_pages() on behalf of `user`, held until unpin.  Flags as in FOLL_*; `via` names a mechanism."""

    meets: ClassVar[Meets] = TAKES
    proc: str
    range: Range
    pin: str
    write: bool = False
    longterm: bool = False
    force: bool = False
    fast: bool = False
    user: str = "none"
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Unpin:
    meets: ClassVar[Meets] = CANNOT
    pin: str


@dataclass(frozen=True, slots=True)
class Vmsplice:
    """vmsplice() into a pipe of its own: FOLL_GET references on the first 16 pages at most, held until unpin."""

    meets: ClassVar[Meets] = REFERS
    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class IoUring:
    """io_uring_register() of a fixed buffer: a writable long-term pin, held until unpin.  Whether it goes through
    GUP-fast, and which files it takes, is that kernel's business."""

    meets: ClassVar[Meets] = TAKES
    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class ProcessVmReadv:
    """process_vm_readv() of the process's own memory: a read-only pin that is gone when the call returns.

    `pin` names the copy that it made; the copy holds no page.
    """

    meets: ClassVar[Meets] = COPIES_PAGES
    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class ProcessVmWritev:
    """process_vm_writev() of `byte` into the process's own memory: a writable pin, gone when the call returns."""

    meets: ClassVar[Meets] = COPIES_PAGES
    proc: str
    range: Range
    byte: int


@dataclass(frozen=True, slots=True)
class DirectWrite:
    """write() with O_DIRECT from memory to a file.  `pin` names the copy in the file; the copy holds no page."""

    meets: ClassVar[Meets] = COPIES_PAGES
    proc: str
    range: Range
    pin: str


@dataclass(frozen=True, slots=True)
class DirectRead:
    """read() with O_DIRECT into memory, from a file full of `byte`."""

    meets: ClassVar[Meets] = COPIES_PAGES
    proc: str
    range: Range
    byte: int


@dataclass(frozen=True, slots=True)
class Poke:
    """A forced write (FOLL_FORCE | FOLL_WRITE), page by page, as a debugger does.  via: one of POKES; None: any."""

    meets: ClassVar[Meets] = Meets(frozenset({"EFAULT", "EIO"}), {**REFUSED, **NO_MEMORY})
    proc: str
    range: Range
    byte: int
    via: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceRead:
    """The pin's holder reads every pinned page (an observation point)."""

    meets: ClassVar[Meets] = CANNOT
    pin: str


@dataclass(frozen=True, slots=True)
class DeviceWrite:
    """The pin's holder fills every pinned page with `byte`."""

    meets: ClassVar[Meets] = CANNOT
    pin: str
    byte: int


@dataclass(frozen=True, slots=True)
class Start:
    """The task begins the operation `step`, one of STARTABLE, and takes none of its atomic steps yet.

    A task is a thread of the scenario's making, named where it first starts something.  One that is in an operation
    comes to its end first.
    """

    meets: ClassVar[Meets] = TASKS
    task: str
    step: Action


@dataclass(frozen=True, slots=True)
class Advance:
    """The task takes so many atomic steps of what it has begun; one that waits for a lock, or is idle, takes none.

    chance: which outcome each has of those that nobody decides, such as which free frame is taken.
    """

    meets: ClassVar[Meets] = TASKS
    task: str
    steps: int = 1
    chance: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """Every task comes to the end of what it has begun."""

    meets: ClassVar[Meets] = TASKS


@dataclass(frozen=True, slots=True)
class Require:
    """A precondition: where it does not hold the scenario is skipped with `text`.  `huge`: mapped by one huge entry."""

    proc: str
    range: Range
    state: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectByte:
    """Every page of the range reads as `byte` to the process."""

    proc: str
    range: Range
    byte: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectPinByte:
    """Every page that the pin holds contains `byte`."""

    pin: str
    byte: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectPinSees:
    """Page by page the pin holds the bytes that the process sees in `range`."""

    pin: str
    proc: str
    range: Range
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectFrame:
    """The first pages of two ranges are mapped to the `same` or to `different` frames."""

    proc: str
    range: Range
    relation: str
    other_proc: str
    other_range: Range
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectErrno:
    """The step before failed with this errno ("OK": succeeded)."""

    errno: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectSound:
    """None of the specification's safety properties is violated as things are: only a model can tell."""

    text: str | None = None


EXPECTATIONS = (ExpectByte, ExpectPinByte, ExpectPinSees, ExpectFrame, ExpectErrno, ExpectSound)

HOLDS = (Pin, Vmsplice, IoUring)
"""Steps that take pages and hold them, under the name `pin`."""

COPIES = (ProcessVmReadv, DirectWrite)
"""Steps that copy the content of pages, under the name `pin`."""

Hold = Pin | Vmsplice | IoUring
Copy = ProcessVmReadv | DirectWrite
Fill = ProcessVmWritev | DirectRead | Poke
"""Steps by which the kernel fills memory with a byte."""

SCHEDULES = (Start, Advance, Settle)
"""Steps that take operations apart, for a scenario on a small machine."""

STARTABLE = (
    Unmap,
    Read,
    Write,
    Fork,
    Exit,
    Mprotect,
    Madvise,
    SwapOut,
    UffdioContinue,
    Writeback,
    NumaHint,
    Ksm,
    ClearSoftDirty,
    Pin,
    Unpin,
    Vmsplice,
    IoUring,
    Poke,
)
"""Operations that have atomic steps."""

Expectation = ExpectByte | ExpectPinByte | ExpectPinSees | ExpectFrame | ExpectErrno | ExpectSound
Action = (
    Map
    | Unmap
    | Read
    | Write
    | Fork
    | Exit
    | Mprotect
    | Madvise
    | Mremap
    | SwapOut
    | SwapIn
    | UffdioContinue
    | Writeback
    | NumaHint
    | Ksm
    | ClearSoftDirty
    | Drain
    | LimitMemlock
    | Capability
    | Pin
    | Unpin
    | Vmsplice
    | IoUring
    | ProcessVmReadv
    | ProcessVmWritev
    | DirectWrite
    | DirectRead
    | Poke
    | DeviceRead
    | DeviceWrite
    | Start
    | Advance
    | Settle
)
Step = Action | Require | Expectation


@dataclass(frozen=True, slots=True)
class Scenario:
    """A title, the steps, and the pages to watch besides the default ones.  The first process is `P`.

    xfail: why an expectation is known to be violated, in words; the verdict is then xfail instead of violated.
    vm_only: why it may crash or corrupt a vulnerable kernel, in words; then it runs on a kernel in a virtual machine
    that is thrown away afterwards, and never on the kernel that runs here.
    small: the machine that its schedule is made for; then it runs on models only.
    """

    title: str
    steps: tuple[Step, ...]
    watch: tuple[Range, ...] = ()
    xfail: str | None = None
    vm_only: str | None = None
    small: Small | None = None


def done_by(step: Step) -> Step:
    """What the step does: itself, or the operation that it starts."""
    return step.step if isinstance(step, Start) else step
