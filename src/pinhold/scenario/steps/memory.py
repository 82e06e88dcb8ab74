"""Steps on mappings and on the memory behind them, and on processes."""

from __future__ import annotations

from pinhold.scenario.advice import ADVICE
from pinhold.scenario.bounds import MAX_MEMLOCK
from pinhold.scenario.forms import Chosen, Columns, Keyed, Named, Number, Role, Thing, Values, Word, form, words
from pinhold.scenario.kinds import HUGETLB_SIZES, KINDS, Kind
from pinhold.scenario.meets import (
    CANNOT,
    CHANGES,
    NO_DISK,
    NO_MEMORY,
    REACHES,
    REFUSED,
    SHORT,
    UNMAPPED,
    UNSUITABLE,
    Meets,
)
from pinhold.scenario.ranges import Range
from pinhold.scenario.steps.parts import BYTE, OTHER_PROC, OTHER_RANGE, PAGES, PROC, PROT, PROTS, RANGE
from pinhold.scenario.steps.table import Action, step
from pinhold.scenario.tokens import Cursor

_KIND = words("kind", "KIND", tuple(KINDS))
_SIZE = words("size", "SIZE", HUGETLB_SIZES)
_NEW_REGION = Named("region", "REGION", Thing.REGION, Role.MAKES)


class KindAndSize:
    """The kind of a fresh region, with the page size where it is hugetlb."""

    usage = "KIND"

    def read(self, line: Cursor, values: Values, columns: Columns) -> None:
        _KIND.read(line, values, columns)
        if KINDS[values["kind"]].hugetlb:
            _SIZE.read(line, values, columns)

    def show(self, step: object) -> str | None:
        assert isinstance(step, Map)
        return f"{step.kind} {step.size}" if step.size else step.kind


_MAP_OPTIONS = (
    Chosen("shared", {"shared": True, "private": False}, False),
    Chosen("prot", {prot: prot for prot in PROTS}, "rw"),
    Chosen("readonly", {"readonly": True}, False),
)


@step(
    form("map", PROC, _NEW_REGION, "of", Named("of", "REGION", Thing.REGION), options=_MAP_OPTIONS, fixed={"kind": ""}),
    form("map", PROC, _NEW_REGION, KindAndSize(), options=(*_MAP_OPTIONS, Keyed("pages", PAGES))),
    meets=Meets(
        refused={
            **CANNOT.refused,
            **NO_DISK,
            **UNSUITABLE,
            "ENODEV": "this kernel has no such memory",
            "EOPNOTSUPP": "the temporary directory takes no such file",
            "EOVERFLOW": "too much is mapped",
        }
    ),
)
class Map(Action):
    """mmap() of a fresh region.  kind: one of kinds.KINDS.  `of`: a second mapping of that region's file (kind is then
    that region's).  readonly: of a descriptor of the file that was opened for reading alone."""

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


@step(form("unmap", PROC, RANGE), meets=CHANGES, startable=True)
class Unmap(Action):
    """munmap()."""

    proc: str
    range: Range


@step(form("read", PROC, RANGE), meets=REACHES, startable=True)
class Read(Action):
    """Load from each page; faults as needed."""

    proc: str
    range: Range


@step(form("write", PROC, RANGE, BYTE), meets=REACHES, startable=True)
class Write(Action):
    """Fill each page with `byte`; faults as needed."""

    proc: str
    range: Range
    byte: int


@step(form("fork", PROC, Named("child", "CHILD", Thing.PROCESS, Role.MAKES)), meets=CANNOT, startable=True)
class Fork(Action):
    proc: str
    child: str


@step(form("exit", Named("proc", "PROC", Thing.PROCESS, Role.ENDS)), meets=CANNOT, startable=True)
class Exit(Action):
    """The process exits and is waited for."""

    proc: str


@step(
    form("mprotect", PROC, RANGE, PROT),
    meets=Meets(
        refused={name: why for name, why in REFUSED.items() if name != "EACCES"},
        declined={**CHANGES.declined, "EACCES": "not with such memory"},
    ),
    startable=True,
)
class Mprotect(Action):
    proc: str
    range: Range
    prot: str


@step(
    form("madvise", PROC, RANGE, words("advice", "ADVICE", tuple(ADVICE))),
    meets=Meets(
        frozenset({"EFAULT"}),
        REFUSED,
        {
            **CHANGES.declined,
            "EAGAIN": "somebody holds a page, or the kernel was short of something",
            "EBADF": "not with such memory on this kernel",
            "EBUSY": "the memory is in use",
            "EIO": "the device behind it failed",
            "EHWPOISON": "the memory is broken",
        },
    ),
    startable=True,
)
class Madvise(Action):
    """madvise().  advice: one of advice.ADVICE."""

    proc: str
    range: Range
    advice: str


@step(
    form("mremap", PROC, RANGE, "to", Named("to", "REGION", Thing.REGION, Role.MAKES)),
    meets=Meets(frozenset({"EFAULT"}), REFUSED, CHANGES.declined),
)
class Mremap(Action):
    """Move `range` to a fresh place, which becomes the region `to`."""

    proc: str
    range: Range
    to: str


@step(
    form("swapout", PROC, RANGE),
    meets=Meets(refused=REFUSED, declined={**CHANGES.declined, "EBUSY": "pages stayed in memory"}),
    startable=True,
)
class SwapOut(Action):
    """Reclaim each page to swap, and say so (errno EBUSY) where one stayed."""

    proc: str
    range: Range


@step(form("swapin", PROC, RANGE), meets=REACHES)
class SwapIn(Action):
    """Bring each page back by a read."""

    proc: str
    range: Range


@step(
    form("uffdio_continue", PROC, RANGE),
    meets=Meets(frozenset({"EFAULT", "EEXIST", "ENOENT"}), REFUSED, {**UNSUITABLE, **NO_MEMORY, **SHORT}),
    startable=True,
)
class UffdioContinue(Action):
    """Map the page cache's pages by UFFDIO_CONTINUE, where nothing is mapped."""

    proc: str
    range: Range


@step(
    form("writeback", PROC, RANGE),
    meets=Meets(refused=REFUSED, declined={**UNMAPPED, **UNSUITABLE, "EIO": "the device behind it failed"}),
    startable=True,
)
class Writeback(Action):
    """Write the pages of a shared file mapping back, by msync(MS_SYNC)."""

    proc: str
    range: Range


@step(form("numa_hint", PROC, RANGE), meets=CHANGES, startable=True)
class NumaHint(Action):
    """NUMA balancing's scan passes: the pages become inaccessible until the next access."""

    proc: str
    range: Range


@step(form("ksm", PROC, RANGE, "with", OTHER_PROC, OTHER_RANGE), meets=CHANGES, startable=True)
class Ksm(Action):
    """KSM merges each page of `range` with the one at the same place in `other_range`, up to the end of the shorter.

    Both ranges are advised MADV_MERGEABLE first.  It is an attempt: which pages stay apart, the frames tell.
    """

    proc: str
    range: Range
    other_proc: str
    other_range: Range


@step(
    form("clear_softdirty", PROC),
    meets=Meets(refused={**CANNOT.refused, **UNSUITABLE, "ENOENT": "needs /proc"}),
    startable=True,
)
class ClearSoftDirty(Action):
    """Write 4 to /proc/PID/clear_refs."""

    proc: str


@step(form("drain"), meets=CHANGES)
class Drain(Action):
    """lru_add_drain() on the scenario's CPU."""


@step(form("memlock", PROC, Number("pages", "PAGES", "a number of pages", 0, MAX_MEMLOCK)), meets=CANNOT)
class LimitMemlock(Action):
    """RLIMIT_MEMLOCK of the process, in base pages."""

    proc: str
    pages: int


@step(form("capability", PROC, "ipc_lock", Word("ipc_lock", "on|off", {"on": True, "off": False})), meets=CANNOT)
class Capability(Action):
    """Give or take CAP_IPC_LOCK."""

    proc: str
    ipc_lock: bool
