"""What a process does to its own memory: loads and stores, which fault until the entry lets them through."""

from __future__ import annotations

from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EFAULT,
    FAULT_FLAG_WRITE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    VM_READ,
    VM_WRITE,
)
from pinhold.mm.folio import page_index
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.pgtable import level_pages, pt_leaf, pte_accessible, pte_pfn
from pinhold.mm.state import State
from pinhold.mm.task import FN_FAULT, call, current, finish, mmap_read_lock, mmap_read_unlock, returned
from pinhold.mm.vma import find_vma

ACCESS_TRY, ACCESS_FAULTED = 0, 1


@kernel
def user_access(m: State, task: int) -> int:
    """One step of a load or store of whole pages.  act_flags: FAULT_FLAG_WRITE or 0; act_arg: the byte to store.

    Result: 0, or -EFAULT where the process would be killed (SIGSEGV, SIGBUS), or -ENOMEM.
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == ACCESS_FAULTED:
        mmap_read_unlock(m, mm)
        m.act_pc[act] = ACCESS_TRY
        result = returned(m, task)
        return finish(m, task, result) if result < 0 else AGAIN
    left = m.batch
    while left > 0 and m.act_addr[act] < m.act_end[act]:
        if not access_leaf(m, act):
            return access_fault(m, task, act)
        left -= 1
    if m.act_addr[act] < m.act_end[act]:
        return AGAIN
    return finish(m, task, 0)


@kernel
def access_leaf(m: State, act: int) -> bool:
    """Access what the entry for act_addr maps, up to its or the range's end; False: it does not let the access
    through."""
    addr = m.act_addr[act]
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    slot, level = pt_leaf(m, m.act_mm[act], addr)
    entry = m.pte[slot]
    if not pte_accessible(entry, write):
        return False
    m.pte[slot] = entry | PTE_ACCESSED | (PTE_DIRTY if write else 0)
    pages = level_pages(m, level)
    offset = addr & (pages - 1)
    count = min(pages - offset, m.act_end[act] - addr)
    if write:
        store(m, pte_pfn(entry) + offset, count, m.act_arg[act])
    m.act_addr[act] = addr + count
    return True


@kernel(without={Part.CONTENT: None})
def store(m: State, page: int, count: int, byte: int) -> None:
    """Fill `count` pages with the byte (a hugetlb page has one token for all)."""
    if page >= m.nr_pages:
        m.page_content[page_index(m, page)] = byte
        return
    for i in range(page, page + count):
        m.page_content[i] = byte


@kernel
def access_fault(m: State, task: int, act: int) -> int:
    """The processor traps: check the VMA's rights and handle the fault.  Linux: do_user_addr_fault()
    (arch/x86/mm/fault.c)."""
    mm = m.act_mm[act]
    write = m.act_flags[act] & FAULT_FLAG_WRITE
    vma = find_vma(m, mm, m.act_addr[act])
    if vma == NO_VMA or not m.vma_flags[vma] & (VM_WRITE if write else VM_READ | VM_WRITE):
        return finish(m, task, -EFAULT)
    if mmap_read_lock(m, mm) == BLOCKED:
        return BLOCKED
    m.act_pc[act] = ACCESS_FAULTED
    return call(m, task, FN_FAULT, mm, m.act_addr[act], 0, write, 0)
