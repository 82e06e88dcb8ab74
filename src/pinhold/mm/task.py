"""Tasks: what a thread is in the middle of, as a short stack of activation records, and the locks that make it wait.

A kernel operation that is done in several atomic pieces is a step function with named program counters.  It may call
one other step function, whose result it finds in `task_result` when it runs again.  Locks are state: a step that
cannot take one returns BLOCKED and has changed nothing.
"""

from __future__ import annotations

from pinhold.mm.flags import AGAIN, BLOCKED, DONE, NO_PAGE
from pinhold.mm.kernel import kernel
from pinhold.mm.limits import LIMIT_STACK, too_small
from pinhold.mm.state import State

(
    FN_NONE,
    FN_ACCESS,
    FN_FAULT,
    FN_PIN,
    FN_GUP_FAST,
    FN_GUP_SLOW,
    FN_UNPIN,
    FN_FORK,
    FN_EXIT,
    FN_MUNMAP,
    FN_MPROTECT,
    FN_MADVISE,
    FN_PAGEOUT,
    FN_MREMAP,
    FN_CLEAR_REFS,
    FN_ACCESS_REMOTE,
    FN_UFFDIO_CONTINUE,
    FN_WRITEBACK,
    FN_PROT_NUMA,
    FN_KSM_MERGE,
    FN_KSM_UNMERGE,
    FN_COLLAPSE,
) = range(22)
"""The operations, by number: what each is, operations.py says."""


@kernel
def current(m: State, task: int) -> int:
    """The index of the task's topmost activation record."""
    return m.task_stack[task] + m.task_depth[task] - 1


@kernel
def call(m: State, task: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int) -> int:
    """Push an activation record; the caller's step ends here.  A stack that has no place for it is a trap."""
    act = m.task_stack[task] + m.task_depth[task]
    if act == m.task_stack[task + 1]:
        too_small(m, LIMIT_STACK)
        return BLOCKED
    m.act_function[act] = function
    m.act_pc[act] = 0
    m.act_mm[act] = mm
    m.act_addr[act] = addr
    m.act_end[act] = end
    m.act_flags[act] = flags
    m.act_arg[act] = arg
    m.act_entry[act] = 0
    m.act_page[act] = NO_PAGE
    m.act_new[act] = NO_PAGE
    m.act_seq[act] = 0
    m.task_depth[task] += 1
    return AGAIN


@kernel
def finish(m: State, task: int, result: int) -> int:
    """Pop the topmost activation record and leave its result."""
    act = current(m, task)
    m.act_function[act] = FN_NONE
    m.act_pc[act] = 0
    m.act_mm[act] = 0
    m.act_addr[act] = 0
    m.act_end[act] = 0
    m.act_flags[act] = 0
    m.act_arg[act] = 0
    m.act_entry[act] = 0
    m.act_page[act] = 0
    m.act_new[act] = 0
    m.act_seq[act] = 0
    m.task_depth[task] -= 1
    m.task_result[task] = result
    return DONE if m.task_depth[task] == 0 else AGAIN


@kernel
def returned(m: State, task: int) -> int:
    """What the function that the topmost one called came to: read once and forgotten; nothing depends on it later."""
    result = m.task_result[task]
    m.task_result[task] = 0
    return result


@kernel
def goto(m: State, act: int, pc: int) -> int:
    """Continue the activation at `pc` in its next step."""
    m.act_pc[act] = pc
    return AGAIN


@kernel
def mmap_read_lock(m: State, mm: int) -> int:
    """Take mmap_lock for reading: AGAIN, or BLOCKED."""
    if m.mm_writer[mm]:
        return BLOCKED
    m.mm_readers[mm] += 1
    return AGAIN


@kernel
def mmap_read_unlock(m: State, mm: int) -> None:
    m.mm_readers[mm] -= 1


@kernel
def mmap_write_lock(m: State, mm: int) -> int:
    """Take mmap_lock for writing: AGAIN, or BLOCKED."""
    if m.mm_writer[mm] or m.mm_readers[mm]:
        return BLOCKED
    m.mm_writer[mm] = 1
    return AGAIN


@kernel
def mmap_write_unlock(m: State, mm: int) -> None:
    m.mm_writer[mm] = 0


@kernel
def write_protect_seq_begin(m: State, mm: int) -> None:
    """fork() starts to write-protect: odd from here, and every GUP-fast that runs will find it changed.

    A sequence count, without the count: each walk remembers whether the sequence moved.  Linux: 57efa1fe5957 (5.11).
    """
    m.mm_write_protect_seq[mm] = 1
    for task in range(len(m.task_depth)):
        if m.task_irqs_off[task] and m.act_mm[current(m, task)] == mm:
            m.act_seq[current(m, task)] = 1


@kernel
def write_protect_seq_end(m: State, mm: int) -> None:
    m.mm_write_protect_seq[mm] = 0


@kernel
def mm_in_use(m: State, task: int, mm: int) -> bool:
    """Whether another task is in the middle of something in `mm`.  Linux: mm_users."""
    for other in range(len(m.task_depth)):
        if other != task:
            for act in range(m.task_stack[other], m.task_stack[other] + m.task_depth[other]):
                if m.act_mm[act] == mm or (m.act_function[act] == FN_KSM_MERGE and m.act_arg[act] == mm):
                    return True
    return False


@kernel
def gup_fast_running(m: State, mm: int) -> bool:
    """Whether some task walks the tables of `mm` with interrupts off: TLB flushes and freeing of tables wait for it."""
    for task in range(len(m.task_depth)):
        if m.task_irqs_off[task] and m.act_mm[current(m, task)] == mm:
            return True
    return False
