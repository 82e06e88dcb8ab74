"""mmap(): a fresh mapping at a place that the caller chooses (there is no search for a free range); splitting VMAs."""

from __future__ import annotations

from pinhold.mm.flags import (
    EACCES,
    EEXIST,
    EINVAL,
    ENOMEM,
    NO_FILE,
    NO_VMA,
    VM_ACCOUNT,
    VM_HUGETLB,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_SHARED,
    VM_SOFTDIRTY,
    VM_WRITE,
)
from pinhold.mm.huge_memory import split_huge_range
from pinhold.mm.hugetlb import hugetlb_reserve
from pinhold.mm.interval_tree import (
    anon_vma_interval_tree_insert,
    vma_interval_tree_insert,
    vma_interval_tree_remove,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.state import State
from pinhold.mm.vma import (
    find_vma,
    is_mergeable_anon_vma,
    vma_alloc,
    vma_continues,
    vma_copy,
    vma_free,
    vma_is_anonymous,
)


@kernel
def do_mmap(m: State, mm: int, start: int, end: int, flags: int, file: int, order: int, readonly: int) -> int:
    """Map [start, end), from the file's beginning where there is a file.  0, or a negative errno.

    flags: VM_READ, VM_WRITE, VM_SHARED, VM_HUGETLB.  order: of a hugetlb mapping, else 0.  readonly: whether the file
    was opened for reading alone.  A shared mapping of such a file cannot become writable: it has no VM_MAYWRITE, and is
    not even VM_SHARED, by which the kernel asks whether writes are shared; VM_MAYSHARE tells that it is no private one.
    VM_ACCOUNT: what may be written in private counts as committed memory; here it only tells VMAs apart.
    """
    flags |= VM_MAYREAD | VM_MAYWRITE
    if flags & VM_SHARED:
        flags |= VM_MAYSHARE
        if readonly and flags & VM_WRITE:
            return -EACCES
        if readonly:
            flags &= ~(VM_MAYWRITE | VM_SHARED)
    elif flags & (VM_WRITE | VM_HUGETLB) == VM_WRITE:
        flags |= VM_ACCOUNT
    return mmap_region(m, mm, start, end, flags, file, order)


@kernel
def mmap_region(m: State, mm: int, start: int, end: int, flags: int, file: int, order: int) -> int:
    """The work of mmap(), with all VM_ flags known."""
    first = mm * m.vmas_per_mm
    for vma in range(first, first + m.vmas_per_mm):
        if m.vma_end[vma] > start and m.vma_start[vma] < end:
            return -EEXIST
    vma = vma_alloc(m, mm)
    if vma == NO_VMA:
        return -ENOMEM
    if m.config_soft_dirty:
        flags |= VM_SOFTDIRTY
    m.vma_start[vma] = start
    m.vma_end[vma] = end
    m.vma_flags[vma] = flags
    m.vma_file[vma] = file
    m.vma_pgoff[vma] = start if vma_is_anonymous(m, vma) else 0
    m.vma_order[vma] = order
    if flags & VM_HUGETLB and hugetlb_reserve(m, vma) < 0:
        vma_free(m, vma)
        return -ENOMEM
    if flags & VM_HUGETLB:
        vma_interval_tree_insert(m, vma)
    if file != NO_FILE:
        m.file_users[file] += 1
    return 0


@kernel
def vma_split(m: State, mm: int, addr: int) -> int:
    """Make `addr` a boundary between VMAs; a THP mapped across it comes to be mapped by PTEs.

    0, -ENOMEM, or -EINVAL inside a huge page of hugetlb.  Linux: __split_vma(), hugetlb_vm_op_split(),
    vma_adjust_trans_huge().
    """
    vma = find_vma(m, mm, addr)
    if vma == NO_VMA or m.vma_start[vma] == addr:
        return 0
    if (addr - m.vma_start[vma]) % (1 << m.vma_order[vma]):
        return -EINVAL
    upper = vma_alloc(m, mm)
    if upper == NO_VMA:
        return -ENOMEM
    if not m.vma_flags[vma] & VM_HUGETLB and split_huge_range(m, mm, addr, addr) < 0:
        return -ENOMEM
    vma_copy(m, vma, upper)
    m.vma_start[upper] = addr
    m.vma_pgoff[upper] += addr - m.vma_start[vma]
    m.vma_end[vma] = addr
    if m.vma_flags[vma] & VM_HUGETLB:
        units = (addr - m.vma_start[vma]) >> m.vma_order[vma]
        m.vma_reserve[upper] = m.vma_reserve[vma] >> units
        m.vma_reserve[vma] &= (1 << units) - 1
        m.vma_reserve_owner[upper] = m.vma_reserve_owner[vma]
        vma_interval_tree_insert(m, upper)
        vma_interval_tree_remove(m, vma)
        vma_interval_tree_insert(m, vma)
    anon_vma_interval_tree_insert(m, upper)
    anon_vma_interval_tree_insert(m, vma)
    return 0


@kernel
def vma_modify_flags(m: State, mm: int, vma: int, start: int, end: int, flags: int) -> int:
    """Give the part [start, end) of a VMA these flags.  0, or a negative errno.

    Where it has them already nothing is split, neither the VMA nor a THP across its ends: true of every release, as
    mprotect_fixup() and madvise_update_vma() (madvise_behavior() up to 5.16) ask before they split.  The part is merged
    with neighbours that it comes to be like.
    Linux: vma_modify_flags() (up to 6.7 vma_merge(), then split_vma(), by each caller).
    """
    if flags == m.vma_flags[vma]:
        return 0
    err = vma_split_range(m, mm, start, end)
    if err == 0:
        part = find_vma(m, mm, start)
        m.vma_flags[part] = flags
        vma_merge(m, mm, part)
    return err


@kernel
def vma_merge(m: State, mm: int, vma: int) -> None:
    """Make one VMA of this and those of its neighbours that go on where it ends, or end where it begins.

    What is one has this one's VM_SOFTDIRTY (in 7.2 and later it is soft-dirty if any was).  Linux: vma_merge(),
    vma_merge_existing_range().
    """
    if not m.config_vma_merges:
        return
    flags = m.vma_flags[vma]
    lower = find_vma(m, mm, m.vma_start[vma] - 1)
    upper = find_vma(m, mm, m.vma_end[vma])
    if lower != NO_VMA and not (vma_continues(m, lower, vma, VM_SOFTDIRTY) and is_mergeable_anon_vma(m, vma, lower)):
        lower = NO_VMA
    if upper != NO_VMA and not (vma_continues(m, vma, upper, VM_SOFTDIRTY) and is_mergeable_anon_vma(m, vma, upper)):
        upper = NO_VMA
    if lower != NO_VMA and upper != NO_VMA and m.vma_anon[lower] and m.vma_anon[upper]:
        if m.vma_anon[lower] != m.vma_anon[upper]:
            upper = NO_VMA
    if upper != NO_VMA:
        vma_absorb(m, vma, upper)
    if lower != NO_VMA:
        vma_absorb(m, lower, vma)
        m.vma_flags[lower] = flags


@kernel
def vma_absorb(m: State, lower: int, upper: int) -> None:
    """The lower VMA reaches to the end of the upper, which is no more."""
    m.vma_end[lower] = m.vma_end[upper]
    if not m.vma_anon[lower]:
        m.vma_anon[lower] = m.vma_anon[upper]
    if m.vma_file[upper] != NO_FILE:
        m.file_users[m.vma_file[upper]] -= 1
    vma_free(m, upper)
    anon_vma_interval_tree_insert(m, lower)


@kernel
def vma_split_range(m: State, mm: int, start: int, end: int) -> int:
    """Make both ends of [start, end) boundaries.  0, or a negative errno."""
    err = vma_split(m, mm, start)
    if err == 0:
        err = vma_split(m, mm, end)
    return err
