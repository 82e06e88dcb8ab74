"""Steps of a scenario as calls of the specification's step functions, for those that are one call each."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pinhold.mm import flags as k
from pinhold.mm import madvise
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
from pinhold.scenario import step as s
from pinhold.scenario.advice import ADVICE as ADVICES

Span = tuple[int, int, int]
"""mm, first and end address, in pages."""

PROT = {"none": 0, "read": k.VM_READ, "rw": k.VM_READ | k.VM_WRITE}
ADVICE = {name: getattr(madvise, f"MADV_{name.upper()}") for name in ADVICES}
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


def as_call(step: s.Step, places: Places) -> Call | None:  # noqa: PLR0911
    """The call that the step is; None: it is none, or more than one."""
    match step:
        case s.Read(proc, r) | s.SwapIn(proc, r):
            return Call(FN_ACCESS, *places.span(proc, r))
        case s.Write(proc, r, byte):
            return Call(FN_ACCESS, *places.span(proc, r), k.FAULT_FLAG_WRITE, byte)
        case s.Poke(proc, r, byte):
            return Call(FN_ACCESS_REMOTE, *places.span(proc, r), k.FAULT_FLAG_WRITE, byte)
        case s.Exit(proc):
            return Call(FN_EXIT, places.mm(proc), 0, 0)
        case s.Unmap(proc, r):
            return Call(FN_MUNMAP, *places.span(proc, r))
        case s.Mprotect(proc, r, prot):
            return Call(FN_MPROTECT, *places.span(proc, r), PROT[prot])
        case s.Madvise(proc, r, advice):
            return Call(FN_MADVISE, *places.span(proc, r), ADVICE[advice])
        case s.SwapOut(proc, r):
            return Call(FN_MADVISE, *places.span(proc, r), madvise.MADV_PAGEOUT)
        case s.ClearSoftDirty(proc):
            return Call(FN_CLEAR_REFS, places.mm(proc), 0, 0)
        case s.UffdioContinue(proc, r):
            return Call(FN_UFFDIO_CONTINUE, *places.span(proc, r))
        case s.Writeback(proc, r):
            return Call(FN_WRITEBACK, *places.span(proc, r))
        case s.NumaHint(proc, r):
            return Call(FN_PROT_NUMA, *places.span(proc, r))
    return None
