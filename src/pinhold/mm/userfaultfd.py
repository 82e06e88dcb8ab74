"""userfaultfd, as far as one of its calls goes: UFFDIO_CONTINUE maps what the page cache has: mm/userfaultfd.c."""

from __future__ import annotations

from pinhold.mm.file import cache_has, cache_lookup, cache_read
from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EAGAIN,
    EEXIST,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOMEM,
    EPERM,
    FILE_SHMEM,
    FOLIO_FALLOCATED,
    NO_FILE,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_RW,
    VM_MAYWRITE,
    VM_SHARED,
    VM_UFFD_MINOR,
    VM_WRITE,
)
from pinhold.mm.folio import page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.mmap import vma_merge, vma_modify_flags
from pinhold.mm.pgtable import mk_pte, pt_alloc, pte_mkdirty
from pinhold.mm.rmap import map_folio_pte
from pinhold.mm.rules.vma import UFFD_ABSENT, UFFD_DIRTY, UFFD_PREPARES_FIRST_YES
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import UFFD_MAPS_DIRTY, UFFD_PREPARES_ANON_VMA
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, mmap_read_lock, mmap_read_unlock
from pinhold.mm.vma import anon_vma_prepare, find_vma, next_vma, vm_page_prot, vma_within

UFFD_START, UFFD_PAGE = 0, 1


@kernel
def uffdio_continue(m: State, task: int) -> int:
    """One step, one page, of UFFDIO_CONTINUE of [act_addr, act_end), which lies in one shmem mapping: maps pages of the
    page cache where nothing is mapped, with mmap_lock held for reading.  act_arg: whether some are mapped.

    Result: 0, -EAGAIN where it stopped after a part, or the errno of the first page: -EFAULT where the file has no
    page, -EEXIST where something is mapped.  A private mapping has its anon_vma before its first page is looked for, so
    that fork() copies what is mapped here.  Linux: mfill_atomic_continue() (mcopy_continue() up to 6.3);
    anon_vma_prepare() in __mcopy_atomic() (6.1), in uffd_mfill_lock() (6.12, 7.3).
    """
    act = current(m, task)
    mm = m.act_mm[act]
    vma = find_vma(m, mm, m.act_addr[act])
    err = 0
    if m.act_pc[act] == UFFD_START:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        m.act_pc[act] = UFFD_PAGE
        err = uffd_register(m, mm, m.act_addr[act], m.act_end[act])
        vma = find_vma(m, mm, m.act_addr[act])
        whole = vma != NO_VMA and m.vma_end[vma] >= m.act_end[act]
        prepares = whole or (vma != NO_VMA and m.rule_uffd_prepares_first == UFFD_PREPARES_FIRST_YES)
        if err == 0 and prepares and not m.vma_flags[vma] & VM_SHARED:
            decided(m, UFFD_PREPARES_ANON_VMA)
            anon_vma_prepare(m, vma)
        if err == 0 and not whole:
            err = -ENOENT
    left = m.batch
    while left > 0 and err == 0 and m.act_addr[act] < m.act_end[act]:
        err = mfill_atomic_install_pte(m, vma, m.act_addr[act])
        if err == 0:
            m.act_addr[act] += 1
            m.act_arg[act] = 1
        left -= 1
    if err == 0 and m.act_addr[act] < m.act_end[act]:
        return AGAIN
    userfaultfd_release(m, mm)
    mmap_read_unlock(m, mm)
    return finish(m, task, -EAGAIN if err and m.act_arg[act] else err)


@kernel
def uffd_register(m: State, mm: int, start: int, end: int) -> int:
    """Register [start, end) for minor faults: what it maps is split at the ends, marked, and one where it is alike.

    0, -ENOMEM, or why it cannot be.  A range that begins in a hole is not registered at all; one that cannot be
    continued is.  Linux: userfaultfd_register().
    """
    err = uffd_refused(m, mm, start, end)
    part = find_vma(m, mm, start)
    while err == 0 and part != NO_VMA:
        stop = min(end, m.vma_end[part])
        err = vma_modify_flags(m, mm, part, max(start, m.vma_start[part]), stop, m.vma_flags[part] | VM_UFFD_MINOR)
        part = vma_within(m, mm, stop, end)
    return err


@kernel
def userfaultfd_release(m: State, mm: int) -> None:
    """The descriptor is closed: what was registered is merged with its neighbours, where both can be one.

    A part that has come to have an anon_vma stays apart from a neighbour without one up to 6.15.
    """
    vma = next_vma(m, mm, 0)
    while vma != NO_VMA:
        stop = m.vma_end[vma]
        if m.vma_flags[vma] & VM_UFFD_MINOR:
            m.vma_flags[vma] &= ~VM_UFFD_MINOR
            vma_merge(m, mm, vma)
        vma = next_vma(m, mm, stop)


@kernel
def uffd_refused(m: State, mm: int, start: int, end: int) -> int:
    """0, or why [start, end) cannot be registered for minor faults (c949b097ef2e, 5.14, for shmem).

    Every mapping in the range has to be of shmem and such as may be written, but there may be holes between them.
    """
    if m.rule_uffd_continue == UFFD_ABSENT:
        return -EINVAL
    part = find_vma(m, mm, start)
    while part != NO_VMA:
        file = m.vma_file[part]
        if file == NO_FILE or m.file_kind[file] != FILE_SHMEM:
            return -EINVAL
        if not m.vma_flags[part] & VM_MAYWRITE:
            return -EPERM
        part = vma_within(m, mm, m.vma_end[part], end)
    return 0


@kernel
def mfill_atomic_install_pte(m: State, vma: int, addr: int) -> int:
    """Map the page cache's page, read-only in a private mapping.  0, or a negative errno.

    Dirty whatever the mapping since 9ae0f87d009c (5.16), before only where it is writable.
    """
    index = m.vma_pgoff[vma] + addr - m.vma_start[vma]
    if not cache_has(m, m.vma_file[vma], index):
        return -EFAULT
    page = cache_lookup(m, m.vma_file[vma], index)
    if page == NO_PAGE:
        page = cache_read(m, m.vma_file[vma], index)
    if page == NO_PAGE:
        return -ENOMEM
    slot = pt_alloc(m, vma // m.vmas_per_mm, addr, 0)
    if slot < 0:
        return -ENOMEM
    if m.pte[slot]:
        return -EEXIST
    entry = mk_pte(page, vm_page_prot(m, vma) & ~PTE_RW | PTE_ACCESSED)
    if m.vma_flags[vma] & (VM_SHARED | VM_WRITE) == VM_SHARED | VM_WRITE:
        entry = pte_mkdirty(m, entry) | PTE_RW
    elif m.rule_uffd_continue == UFFD_DIRTY:
        decided(m, UFFD_MAPS_DIRTY)
        entry = pte_mkdirty(m, entry)
    m.folio_flags[page_folio(m, page)] &= ~FOLIO_FALLOCATED
    map_folio_pte(m, vma // m.vmas_per_mm, page)
    m.pte[slot] = entry
    return 0
