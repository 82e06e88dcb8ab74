"""What a task can be in the middle of: every operation, with the step function that takes it on by one atomic step.

One table, from which the rest is made: the dispatcher (step.py), the names that a reader sees, what is in a record's
act_arg, and how deep stacks can get.  A new operation has its number in task.py, below the step
functions, which push each other by number, and its row here, above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pinhold.mm.access import user_access
from pinhold.mm.fork import dup_mmap
from pinhold.mm.generated import made
from pinhold.mm.gup import gup_slow
from pinhold.mm.gup_fast import gup_fast
from pinhold.mm.khugepaged import madvise_collapse
from pinhold.mm.ksm import ksm_merge, ksm_unmerge
from pinhold.mm.madvise import ADVICES, madvise
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
    FN_COLLAPSE,
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
)
from pinhold.mm.task_mmu import clear_refs_write
from pinhold.mm.userfaultfd import uffdio_continue
from pinhold.mm.vmscan import pageout
from pinhold.mm.writeback import msync
from pinhold.mm.zap import do_munmap, exit_mmap


class Arg(Enum):
    """What an operation is given, or keeps, in its record's act_arg."""

    NOTHING = auto()
    PIN = auto()
    """The slot of a pin; NO_PAGE where __get_user_pages() serves nobody's pin."""
    CONTENT = auto()
    """The byte, or the token, that it stores."""
    PROCESS = auto()
    ADDRESS = auto()
    OWN = auto()
    """A number that is its own affair."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of activation record.

    number: its act_function.  function: takes one atomic step of it.  name: what a user reads, e.g. in
    `livelock(handle_mm_fault)`.  pushes: the numbers of the operations that it calls on the way.
    """

    number: int
    function: Callable[[State, int], int]
    name: str
    arg: Arg
    pushes: tuple[int, ...] = ()


OPERATIONS: tuple[Operation, ...] = (
    Operation(FN_FAULT, handle_mm_fault, "handle_mm_fault", Arg.NOTHING),
    Operation(FN_ACCESS, user_access, "user access", Arg.CONTENT, (FN_FAULT,)),
    Operation(FN_GUP_SLOW, gup_slow, "__get_user_pages", Arg.PIN, (FN_FAULT,)),
    Operation(FN_GUP_FAST, gup_fast, "gup_fast", Arg.PIN),
    Operation(FN_PIN, pin_user_pages, "pin_user_pages", Arg.PIN, (FN_GUP_FAST, FN_GUP_SLOW)),
    Operation(FN_FORK, dup_mmap, "dup_mmap", Arg.PROCESS),
    Operation(FN_PAGEOUT, pageout, "shrink_folio_list", Arg.NOTHING),
    Operation(FN_MADVISE, madvise, "madvise", Arg.OWN, tuple(dict.fromkeys(n for a in ADVICES for n in a.pushes))),
    Operation(FN_MPROTECT, mprotect, "mprotect_fixup", Arg.NOTHING),
    Operation(FN_MUNMAP, do_munmap, "do_munmap", Arg.NOTHING),
    Operation(FN_MREMAP, mremap, "move_vma", Arg.ADDRESS, (FN_FAULT,)),
    Operation(FN_CLEAR_REFS, clear_refs_write, "clear_refs_write", Arg.NOTHING),
    Operation(FN_UNPIN, unpin_user_pages, "unpin_user_pages", Arg.PIN),
    Operation(FN_ACCESS_REMOTE, access_remote_vm, "access_remote_vm", Arg.CONTENT, (FN_GUP_SLOW,)),
    Operation(FN_UFFDIO_CONTINUE, uffdio_continue, "mfill_atomic_continue", Arg.OWN),
    Operation(FN_WRITEBACK, msync, "msync", Arg.OWN),
    Operation(FN_PROT_NUMA, change_prot_numa, "change_prot_numa", Arg.NOTHING),
    Operation(FN_KSM_MERGE, ksm_merge, "cmp_and_merge_page", Arg.PROCESS, (FN_FAULT,)),
    Operation(FN_KSM_UNMERGE, ksm_unmerge, "unmerge_ksm_pages", Arg.ADDRESS, (FN_FAULT,)),
    Operation(FN_COLLAPSE, madvise_collapse, "madvise_collapse", Arg.ADDRESS, (FN_FAULT,)),
    Operation(FN_EXIT, exit_mmap, "exit_mmap", Arg.NOTHING),
)
"""In the order in which the dispatcher asks: what is most often on top of a stack first."""

NAMES: Mapping[int, str] = {operation.number: operation.name for operation in OPERATIONS}
"""What a user reads for each number."""


def arg_lines(name: str, arg: Arg) -> Iterator[str]:
    """The source of a function that says whether act_arg is of this kind."""
    numbers = tuple(operation.number for operation in OPERATIONS if operation.arg is arg)
    yield f"def {name}(function: int) -> bool:"
    yield f'    """Whether the function\'s act_arg is of kind {arg.name}."""'
    yield f"    return function in {numbers}"


ArgIs = Callable[[int], bool]

arg_is_pin: ArgIs = made(arg_lines("arg_is_pin", Arg.PIN), globals())
arg_is_content: ArgIs = made(arg_lines("arg_is_content", Arg.CONTENT), globals())
