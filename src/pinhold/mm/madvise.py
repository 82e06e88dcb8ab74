"""madvise(): discarding, populating, and what a VMA is advised to be: mm/madvise.c.  Page-out is in
vmscan.py, MADV_FREE in lazyfree.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EINVAL,
    ENOMEM,
    FOLL_MADV_POPULATE,
    FOLL_TOUCH,
    FOLL_WRITE,
    NO_PAGE,
    NO_VMA,
    VM_DONTCOPY,
    VM_HUGEPAGE,
    VM_MERGEABLE,
    VM_NOHUGEPAGE,
)
from pinhold.mm.folio import lru_add_drain
from pinhold.mm.generated import made
from pinhold.mm.kernel import kernel
from pinhold.mm.ksm import ksm_compatible
from pinhold.mm.lazyfree import madvise_free
from pinhold.mm.mmap import vma_modify_flags
from pinhold.mm.pgtable import level_pages
from pinhold.mm.pin import pins_detach
from pinhold.mm.rules.hugetlb import DOFORK_ALLOWED
from pinhold.mm.rules.khugepaged import COLLAPSE_NONE
from pinhold.mm.rules.vma import POPULATE_ABSENT, POPULATE_EACH_VMA
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import DOFORK_HUGETLB_REFUSED, POPULATE_PASSED_A_HOLE
from pinhold.mm.state import State
from pinhold.mm.task import (
    FN_COLLAPSE,
    FN_GUP_SLOW,
    FN_KSM_UNMERGE,
    FN_PAGEOUT,
    call,
    current,
    finish,
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
    returned,
)
from pinhold.mm.trap import TRAP_ADVICE, TRAP_STAGE, trap
from pinhold.mm.vma import mapped_end, vma_is_hugetlb, vma_within
from pinhold.mm.zap import zap_begin, zap_empty_pte_tables, zap_page_range

MADV_DONTNEED = 4
MADV_FREE = 8
MADV_DONTFORK = 10
MADV_DOFORK = 11
MADV_MERGEABLE = 12
MADV_UNMERGEABLE = 13
MADV_HUGEPAGE = 14
MADV_NOHUGEPAGE = 15
MADV_PAGEOUT = 21
MADV_POPULATE_READ = 22
MADV_POPULATE_WRITE = 23
MADV_COLLAPSE = 25
"""Advice by the numbers that madvise() takes (include/uapi/asm-generic/mman-common.h), as operations have it in
act_flags; ADVICES says what each comes to."""

MADVISE_START, MADVISE_POPULATED, MADVISE_CALLED, MADVISE_DISCARDING = 0, 1, 2, 3


@kernel
def madvise(m: State, task: int) -> int:
    """madvise() of [act_addr, act_end) with the advice in act_flags.  0, or a negative errno.

    Holes are passed over, and told at the end (ENOMEM); from 6.10 on populating stops at the first.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    start = m.act_addr[act]
    end = m.act_end[act]
    if m.act_pc[act] == MADVISE_DISCARDING:
        return madvise_discard(m, task, act)
    hole = -ENOMEM if mapped_end(m, mm, start, end) < end else 0
    if m.act_pc[act] == MADVISE_POPULATED:
        return madvise_populated(m, task, act)
    if m.act_pc[act] == MADVISE_CALLED:
        result = returned(m, task)
        return finish(m, task, result if result else hole)
    if m.act_pc[act] != MADVISE_START:
        return trap(m, TRAP_STAGE)
    return madvise_behavior(m, task, act, hole)


@kernel
def madvise_zap(m: State, task: int, act: int, hole: int) -> int:
    """Linux: madvise_dontneed_free(); MADV_FREE drains the LRU batch in all releases."""
    if mmap_read_lock(m, m.act_mm[act]) == BLOCKED:
        return BLOCKED
    if m.act_flags[act] == MADV_FREE:
        lru_add_drain(m)
    else:
        zap_begin(m)
    m.act_pc[act] = MADVISE_DISCARDING
    m.act_arg[act] = -hole
    return madvise_discard(m, task, act)


@kernel
def madvise_discard(m: State, task: int, act: int) -> int:
    """One step of MADV_DONTNEED or MADV_FREE: the next page table, or huge page, of [act_addr, act_end).  act_arg: the
    errno of a hole.

    mmap_lock is held for reading all the while (in 7.3 the lock of the VMA alone, if the range lies in one), the
    page-table lock for one table at a time: faults and GUP come between.
    """
    mm = m.act_mm[act]
    err = 0
    left = m.batch
    while left > 0 and err == 0 and m.act_addr[act] < m.act_end[act]:
        err = madvise_discard_next(m, act)
        left -= 1
    if err == 0 and m.act_addr[act] < m.act_end[act]:
        return AGAIN
    mmap_read_unlock(m, mm)
    return finish(m, task, err if err else -m.act_arg[act])


@kernel
def madvise_discard_next(m: State, act: int) -> int:
    """The next piece: what one VMA has in one page table, or one of its huge pages.  0, or a negative errno."""
    mm = m.act_mm[act]
    vma = vma_within(m, mm, m.act_addr[act], m.act_end[act])
    if vma == NO_VMA:
        m.act_addr[act] = m.act_end[act]
        return 0
    start = max(m.act_addr[act], m.vma_start[vma])
    span = max(level_pages(m, 1), 1 << m.vma_order[vma])
    end = min(m.act_end[act], m.vma_end[vma], (start // span + 1) * span)
    m.act_addr[act] = end
    if m.act_flags[act] == MADV_FREE:
        return madvise_free(m, mm, vma, start, end)
    if m.act_flags[act] == MADV_DONTNEED:
        return madvise_dontneed(m, mm, vma, start, end)
    return trap(m, TRAP_ADVICE)


@kernel
def madvise_dontneed(m: State, mm: int, vma: int, start: int, end: int) -> int:
    """Discard: the next touch starts afresh; pins keep the old pages.  hugetlb: since 90e7e7f5ef3f (5.18), whole pages
    alone.  0, or a negative errno."""
    if vma_is_hugetlb(m, vma):
        size = 1 << m.vma_order[vma]
        if not m.rule_madv_dontneed_hugetlb or start % size:
            return -EINVAL
        end = end // size * size
    pins_detach(m, mm, start, end)
    err = zap_page_range(m, mm, vma, start, end)
    if err == 0 and not vma_is_hugetlb(m, vma):
        zap_empty_pte_tables(m, mm, start, end)
    return err


@kernel
def madvise_pageout(m: State, task: int, act: int, _hole: int) -> int:
    """Linux: madvise_pageout()."""
    m.act_pc[act] = MADVISE_CALLED
    return call(m, task, FN_PAGEOUT, m.act_mm[act], m.act_addr[act], m.act_end[act], 0, 0)


@kernel
def madvise_unmerge(m: State, task: int, act: int, _hole: int) -> int:
    """Linux: ksm_madvise()."""
    m.act_pc[act] = MADVISE_CALLED
    return call(m, task, FN_KSM_UNMERGE, m.act_mm[act], m.act_addr[act], m.act_end[act], 0, m.act_addr[act])


@kernel
def madvise_begin_collapse(m: State, task: int, act: int, _hole: int) -> int:
    """To khugepaged.py, where there is this advice."""
    if m.rule_madv_collapse == COLLAPSE_NONE:
        return finish(m, task, -EINVAL)
    m.act_pc[act] = MADVISE_CALLED
    return call(m, task, FN_COLLAPSE, m.act_mm[act], m.act_addr[act], m.act_end[act], 0, 0)


@kernel
def madvise_populate(m: State, task: int, act: int, _hole: int) -> int:
    """Fault every page in by a GUP that keeps nothing.  Linux: madvise_populate(), 4ca9b3859dac (5.14)."""
    if m.rule_madv_populate == POPULATE_ABSENT:
        return finish(m, task, -EINVAL)
    return madvise_populate_next(m, task, act)


@kernel
def madvise_populate_next(m: State, task: int, act: int) -> int:
    """Populate what is left of [act_addr, act_end), up to 6.9 what its next VMA has of it.  act_arg: the errno of a
    hole that was passed over."""
    mm = m.act_mm[act]
    start = m.act_addr[act]
    end = m.act_end[act]
    if m.rule_madv_populate == POPULATE_EACH_VMA:
        vma = vma_within(m, mm, start, end)
        if vma == NO_VMA:
            return finish(m, task, -ENOMEM)
        if start < m.vma_start[vma]:
            decided(m, POPULATE_PASSED_A_HOLE)
            m.act_arg[act] = ENOMEM
            start = m.vma_start[vma]
        end = min(end, m.vma_end[vma])
    m.act_addr[act] = end
    m.act_pc[act] = MADVISE_POPULATED
    flags = FOLL_MADV_POPULATE | FOLL_TOUCH | (FOLL_WRITE if m.act_flags[act] == MADV_POPULATE_WRITE else 0)
    return call(m, task, FN_GUP_SLOW, mm, start, end, flags, NO_PAGE)


@kernel
def madvise_populated(m: State, task: int, act: int) -> int:
    """A GUP has come back: to the next VMA, or to the end.  Linux: faultin_page_range(), madvise_walk_vmas()."""
    lru_add_drain(m)
    err = returned(m, task)
    if err == 0 and m.act_addr[act] < m.act_end[act]:
        return madvise_populate_next(m, task, act)
    return finish(m, task, err if err else -m.act_arg[act])


@kernel
def madvise_vma_behavior(m: State, task: int, act: int, hole: int) -> int:
    """Advice that only changes the VMAs.  Linux: madvise_vma_behavior(), hugepage_madvise(), ksm_madvise()."""
    mm = m.act_mm[act]
    if mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    err = madvise_update_vmas(m, mm, m.act_addr[act], m.act_end[act], m.act_flags[act])
    mmap_write_unlock(m, mm)
    return finish(m, task, err if err else hole)


@kernel
def madvise_update_vmas(m: State, mm: int, start: int, end: int, advice: int) -> int:
    """0, or the negative errno of the first VMA that cannot take the advice."""
    vma = vma_within(m, mm, start, end)
    while vma != NO_VMA:
        if advice_refused(m, vma, advice):
            return -EINVAL
        stop = min(end, m.vma_end[vma])
        flags = m.vma_flags[vma]
        if not advice_ignored(flags, advice):
            flags = advised_flags(m, flags, advice)
        err = vma_modify_flags(m, mm, vma, max(start, m.vma_start[vma]), stop, flags)
        if err:
            return err
        vma = vma_within(m, mm, stop, end)
    return 0


@kernel
def advice_refused(m: State, vma: int, advice: int) -> bool:
    """Whether the VMA cannot take the advice: MADV_DOFORK is not for device memory, which is told by VM_IO, and in 7.2
    and later by any of VM_SPECIAL, of which hugetlb has VM_DONTEXPAND."""
    if advice != MADV_DOFORK or not vma_is_hugetlb(m, vma) or m.rule_dofork_hugetlb == DOFORK_ALLOWED:
        return False
    decided(m, DOFORK_HUGETLB_REFUSED)
    return True


@kernel
def advice_ignored(flags: int, advice: int) -> bool:
    """Whether the advice means nothing to a VMA with these flags."""
    return advice == MADV_MERGEABLE and not ksm_compatible(flags)


@dataclass(frozen=True, slots=True)
class Advice:
    """What an advice comes to.

    number: MADV_*.  begins: takes its first step, told the errno of a hole.  follows: the function that does what is
    asked, of which there is no need where nobody gives such advice.  sets, clears: VM_ flags of each VMA.  pushes: the
    operations that it calls, by number.
    """

    number: int
    begins: Callable[[State, int, int, int], int]
    follows: Callable[..., int]
    sets: int = 0
    clears: int = 0
    pushes: tuple[int, ...] = ()


ADVICES: tuple[Advice, ...] = (
    Advice(MADV_DONTNEED, madvise_zap, madvise_dontneed),
    Advice(MADV_FREE, madvise_zap, madvise_free),
    Advice(MADV_PAGEOUT, madvise_pageout, madvise_pageout, pushes=(FN_PAGEOUT,)),
    Advice(MADV_UNMERGEABLE, madvise_unmerge, madvise_unmerge, pushes=(FN_KSM_UNMERGE,)),
    Advice(MADV_POPULATE_READ, madvise_populate, madvise_populate, pushes=(FN_GUP_SLOW,)),
    Advice(MADV_POPULATE_WRITE, madvise_populate, madvise_populate, pushes=(FN_GUP_SLOW,)),
    Advice(MADV_COLLAPSE, madvise_begin_collapse, madvise_begin_collapse, pushes=(FN_COLLAPSE,)),
    Advice(MADV_HUGEPAGE, madvise_vma_behavior, madvise_vma_behavior, sets=VM_HUGEPAGE, clears=VM_NOHUGEPAGE),
    Advice(MADV_NOHUGEPAGE, madvise_vma_behavior, madvise_vma_behavior, sets=VM_NOHUGEPAGE, clears=VM_HUGEPAGE),
    Advice(MADV_DONTFORK, madvise_vma_behavior, madvise_vma_behavior, sets=VM_DONTCOPY),
    Advice(MADV_DOFORK, madvise_vma_behavior, madvise_vma_behavior, clears=VM_DONTCOPY),
    Advice(MADV_MERGEABLE, madvise_vma_behavior, madvise_vma_behavior, sets=VM_MERGEABLE),
)


def behavior_lines() -> Iterator[str]:
    """The source of `madvise_behavior`."""
    yield "def madvise_behavior(m: State, task: int, act: int, hole: int) -> int:"
    yield '    """Begin to follow the advice, as ADVICES has it."""'
    for advice in ADVICES:
        yield f"    if m.act_flags[act] == {advice.number}:"
        yield f"        return {advice.begins.__name__}(m, task, act, hole)"
    yield "    return trap(m, TRAP_ADVICE)"


def flags_lines() -> Iterator[str]:
    """The source of `advised_flags`."""
    yield "def advised_flags(m: State, flags: int, advice: int) -> int:"
    yield '    """A VMA\'s flags when it has taken the advice, as ADVICES has it."""'
    for advice in ADVICES:
        if advice.sets | advice.clears:
            yield f"    if advice == {advice.number}:"
            yield f"        return flags & ~{advice.clears:#x} | {advice.sets:#x}"
    yield from ("    trap(m, TRAP_ADVICE)", "    return flags")


madvise_behavior: Callable[[State, int, int, int], int] = made(behavior_lines(), globals())
advised_flags: Callable[[State, int, int], int] = made(flags_lines(), globals())
