"""mprotect(): new rights for a range, and which entries become writable without a fault: mm/mprotect.c."""

from __future__ import annotations

from pinhold.mm.flags import (
    BLOCKED,
    EACCES,
    ENOMEM,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_FLAGS,
    PTE_PRESENT,
    PTE_PSE,
    PTE_RW,
    PTE_SOFT_DIRTY,
    VM_ACCOUNT,
    VM_HUGETLB,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)
from pinhold.mm.folio import folio_test_anon, is_huge_zero_page, page_folio
from pinhold.mm.huge_memory import split_huge_range
from pinhold.mm.hugetlb import hugetlb_level
from pinhold.mm.kernel import kernel
from pinhold.mm.mmap import vma_modify_flags
from pinhold.mm.pgtable import (
    entry_flags,
    leaf_modify,
    level_pages,
    pt_walk,
    pte_mkdirty,
    pte_modify,
    pte_pfn,
    pte_present,
    pte_special,
)
from pinhold.mm.rmap import folio_pte_batch, page_anon_exclusive
from pinhold.mm.rules.vma import CHANGES_SINGLE, UPGRADE_EXCLUSIVE_DIRTY, UPGRADE_NONE
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.vma import MPROTECT_ROW_IS_DIRTY, MPROTECT_STAYS_READ_ONLY, MPROTECT_UPGRADES
from pinhold.mm.state import State
from pinhold.mm.task import current, finish, mmap_write_lock, mmap_write_unlock
from pinhold.mm.vma import (
    find_vma,
    vm_page_prot,
    vma_is_anonymous,
    vma_is_hugetlb,
    vma_soft_dirty_enabled,
    vma_wants_writenotify,
)


@kernel
def mprotect(m: State, task: int) -> int:
    """mprotect() of [act_addr, act_end) to the rights in act_flags (VM_READ, VM_WRITE)."""
    act = current(m, task)
    mm = m.act_mm[act]
    if mmap_write_lock(m, mm) == BLOCKED:
        return BLOCKED
    err = mprotect_locked(m, mm, m.act_addr[act], m.act_end[act], m.act_flags[act])
    mmap_write_unlock(m, mm)
    return finish(m, task, err)


@kernel
def mprotect_locked(m: State, mm: int, start: int, end: int, prot: int) -> int:
    """The work of mprotect(): VMA by VMA, as far as the first hole, or the first VMA that may never have these rights.

    0, or a negative errno.  Linux: do_mprotect_pkey().
    """
    addr = start
    while addr < end:
        vma = find_vma(m, mm, addr)
        if vma == NO_VMA:
            return -ENOMEM
        if prot & VM_WRITE and not m.vma_flags[vma] & VM_MAYWRITE:
            return -EACCES
        stop = min(end, m.vma_end[vma])
        err = mprotect_fixup(m, mm, vma, addr, stop, prot)
        if err:
            return err
        addr = stop
    return 0


@kernel
def mprotect_fixup(m: State, mm: int, vma: int, start: int, end: int, prot: int) -> int:
    """The part [start, end) of one VMA: rights that it has already change nothing.  0, or a negative errno."""
    flags = m.vma_flags[vma] & ~(VM_READ | VM_WRITE) | prot
    if flags == m.vma_flags[vma]:
        return 0
    err = vma_modify_flags(m, mm, vma, start, end, mprotect_account(m, vma, flags))
    return err if err else change_protection(m, mm, find_vma(m, mm, start), start, end)


@kernel
def mprotect_account(m: State, vma: int, flags: int) -> int:
    """The new flags, with VM_ACCOUNT where private memory becomes writable; what has no page of its own yet gives it
    back in 6.12 and later when it becomes read-only."""
    if flags & VM_WRITE:
        return flags if m.vma_flags[vma] & (VM_WRITE | VM_HUGETLB | VM_SHARED) else flags | VM_ACCOUNT
    if m.rule_mprotect_unaccounts and vma_is_anonymous(m, vma) and not m.vma_anon[vma]:
        return flags & ~VM_ACCOUNT
    return flags


@kernel
def change_protection(m: State, mm: int, vma: int, start: int, end: int) -> int:
    """Give every present entry of the part [start, end) of the VMA its new rights.  0, or -ENOMEM."""
    if vma_is_hugetlb(m, vma):
        for addr in range(start, end, 1 << m.vma_order[vma]):
            slot = pt_walk(m, mm, addr, hugetlb_level(m, m.vma_order[vma]))
            if slot >= 0 and pte_present(m.pte[slot]):
                m.pte[slot] = pte_modify(m.pte[slot], vm_page_prot(m, vma))
        return 0
    if split_huge_range(m, mm, start, end) < 0:
        return -ENOMEM
    span = level_pages(m, 1)
    addr = start
    while addr < end:
        slot = pt_walk(m, mm, addr, 0)
        if slot >= 0:
            addr += change_ptes(m, vma, slot, min(end, (addr // span + 1) * span) - addr)
            continue
        slot = pt_walk(m, mm, addr, 1)
        if slot >= 0 and m.pte[slot] & PTE_PSE and pte_present(m.pte[slot]):
            m.pte[slot] = changed_entry(m, vma, m.pte[slot], 1)
        addr = (addr // span + 1) * span
    return 0


@kernel
def change_ptes(m: State, vma: int, slot: int, limit: int) -> int:
    """The PTE at `slot`, and since cac1db8c3aad (6.17) what is like it behind it, `limit` in all at most.  How many.

    Linux: change_pte_range(), mprotect_folio_pte_batch(), change_present_ptes().
    """
    if not pte_present(m.pte[slot]):
        return 1
    if m.rule_mprotect_batch == CHANGES_SINGLE or pte_special(m.pte[slot]):
        m.pte[slot] = changed_entry(m, vma, m.pte[slot], 0)
        return 1
    count = folio_pte_batch(m, slot, limit, PTE_DIRTY | PTE_ACCESSED)
    flags = row_flags(m, slot, count)
    for i in range(slot, slot + count):
        m.pte[i] = changed_entry(m, vma, m.pte[i] & ~PTE_FLAGS | flags, 0)
    return count


@kernel
def row_flags(m: State, slot: int, count: int) -> int:
    """What all entries of a row get: the first one's flags, accessed if any is, and dirty; by one that is dirty behind
    the first soft-dirty as well.  Linux: modify_prot_start_ptes()."""
    flags = entry_flags(m.pte[slot])
    for i in range(slot + 1, slot + count):
        flags |= m.pte[i] & PTE_ACCESSED
        if m.pte[i] & PTE_DIRTY:
            flags = pte_mkdirty(m, flags)
    if flags & (PTE_DIRTY | PTE_SOFT_DIRTY) & ~m.pte[slot]:
        decided(m, MPROTECT_ROW_IS_DIRTY)
    return flags


@kernel
def changed_entry(m: State, vma: int, entry: int, level: int) -> int:
    """One entry, PTE or PMD, with its new rights, and writable at once where a write fault would do nothing but that.

    Linux: change_present_ptes(), change_pte_range() before 6.17, change_huge_pmd().
    """
    entry = leaf_modify(m, entry, level, vm_page_prot(m, vma))
    if not entry & PTE_RW and wants_write_upgrade(m, vma):
        if can_change_writable(m, vma, entry, level):
            decided(m, MPROTECT_UPGRADES)
            return entry | PTE_RW
        decided(m, MPROTECT_STAYS_READ_ONLY)
    return entry


@kernel
def wants_write_upgrade(m: State, vma: int) -> bool:
    """Whether entries of the writable mapping may start out read-only.  Linux: vma_wants_manual_pte_write_upgrade()."""
    if not m.vma_flags[vma] & VM_WRITE:
        return False
    return not m.vma_flags[vma] & VM_SHARED or vma_wants_writenotify(m, vma)


@kernel
def can_change_writable(m: State, vma: int, entry: int, level: int) -> bool:
    """Whether the entry may be made writable without a fault.

    Private: an exclusive anonymous page, since 64fe24a3e05e (6.0) if dirty and mapped by a PTE, since d84887739d5c
    (6.2) any.  Shared: where the write has been noticed before (dirty).
    Linux: can_change_pte_writable(), can_change_pmd_writable().
    """
    if not entry & PTE_PRESENT or (vma_soft_dirty_enabled(m, vma) and not entry & PTE_SOFT_DIRTY):
        return False
    if m.vma_flags[vma] & VM_SHARED:
        return entry & PTE_DIRTY != 0
    if m.rule_mprotect_upgrade == UPGRADE_NONE or pte_special(entry) or is_huge_zero_page(m, pte_pfn(entry)):
        return False
    if m.rule_mprotect_upgrade == UPGRADE_EXCLUSIVE_DIRTY and (level > 0 or not entry & PTE_DIRTY):
        return False
    return folio_test_anon(m, page_folio(m, pte_pfn(entry))) and page_anon_exclusive(m, pte_pfn(entry))
