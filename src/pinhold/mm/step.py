"""Running tasks: one atomic step, or an operation to its end."""

from __future__ import annotations

from pinhold.mm.access import user_access
from pinhold.mm.flags import AGAIN, DONE
from pinhold.mm.fork import dup_mmap
from pinhold.mm.gup import gup_slow
from pinhold.mm.gup_fast import gup_fast
from pinhold.mm.kernel import kernel
from pinhold.mm.ksm import ksm_merge, ksm_unmerge
from pinhold.mm.machine import Machine
from pinhold.mm.madvise import madvise
from pinhold.mm.memory import handle_mm_fault
from pinhold.mm.mprotect import mprotect
from pinhold.mm.mremap import mremap
from pinhold.mm.numa import change_prot_numa
from pinhold.mm.pinning import pin_user_pages, unpin_user_pages
from pinhold.mm.remote import access_remote_vm
from pinhold.mm.state import State
from pinhold.mm.task import (
    FN_ACCESS,
    FN_ACCESS_REMOTE,
    FN_CLEAR_REFS,
    FN_EXIT,
    FN_FAULT,
    FN_FORK,
    FN_GUP_FAST,
    FN_GUP_SLOW,
    FN_KSM_MERGE,
    FN_KSM_UNMERGE,
    FN_MADVISE,
    FN_MPROTECT,
    FN_MREMAP,
    FN_MUNMAP,
    FN_PAGEOUT,
    FN_PIN,
    FN_PROT_NUMA,
    FN_UFFDIO_CONTINUE,
    FN_UNPIN,
    FN_WRITEBACK,
    FUNCTION_NAMES,
    current,
)
from pinhold.mm.task_mmu import clear_refs_write
from pinhold.mm.trap import TRAP_FUNCTION, refuse_trapped, trap
from pinhold.mm.userfaultfd import uffdio_continue
from pinhold.mm.vmscan import pageout
from pinhold.mm.writeback import msync
from pinhold.mm.zap import do_munmap, exit_mmap

FUEL = 1 << 22
"""Steps after which an operation that runs alone is taken to go on for ever."""

PERIOD = 27720
"""Steps between two looks at the state: a multiple of the length of every short cycle."""


class OutOfFuel(Exception):
    """The operation did not end.

    functions: the step functions that each round of it goes through, or the one that it is in, where no round was
    found; sites: what is decided in each round.
    """

    def __init__(self, functions: tuple[str, ...], sites: tuple[int, ...] = ()) -> None:
        super().__init__(functions, sites)
        self.functions = functions
        self.sites = sites


class Recurrence:
    """Notices that a machine comes back to a state where it was."""

    def __init__(self) -> None:
        self.steps = 0
        self.before = b""

    def after_step(self, m: Machine) -> bool:
        """Whether it is where it was one look ago: then it goes round for ever, if nobody else moves."""
        self.steps += 1
        if self.steps % PERIOD:
            return False
        now = m.saved()
        again = now == self.before
        self.before = now
        return again


@kernel
def step(m: State, task: int) -> int:
    """Advance a task by one atomic step: AGAIN, BLOCKED (nothing changed), or DONE (it is idle; task_result has the
    result)."""
    if m.task_depth[task] == 0:
        return DONE
    function = m.act_function[current(m, task)]
    if function == FN_FAULT:
        return handle_mm_fault(m, task)
    if function == FN_ACCESS:
        return user_access(m, task)
    if function == FN_GUP_SLOW:
        return gup_slow(m, task)
    if function == FN_GUP_FAST:
        return gup_fast(m, task)
    if function == FN_PIN:
        return pin_user_pages(m, task)
    if function == FN_FORK:
        return dup_mmap(m, task)
    if function == FN_PAGEOUT:
        return pageout(m, task)
    if function == FN_MADVISE:
        return madvise(m, task)
    if function == FN_MPROTECT:
        return mprotect(m, task)
    if function == FN_MUNMAP:
        return do_munmap(m, task)
    if function == FN_MREMAP:
        return mremap(m, task)
    if function == FN_CLEAR_REFS:
        return clear_refs_write(m, task)
    if function == FN_UNPIN:
        return unpin_user_pages(m, task)
    if function == FN_ACCESS_REMOTE:
        return access_remote_vm(m, task)
    if function == FN_UFFDIO_CONTINUE:
        return uffdio_continue(m, task)
    if function == FN_WRITEBACK:
        return msync(m, task)
    if function == FN_PROT_NUMA:
        return change_prot_numa(m, task)
    if function == FN_KSM_MERGE:
        return ksm_merge(m, task)
    if function == FN_KSM_UNMERGE:
        return ksm_unmerge(m, task)
    if function == FN_EXIT:
        return exit_mmap(m, task)
    return trap(m, TRAP_FUNCTION)


def checked_step(m: State, task: int) -> int:
    """step(); raises Unspecified where it meets what the specification does not know."""
    outcome = step(m, task)
    refuse_trapped(m)
    return outcome


def run(m: Machine, task: int, fuel: int = FUEL) -> int:
    """Run what the task is in the middle of to its end, nobody else moving, and return its result.

    Raises OutOfFuel where it never ends (it comes back to a state where it was, or the fuel is gone), or waits for a
    lock that nobody will give up; Unspecified where it meets what the specification does not know.
    """
    recurrence = Recurrence()
    for _ in range(fuel):
        if not m.task_depth[task]:
            return m.task_result[task]
        if checked_step(m, task) not in (AGAIN, DONE):
            break
        if recurrence.after_step(m):
            raise round_of(m, task)
    raise OutOfFuel((function_name(m, task),))


def function_name(m: Machine, task: int) -> str:
    """What the task is in, by its name."""
    return FUNCTION_NAMES[m.act_function[current(m, task)]]


def round_of(m: Machine, task: int) -> OutOfFuel:
    """What a task that comes back to the state that it is in now goes through, from the outermost function on."""
    start = m.saved()
    walked: list[tuple[int, str, tuple[int, ...]]] = []
    while not walked or m.saved() != start:
        depth, name, seen = m.task_depth[task], function_name(m, task), len(m.trace.sites)
        step(m, task)
        walked.append((depth, name, tuple(m.trace.sites[seen:])))
    first = walked.index(min(walked, key=lambda piece: piece[0]))
    walked = walked[first:] + walked[:first]
    names = dict.fromkeys(name for _, name, _ in walked)
    return OutOfFuel(tuple(names), tuple(dict.fromkeys(site for *_, sites in walked for site in sites)))
