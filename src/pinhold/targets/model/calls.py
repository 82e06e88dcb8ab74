"""Steps of a scenario as calls of the specification's step functions, for those that are one call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from pinhold.mm import flags as k
from pinhold.mm.khugepaged import collapse_possible
from pinhold.mm.machine import Machine
from pinhold.mm.rules.khugepaged import COLLAPSE_NONE
from pinhold.mm.task import (
    FN_ACCESS,
    FN_ACCESS_REMOTE,
    FN_CLEAR_REFS,
    FN_EXIT,
    FN_MADVISE,
    FN_MPROTECT,
    FN_MUNMAP,
    FN_PROT_NUMA,
    FN_UFFDIO_CONTINUE,
    FN_WRITEBACK,
)
from pinhold.mm.users import io_uring_flags
from pinhold.mm.vma import find_vma, vma_is_anonymous, vma_within
from pinhold.scenario import steps as s
from pinhold.scenario.advice import ADVICE
from pinhold.scenario.printer import format_step
from pinhold.targets.base import CannotDo
from pinhold.targets.dispatch import on

Span = tuple[int, int, int]
"""mm, first and end address, in pages."""

PROT = {"none": 0, "read": k.VM_READ, "rw": k.VM_READ | k.VM_WRITE}
USER = {"none": k.USER_NONE, "vfio": k.USER_VFIO, "io_uring": k.USER_IO_URING, "rdma": k.USER_RDMA}


class Call(NamedTuple):
    """What `task.call` takes behind the task."""

    function: int
    mm: int
    start: int
    end: int
    flags: int = 0
    arg: int = 0


class Places(Protocol):
    """Where a scenario's processes and regions are."""

    def mm(self, proc: str) -> int:
        """The process's number."""

    def span(self, proc: str, r: s.Range) -> Span: ...


S = TypeVar("S", bound=s.Step)


def _calls(step: type[S], make: Callable[[Places, S], Call]) -> tuple[type[s.Step], Callable[[Places, Any], Call]]:
    return on(step, make)


def _ranged(step: type[s.Step], function: int) -> tuple[type[s.Step], Callable[[Places, Any], Call]]:
    """A call on a range, with nothing else to say."""
    return step, lambda at, a: Call(function, *at.span(a.proc, a.range))


CALLS: Mapping[type[s.Step], Callable[[Places, Any], Call]] = dict(
    (
        _ranged(s.Read, FN_ACCESS),
        _ranged(s.SwapIn, FN_ACCESS),
        _calls(s.Write, lambda at, a: Call(FN_ACCESS, *at.span(a.proc, a.range), k.FAULT_FLAG_WRITE, a.byte)),
        _calls(s.Poke, lambda at, a: Call(FN_ACCESS_REMOTE, *at.span(a.proc, a.range), k.FAULT_FLAG_WRITE, a.byte)),
        _calls(s.Exit, lambda at, a: Call(FN_EXIT, at.mm(a.proc), 0, 0)),
        _ranged(s.Unmap, FN_MUNMAP),
        _calls(s.Mprotect, lambda at, a: Call(FN_MPROTECT, *at.span(a.proc, a.range), PROT[a.prot])),
        _calls(s.Madvise, lambda at, a: Call(FN_MADVISE, *at.span(a.proc, a.range), ADVICE[a.advice].number)),
        _calls(s.SwapOut, lambda at, a: Call(FN_MADVISE, *at.span(a.proc, a.range), ADVICE["pageout"].number)),
        _calls(s.ClearSoftDirty, lambda at, a: Call(FN_CLEAR_REFS, at.mm(a.proc), 0, 0)),
        _ranged(s.UffdioContinue, FN_UFFDIO_CONTINUE),
        _ranged(s.Writeback, FN_WRITEBACK),
        _ranged(s.NumaHint, FN_PROT_NUMA),
    )
)
"""Those that are one call."""


CONTINUE_OF_HUGETLB = "the specification has UFFDIO_CONTINUE for shmem (memfd) alone, not for hugetlb"
COLLAPSE_OF_FILES = (
    "the specification has MADV_COLLAPSE for anonymous memory alone, not where a file's mapping has room for a THP"
)
LIMITS = (CONTINUE_OF_HUGETLB, COLLAPSE_OF_FILES)
"""Memory for which the specification lacks what it has for other memory: a step that asks for it cannot be done."""


def call_of(m: Machine, step: s.Step, places: Places) -> Call:
    """The call that the step is.  Raises CannotDo where the specification has none, or none of such memory."""
    if type(step) not in CALLS:
        raise CannotDo(f"the specification has no '{format_step(step)}'")
    call = CALLS[type(step)](places, step)
    if isinstance(step, s.UffdioContinue) and _continues_hugetlb(m, call):
        raise CannotDo(CONTINUE_OF_HUGETLB)
    if isinstance(step, s.Madvise) and step.advice == "collapse" and _collapses_file(m, call):
        raise CannotDo(COLLAPSE_OF_FILES)
    return call


def _continues_hugetlb(m: Machine, call: Call) -> bool:
    vma = find_vma(m, call.mm, call.start)
    return vma != k.NO_VMA and m.vma_flags[vma] & k.VM_HUGETLB != 0


def _collapses_file(m: Machine, call: Call) -> bool:
    """Whether it comes to a mapping of a file that has room for a THP, having met no VMA that ends it.

    Whether the kernel tries hangs on who else has the file open, and on its file system (file_thp_enabled()).
    """
    if m.rule_madv_collapse == COLLAPSE_NONE:
        return False
    vma = vma_within(m, call.mm, call.start, call.end)
    while vma != k.NO_VMA and collapse_possible(m, vma):
        if not vma_is_anonymous(m, vma):
            return True
        vma = vma_within(m, call.mm, m.vma_end[vma], call.end)
    return False


def _pin_wants(m: Machine, a: s.Pin) -> tuple[int, int]:
    if a.via not in (None, "model"):
        raise CannotDo(
            f"the model has no pin mechanism {a.via}: it takes the pin as described (leave out 'via {a.via}')"
        )
    flags = k.FOLL_PIN
    for wanted, flag in (
        (a.write, k.FOLL_WRITE),
        (a.longterm, k.FOLL_LONGTERM),
        (a.force, k.FOLL_FORCE),
        (a.fast, k.WANT_FAST),
    ):
        flags |= flag if wanted else 0
    return flags, USER[a.user]


def _vmsplice_wants(m: Machine, a: s.Vmsplice) -> tuple[int, int]:
    return k.FOLL_GET | k.WANT_FAST, k.USER_NONE


def _io_uring_wants(m: Machine, a: s.IoUring) -> tuple[int, int]:
    return io_uring_flags(m), k.USER_IO_URING


WANTS: Mapping[type[s.Step], Callable[[Machine, Any], tuple[int, int]]] = dict(
    (on(s.Pin, _pin_wants), on(s.Vmsplice, _vmsplice_wants), on(s.IoUring, _io_uring_wants))
)
"""The FOLL_* flags, the entry point's among them, and the user of the steps that take pages and hold them."""


def wanted(m: Machine, step: s.Hold) -> tuple[int, int]:
    """As WANTS has it.  Raises CannotDo for a mechanism of its own."""
    return WANTS[type(step)](m, step)
