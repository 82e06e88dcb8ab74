"""VMAs: which addresses a process has mapped, with what rights, to what.

Addresses are page numbers.  A process's VMAs are a small unordered set of disjoint ranges.  vma_anon tells which
anon_vma one has: a number within its process from 1 on, negative where fork() made it a child of the parent's, or 0.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    FILE_PAGECACHE,
    NO_FILE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_PRESENT,
    PTE_PROTNONE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    PTE_USER,
    VM_HUGETLB,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_SOFTDIRTY,
    VM_WRITE,
)
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.limits import LIMIT_VMAS, too_small
from pinhold.mm.rules.vma import MERGES_IF_EITHER_HAS
from pinhold.mm.state import State


@kernel
def find_vma(m: State, mm: int, addr: int) -> int:
    """The VMA that contains the address, or NO_VMA.  Linux: vma_lookup()."""
    ends = m.vma_end
    first = mm * m.vmas_per_mm
    for vma in range(first, first + m.vmas_per_mm):
        if addr < ends[vma] and m.vma_start[vma] <= addr:
            return vma
    return NO_VMA


@kernel
def next_vma(m: State, mm: int, addr: int) -> int:
    """The first VMA that starts at or behind the address, or NO_VMA."""
    first = mm * m.vmas_per_mm
    after = NO_VMA
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma] and m.vma_start[vma] >= addr and (after == NO_VMA or m.vma_start[vma] < m.vma_start[after]):
            after = vma
    return after


@kernel
def vma_within(m: State, mm: int, addr: int, end: int) -> int:
    """The first VMA that has a part of [addr, end), or NO_VMA.  Linux: find_vma(), for_each_vma_range()."""
    if addr >= end:
        return NO_VMA
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA:
        vma = next_vma(m, mm, addr)
    return vma if vma != NO_VMA and m.vma_start[vma] < end else NO_VMA


@kernel
def is_cow_mapping(flags: int) -> bool:
    """Private and possibly writable, now or after mprotect(): a PROT_READ private mapping is one."""
    return flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE


@kernel(without={Part.FILE: True})
def vma_is_anonymous(m: State, vma: int) -> bool:
    """Whether the VMA has no file behind it (hugetlb always has one)."""
    return m.vma_file[vma] == NO_FILE


@kernel(without={Part.HUGETLB: False})
def vma_is_hugetlb(m: State, vma: int) -> bool:
    return m.vma_flags[vma] & VM_HUGETLB != 0


@kernel
def vma_is_accessible(m: State, vma: int) -> bool:
    """Whether the mapping has any rights at all."""
    return m.vma_flags[vma] & (VM_READ | VM_WRITE) != 0


@kernel
def vma_needs_dirty_tracking(m: State, vma: int) -> bool:
    """Whether the file system wants to hear of each first write (ordinary files do, shmem and hugetlbfs do not)."""
    flags = m.vma_flags[vma]
    if flags & (VM_SHARED | VM_WRITE) != VM_SHARED | VM_WRITE or m.vma_file[vma] == NO_FILE:
        return False
    return m.file_kind[m.vma_file[vma]] == FILE_PAGECACHE


@kernel
def vma_soft_dirty_enabled(m: State, vma: int) -> bool:
    """Whether writes to the VMA are tracked: soft-dirty bits were cleared since it was mapped."""
    return m.config_soft_dirty != 0 and not m.vma_flags[vma] & VM_SOFTDIRTY


@kernel
def vma_wants_writenotify(m: State, vma: int) -> bool:
    """Whether a shared writable mapping starts out read-only."""
    if vma_needs_dirty_tracking(m, vma):
        return True
    return vma_soft_dirty_enabled(m, vma) and not vma_is_hugetlb(m, vma)


@kernel
def vm_page_prot(m: State, vma: int) -> int:
    """Protection bits of a fresh entry: never writable in a private mapping.  Linux: vm_get_page_prot()."""
    flags = m.vma_flags[vma]
    if not flags & (VM_READ | VM_WRITE):
        return PTE_PROTNONE | PTE_ACCESSED
    prot = PTE_PRESENT | PTE_USER
    if flags & (VM_SHARED | VM_WRITE) == VM_SHARED | VM_WRITE and not vma_wants_writenotify(m, vma):
        prot |= PTE_RW
    return prot


@kernel
def vma_alloc(m: State, mm: int) -> int:
    """A free VMA slot of the process, or NO_VMA."""
    first = mm * m.vmas_per_mm
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma] == 0:
            return vma
    too_small(m, LIMIT_VMAS)
    return NO_VMA


@kernel
def vma_copy(m: State, source: int, target: int) -> None:
    """Make `target` the same as `source` (reserves stay where they are)."""
    m.vma_start[target] = m.vma_start[source]
    m.vma_end[target] = m.vma_end[source]
    m.vma_flags[target] = m.vma_flags[source]
    m.vma_file[target] = m.vma_file[source]
    m.vma_pgoff[target] = m.vma_pgoff[source]
    m.vma_anon[target] = m.vma_anon[source]
    m.vma_order[target] = m.vma_order[source]
    m.vma_reserve[target] = 0
    m.vma_reserve_owner[target] = 0
    m.vma_i_mmap[target] = m.vma_i_mmap[source]
    if m.vma_file[source] != NO_FILE:
        m.file_users[m.vma_file[source]] += 1


@kernel
def vma_free(m: State, vma: int) -> None:
    """The slot is free again; a file that nobody maps keeps its pages until its last user goes (file.file_put)."""
    m.vma_start[vma] = 0
    m.vma_end[vma] = 0
    m.vma_flags[vma] = 0
    m.vma_file[vma] = NO_FILE
    m.vma_pgoff[vma] = 0
    m.vma_anon[vma] = 0
    m.vma_order[vma] = 0
    m.vma_reserve[vma] = 0
    m.vma_reserve_owner[vma] = 0
    m.vma_i_mmap[vma] = 0


@kernel
def mapped_end(m: State, mm: int, start: int, end: int) -> int:
    """How far VMAs cover [start, end) without a hole."""
    addr = start
    while addr < end:
        vma = find_vma(m, mm, addr)
        if vma == NO_VMA:
            return addr
        addr = m.vma_end[vma]
    return end


@kernel
def maybe_mkwrite(m: State, vma: int, entry: int) -> int:
    """Writable, unless a forced write goes into a mapping without VM_WRITE."""
    return entry | PTE_RW if m.vma_flags[vma] & VM_WRITE else entry


@kernel
def soft_dirty_write_protected(m: State, vma: int, entry: int) -> bool:
    """Whether the entry has to stay read-only so that the next write is seen.  Linux: pte_needs_soft_dirty_wp()."""
    return vma_soft_dirty_enabled(m, vma) and not entry & PTE_SOFT_DIRTY


@kernel
def vma_continues(m: State, lower: int, upper: int, ignored: int) -> bool:
    """Whether `upper` goes on where `lower` ends, in the address space and in what is mapped, with the same flags but
    for `ignored`.  hugetlb is never looked at so (VM_SPECIAL)."""
    if m.vma_end[lower] != m.vma_start[upper] or m.vma_file[lower] != m.vma_file[upper]:
        return False
    if (m.vma_flags[lower] ^ m.vma_flags[upper]) & ~ignored or vma_is_hugetlb(m, lower):
        return False
    return m.vma_pgoff[upper] == m.vma_pgoff[lower] + m.vma_end[lower] - m.vma_start[lower]


@kernel
def anon_vma_prepare(m: State, vma: int) -> None:
    """The VMA is about to have anonymous pages: give it an anon_vma, a neighbour's where the two could be one VMA but
    for their rights, so that they still can be later.  Linux: __anon_vma_prepare(), find_mergeable_anon_vma()."""
    if m.vma_anon[vma]:
        return
    if not m.config_vma_merges:
        m.vma_anon[vma] = 1
        return
    mm = vma // m.vmas_per_mm
    ignored = VM_READ | VM_WRITE | VM_SOFTDIRTY
    for other in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
        if m.vma_end[other] and m.vma_anon[other] > 0:
            if vma_continues(m, vma, other, ignored) or vma_continues(m, other, vma, ignored):
                anon_vma_join(m, vma, m.vma_anon[other])
                return
    m.vma_anon[vma] = unused_anon_vma(m, vma)


@kernel
def anon_vma_join(m: State, vma: int, number: int) -> None:
    """Give the VMA an anon_vma that others of its process have, under the lowest number of a slot that has it: who had
    it first makes no different states either."""
    mm = vma // m.vmas_per_mm
    own = vma - mm * m.vmas_per_mm + 1
    if own < number and not anon_vma_used(m, mm, own):
        for other in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
            if m.vma_anon[other] == number:
                m.vma_anon[other] = own
        number = own
    m.vma_anon[vma] = number


@kernel
def anon_vma_fork(m: State, vma: int) -> None:
    """A child's VMA, copied from its parent's: an anon_vma of its own, a child of the parent's.  Linux:
    anon_vma_fork()."""
    if m.vma_anon[vma] and m.config_vma_merges:
        m.vma_anon[vma] = 0
        m.vma_anon[vma] = -unused_anon_vma(m, vma)


@kernel
def unused_anon_vma(m: State, vma: int) -> int:
    """A number that no anon_vma of the process has: that of the VMA's slot, so that in which order VMAs get theirs
    makes no different states; the lowest one, where a part of another VMA still has that."""
    mm = vma // m.vmas_per_mm
    number = vma - mm * m.vmas_per_mm + 1
    if anon_vma_used(m, mm, number):
        number = 1
    while anon_vma_used(m, mm, number):
        number += 1
    return number


@kernel
def anon_vma_used(m: State, mm: int, number: int) -> bool:
    for vma in range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm):
        if m.vma_anon[vma] == number or m.vma_anon[vma] == -number:
            return True
    return False


@kernel
def is_mergeable_anon_vma(m: State, vma: int, target: int) -> bool:
    """Whether the anon_vmas of a VMA and of the neighbour that it is to be merged into let them be one.

    The same; or the neighbour alone has one, or (6.16 and later) the VMA alone, and fork() did not make it.
    """
    own = m.vma_anon[vma]
    other = m.vma_anon[target]
    if own == other:
        return True
    if own == 0:
        return other > 0
    return other == 0 and own > 0 and m.rule_vma_merges_anon == MERGES_IF_EITHER_HAS
