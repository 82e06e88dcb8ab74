"""hugetlb: pools of huge pages, their reserves, faults: mm/hugetlb.c.

hstate 0 is the PMD size (2 MiB), hstate 1 the PUD size (1 GiB).  A private mapping reserves a page per unit when it
is made; only its owner, not a forked child, may draw on the reserve.  Reuse at a write is by mapcount alone, in every
release: harmless FOLL_GET references must not make the owner run out of pages.
"""

from __future__ import annotations

from pinhold.mm.chance import choose
from pinhold.mm.file import cache_add, cache_lookup, hweight
from pinhold.mm.flags import (
    EFAULT,
    ENOMEM,
    FAULT_ALLOCATED,
    FAULT_DONE,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FOLIO_HUGETLB,
    FOLIO_RESTORE_RESERVE,
    NO_FILE,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_PSE,
    PTE_RW,
    VM_HUGETLB,
    VM_MAYSHARE,
    VM_SHARED,
    VM_WRITE,
)
from pinhold.mm.folio import folio_copy, folio_get, folio_page, folio_put, folio_test_anon, page_folio
from pinhold.mm.interval_tree import vma_interval_tree_before
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.limits import LIMIT_FILE_PAGES, LIMIT_RESERVE, RESERVE_MAX, too_small
from pinhold.mm.pgtable import mk_pte, pt_alloc, pt_walk, pte_mkdirty, pte_pfn
from pinhold.mm.rmap import (
    folio_add_rmap_entire,
    folio_mapcount,
    folio_remove_rmap_entire,
    folio_set_anon,
    set_page_anon_exclusive,
)
from pinhold.mm.rules.hugetlb import (
    HUGETLB_BY_MAPCOUNT,
    HUGETLB_WRITE_REFUSED,
    HUGETLB_WRITE_UNCHECKED,
    RESTORES_AT_LAST_UNMAP,
    RESTORES_NO,
    UNMAP_AT_OWNER,
)
from pinhold.mm.sites.hugetlb import (
    HUGETLB_FORCE_REFUSED,
    HUGETLB_RESERVE_EARLY,
    HUGETLB_RESERVE_LOST,
    HUGETLB_TRIES_AGAIN,
    HUGETLB_UNMAP_CHILDREN,
    HUGETLB_WP_COPY,
    HUGETLB_WP_REUSE_EXCLUSIVE,
    HUGETLB_WP_REUSE_MAPCOUNT,
    HUGETLB_WP_REUSE_REFCOUNT,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.vma import anon_vma_prepare, find_vma, vm_page_prot

RESV_OWNER, RESV_UNMAPPED = 1, 2
"""What a private mapping is (vma_reserve_owner): the one that reserved, or a child's from which a page was taken."""


@kernel
def hstate_of(m: State, order: int) -> int:
    return 0 if order == m.bits else 1


@kernel
def hugetlb_level(m: State, order: int) -> int:
    """The page-table level whose entry maps a huge page of this order."""
    return order // m.bits


@kernel
def hugetlb_reserve(m: State, vma: int) -> int:
    """Reserve pages for a fresh mapping.  0, or -ENOMEM.  Linux: hugetlb_reserve_pages(), hugetlb_acct_memory().

    Private: one per unit, the mapping's own (a bit per unit in vma_reserve).  Shared: one per page that the file
    neither has nor has reserved before (a bit per page in file_reserve).  So many have to be free, too, which says more
    where less than none is counted as reserved.
    """
    hstate = hstate_of(m, m.vma_order[vma])
    units = (m.vma_end[vma] - m.vma_start[vma]) >> m.vma_order[vma]
    file = m.vma_file[vma]
    if units > m.nr_hugetlb:
        return -ENOMEM
    if units > RESERVE_MAX:
        too_small(m, LIMIT_RESERVE)
        return -ENOMEM
    reserve = (1 << units) - 1
    if m.vma_flags[vma] & VM_MAYSHARE:
        reserve &= ~m.file_reserve[file]
        for index in range(units):
            if cache_lookup(m, file, index) != NO_PAGE:
                reserve &= ~(1 << index)
    free = m.hugetlb_free[hstate]
    if min(free, free - m.hugetlb_reserved[hstate]) < hweight(reserve):
        return -ENOMEM
    m.hugetlb_reserved[hstate] += hweight(reserve)
    if m.vma_flags[vma] & VM_MAYSHARE:
        m.file_reserve[file] |= reserve
    else:
        m.vma_reserve[vma] = reserve
        m.vma_reserve_owner[vma] = RESV_OWNER
    return 0


@kernel
def hugetlb_reserved_here(m: State, vma: int, addr: int) -> bool:
    """Whether the mapping, or its file, still has a reserved page for this address.  Linux: vma_needs_reservation()."""
    if m.vma_flags[vma] & VM_MAYSHARE:
        return (m.file_reserve[m.vma_file[vma]] >> hugetlb_file_index(m, vma, addr)) & 1 != 0
    return (m.vma_reserve[vma] >> ((addr - m.vma_start[vma]) >> m.vma_order[vma])) & 1 != 0


@kernel
def hugetlb_use_reserve(m: State, vma: int, addr: int) -> None:
    """The reserved page for this address is allocated.  Linux: vma_commit_reservation()."""
    m.hugetlb_reserved[hstate_of(m, m.vma_order[vma])] -= 1
    if m.vma_flags[vma] & VM_MAYSHARE:
        m.file_reserve[m.vma_file[vma]] &= ~(1 << hugetlb_file_index(m, vma, addr))
    else:
        m.vma_reserve[vma] &= ~(1 << ((addr - m.vma_start[vma]) >> m.vma_order[vma]))


@kernel(needs=Part.HUGETLB)
def hugetlb_unreserve(m: State, vma: int) -> None:
    """Give back what is left of the reserve.  Linux: hugetlb_vm_op_close()."""
    m.hugetlb_reserved[hstate_of(m, m.vma_order[vma])] -= hweight(m.vma_reserve[vma])
    m.vma_reserve[vma] = 0
    m.vma_reserve_owner[vma] = 0


@kernel(needs=Part.HUGETLB)
def alloc_hugetlb_folio(m: State, order: int, vma: int, addr: int, avoid_reserve: int) -> int:
    """A huge page from the pool, of content 0 and with one reference; NO_PAGE where there is none for this VMA.

    vma NO_VMA: for a file, outside all reserves.  Linux: alloc_hugetlb_folio(), dequeue_hugetlb_folio_vma().
    """
    hstate = hstate_of(m, order)
    use_reserve = vma != NO_VMA and not avoid_reserve and hugetlb_reserved_here(m, vma, addr)
    if not use_reserve and m.hugetlb_free[hstate] - m.hugetlb_reserved[hstate] <= 0:
        return NO_PAGE
    if m.hugetlb_free[hstate] == 0:
        return NO_PAGE  # though some seem to be left, where less than none is counted as reserved
    folio = free_hugetlb_folio(m)
    if folio == NO_PAGE:
        return NO_PAGE
    m.hugetlb_free[hstate] -= 1
    if use_reserve:
        hugetlb_use_reserve(m, vma, addr)
    m.folio_refcount[folio] = 1
    m.folio_order[folio] = order
    m.folio_flags[folio] = FOLIO_HUGETLB
    return folio_page(m, folio)


@kernel
def free_hugetlb_folio(m: State) -> int:
    """A folio that the pool has free, whichever (see chance.py), or NO_PAGE."""
    end = m.nr_pages + m.nr_hugetlb
    total = 0
    for folio in range(m.nr_pages, end):
        if m.folio_refcount[folio] == 0:
            total += 1
    picked = choose(m, total)
    for folio in range(m.nr_pages, end):
        if m.folio_refcount[folio] == 0:
            if picked == 0:
                return folio
            picked -= 1
    return NO_PAGE


@kernel(needs=Part.HUGETLB)
def hugetlb_fault(m: State, act: int, vma: int) -> int:
    """Decide what a fault on hugetlb memory needs."""
    mm = m.act_mm[act]
    order = m.vma_order[vma]
    slot = pt_alloc(m, mm, m.act_addr[act], hugetlb_level(m, order))
    if slot < 0:
        return -ENOMEM
    entry = m.pte[slot]
    m.act_entry[act] = entry
    m.act_page[act] = NO_PAGE
    if entry == 0:
        return hugetlb_no_page(m, act, vma, slot)
    if m.act_flags[act] & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE) and not entry & PTE_RW:
        return hugetlb_wp(m, act, vma, slot)
    if m.act_flags[act] & FAULT_FLAG_WRITE:
        entry = pte_mkdirty(m, entry)
    m.pte[slot] = entry | PTE_ACCESSED
    return FAULT_DONE


@kernel
def hugetlb_file_index(m: State, vma: int, addr: int) -> int:
    """Index into the file, in huge pages."""
    return (m.vma_pgoff[vma] + addr - m.vma_start[vma]) >> m.vma_order[vma]


@kernel
def hugetlb_no_page(m: State, act: int, vma: int, slot: int) -> int:
    """Nothing mapped: the file's page if it is cached; else a new page, the file's if shared, anonymous if private.

    There is no zero page: a private read fault allocates.  A private write goes on to copy the file's page.  A child
    whose page the owner took back (unmap_ref_private) is killed rather than shown a page of zeros.
    """
    if m.vma_reserve_owner[vma] == RESV_UNMAPPED:
        return -EFAULT
    index = hugetlb_file_index(m, vma, m.act_addr[act])
    page = cache_lookup(m, m.vma_file[vma], index)
    if page == NO_PAGE:
        page = alloc_hugetlb_folio(m, m.vma_order[vma], vma, m.act_addr[act], 0)
        if page == NO_PAGE:
            return -EFAULT
        if not m.vma_flags[vma] & VM_MAYSHARE:
            anon_vma_prepare(m, vma)
            m.act_new[act] = page
            return FAULT_ALLOCATED
        cache_add(m, m.vma_file[vma], index, page)
    folio = page_folio(m, page)
    folio_get(m, folio)
    folio_add_rmap_entire(m, m.act_mm[act], folio)
    m.pte[slot] = hugetlb_entry(m, vma, page, m.vma_flags[vma] & VM_SHARED)
    m.act_entry[act] = m.pte[slot]
    if m.act_flags[act] & FAULT_FLAG_WRITE and not m.vma_flags[vma] & VM_SHARED:
        return hugetlb_wp(m, act, vma, slot)
    return FAULT_DONE


@kernel
def hugetlb_entry(m: State, vma: int, page: int, writable: int) -> int:
    """A fresh entry: writable and dirty if asked and the VMA is.  Linux: make_huge_pte()."""
    entry = mk_pte(page, vm_page_prot(m, vma) & ~PTE_RW | PTE_PSE | PTE_ACCESSED)
    if writable and m.vma_flags[vma] & VM_WRITE:
        entry = pte_mkdirty(m, entry) | PTE_RW
    return entry


@kernel
def hugetlb_wp(m: State, act: int, vma: int, slot: int) -> int:
    """A write, or an unshare, meets a read-only entry: reuse, or copy.

    An owner that had to take the page from its children tries again: here by another fault, in the kernel without
    leaving this one, and so with mmap_lock held for reading all the while.

    Linux: hugetlb_wp() (hugetlb_cow() up to 5.18).
    """
    unshare = m.act_flags[act] & FAULT_FLAG_UNSHARE
    entry = m.pte[slot]
    folio = page_folio(m, pte_pfn(entry))
    if not unshare and not m.vma_flags[vma] & VM_WRITE and m.rule_hugetlb_force_write == HUGETLB_WRITE_REFUSED:
        decided(m, HUGETLB_FORCE_REFUSED)
        return -EFAULT
    if m.vma_flags[vma] & VM_MAYSHARE:
        if not unshare:
            m.pte[slot] = pte_mkdirty(m, entry) | PTE_RW
        return FAULT_DONE
    anon = folio_test_anon(m, folio)
    if anon and hugetlb_can_reuse(m, folio):
        set_page_anon_exclusive(m, pte_pfn(entry))
        if unshare:
            return FAULT_DONE
        m.pte[slot] = hugetlb_writable(m, vma, entry)
        return FAULT_WROTE
    outside_reserve = m.vma_reserve_owner[vma] == RESV_OWNER and anon
    new = alloc_hugetlb_folio(m, m.vma_order[vma], vma, m.act_addr[act], 1 if outside_reserve else 0)
    if new == NO_PAGE and outside_reserve:
        if not unmap_ref_private(m, vma, m.act_addr[act], folio):
            decided(m, HUGETLB_TRIES_AGAIN)
        return FAULT_DONE
    if new == NO_PAGE:
        return -EFAULT
    decided(m, HUGETLB_WP_COPY)
    folio_get(m, folio)
    folio_copy(m, pte_pfn(entry), new, 1)
    anon_vma_prepare(m, vma)
    m.act_page[act] = pte_pfn(entry)
    m.act_new[act] = new
    return FAULT_ALLOCATED


@kernel
def hugetlb_can_reuse(m: State, folio: int) -> bool:
    """Whether the anonymous huge page is the faulting process's alone: nobody else maps it, whoever else holds it."""
    if folio_mapcount(m, folio) != 1:
        return False
    if m.rule_hugetlb_wp_reuse == HUGETLB_BY_MAPCOUNT:
        decided(m, HUGETLB_WP_REUSE_MAPCOUNT)
        return True
    if m.page_exclusive[folio]:
        decided(m, HUGETLB_WP_REUSE_EXCLUSIVE)
        return True
    if m.folio_refcount[folio] != 1:
        return False
    decided(m, HUGETLB_WP_REUSE_REFCOUNT)
    return True


@kernel
def hugetlb_writable(m: State, vma: int, entry: int) -> int:
    """Writable and dirty; a forced write leaves the entry as it is where the kernel supports that.

    So it is not soft-dirty either, and where soft-dirty was cleared before it was mapped, GUP never follows it.  Linux:
    set_huge_ptep_maybe_writable(), 052ccfbcc6cd (6.14).
    """
    if m.vma_flags[vma] & VM_WRITE or m.rule_hugetlb_force_write == HUGETLB_WRITE_UNCHECKED:
        return pte_mkdirty(m, entry) | PTE_RW
    return entry


@kernel(needs=Part.HUGETLB)
def hugetlb_install(m: State, act: int) -> int:
    """Under the lock: install the new anonymous huge page unless the entry has changed."""
    mm = m.act_mm[act]
    page = m.act_new[act]
    new = page_folio(m, page)
    old = m.act_entry[act]
    vma = find_vma(m, mm, m.act_addr[act])
    source = m.act_page[act]
    slot = NO_VMA
    if vma != NO_VMA and m.vma_flags[vma] & VM_HUGETLB:
        slot = pt_walk(m, mm, m.act_addr[act], hugetlb_level(m, m.vma_order[vma]))
    result = FAULT_DONE
    if slot < 0 or m.pte[slot] != old:
        folio_put(m, new)
    else:
        if old:
            folio_remove_rmap_entire(m, mm, page_folio(m, pte_pfn(old)))
            folio_put(m, page_folio(m, pte_pfn(old)))
        folio_set_anon(m, new)
        set_page_anon_exclusive(m, page)
        folio_add_rmap_entire(m, mm, new)
        write = m.act_flags[act] & FAULT_FLAG_WRITE
        entry = hugetlb_entry(m, vma, page, write)
        if write:
            entry = hugetlb_writable(m, vma, entry)
            result = FAULT_WROTE
        m.pte[slot] = entry
    if source != NO_PAGE:
        folio_put(m, page_folio(m, source))
    return result


@kernel
def unmap_ref_private(m: State, vma: int, addr: int, folio: int) -> bool:
    """The owner has no page to copy to: take the shared page from the other private mappings, who will be killed.
    Whether any had it where it was looked for.

    Up to 7.3.3 it looks at the owner's address in every process, once for each mapping there of this part of the file.
    The first of them takes the page away and is the one that will be killed, whichever mapping the page was in: where
    that is another one, the next touch of that finds the file's page.

    Linux: unmap_ref_private(), __unmap_hugepage_range() (mm/hugetlb.c).
    """
    unmapped = False
    index = hugetlb_file_index(m, vma, addr)
    for other in range(len(m.vma_end)):
        if not without_reserve(m, other, vma, index):
            continue
        at = m.vma_start[other] + (index << m.vma_order[other]) - m.vma_pgoff[other]
        if m.rule_hugetlb_unmap_address == UNMAP_AT_OWNER:
            if not found_first(m, other, vma, index):
                continue
            at = addr & -(1 << m.vma_order[vma])
        slot = pt_walk(m, other // m.vmas_per_mm, at, hugetlb_level(m, m.vma_order[other]))
        if slot >= 0 and m.pte[slot] & PTE_PSE and page_folio(m, pte_pfn(m.pte[slot])) == folio:
            decided(m, HUGETLB_UNMAP_CHILDREN)
            unmapped = True
            m.vma_reserve_owner[other] = RESV_UNMAPPED
            zap_hugetlb(m, other, at, slot)
    return unmapped


@kernel
def without_reserve(m: State, other: int, vma: int, index: int) -> bool:
    """Whether `other` is another private mapping of this page of the owner's file, and reserved nothing itself."""
    if other == vma or m.vma_end[other] == 0 or m.vma_file[other] != m.vma_file[vma]:
        return False
    if m.vma_file[other] == NO_FILE or m.vma_flags[other] & VM_MAYSHARE or m.vma_reserve_owner[other] == RESV_OWNER:
        return False
    offset = (index << m.vma_order[other]) - m.vma_pgoff[other]
    return 0 <= offset < m.vma_end[other] - m.vma_start[other]


@kernel
def found_first(m: State, other: int, vma: int, index: int) -> bool:
    """Whether of those mappings `other` is the first of its process."""
    first = other // m.vmas_per_mm * m.vmas_per_mm
    for one in range(first, first + m.vmas_per_mm):
        if one != other and without_reserve(m, one, vma, index) and vma_interval_tree_before(m, one, other):
            return False
    return True


@kernel
def clear_vma_resv_huge_pages(m: State, vma: int) -> None:
    """What stays of a private mapping of which mremap() has moved a part: its reserve went along.

    A kernel defect, in every release that moves hugetlb (5.16 to 7.3.4): the reservation is taken from the whole of the
    old mapping, of which only a part then goes.  The pool keeps these pages for nobody.
    Linux: clear_vma_resv_huge_pages(), called by move_vma() or fixup_hugetlb_reservations().
    """
    if m.vma_reserve[vma]:
        decided(m, HUGETLB_RESERVE_LOST)
        m.hugetlb_lost[hstate_of(m, m.vma_order[vma])] += hweight(m.vma_reserve[vma])
    m.vma_reserve[vma] = 0
    m.vma_reserve_owner[vma] = 0


@kernel(needs=Part.HUGETLB)
def zap_hugetlb(m: State, vma: int, addr: int, slot: int) -> None:
    """Remove one hugetlb mapping and its reference; see hugetlb_restore_reserve().  Linux: __unmap_hugepage_range()."""
    folio = page_folio(m, pte_pfn(m.pte[slot]))
    m.pte[slot] = 0
    folio_remove_rmap_entire(m, vma // m.vmas_per_mm, folio)
    hugetlb_restore_reserve(m, vma, addr, folio)
    folio_put(m, folio)


@kernel
def hugetlb_restore_reserve(m: State, vma: int, addr: int, folio: int) -> None:
    """The owner gives up an anonymous page: its place is reserved again, and the pool reserves a page for it once this
    one is free.

    From df7a6d1f6405 (6.9) to 7.2 also while a child maps the page: an owner that comes back meanwhile takes a page of
    the pool though it may be reserved for others, and the pool's count of reserved pages falls below what is reserved,
    even below 0.  Since 7.3 only the last mapping gives back; a pin then still can come between.
    """
    if m.rule_hugetlb_restores_reserve == RESTORES_NO:
        return
    if m.vma_reserve_owner[vma] != RESV_OWNER or not folio_test_anon(m, folio):
        return
    if folio_mapcount(m, folio):
        if m.rule_hugetlb_restores_reserve == RESTORES_AT_LAST_UNMAP:
            return
        decided(m, HUGETLB_RESERVE_EARLY)
    if not hugetlb_reserved_here(m, vma, addr):
        m.folio_flags[folio] |= FOLIO_RESTORE_RESERVE
        m.vma_reserve[vma] |= 1 << ((addr - m.vma_start[vma]) >> m.vma_order[vma])


@kernel
def hugetlbfs_fallocate(m: State, file: int, units: int) -> int:
    """Give a file its first `units` huge pages, of zeros.  0, or -ENOMEM, and then it keeps what it has got.

    Linux: hugetlbfs_fallocate() (fs/hugetlbfs/inode.c).
    """
    if units > m.file_pages:
        too_small(m, LIMIT_FILE_PAGES)
        return -ENOMEM
    for index in range(units):
        if cache_lookup(m, file, index) == NO_PAGE:
            page = alloc_hugetlb_folio(m, m.file_order[file], NO_VMA, 0, 1)
            if page == NO_PAGE:
                return -ENOMEM
            cache_add(m, file, index, page)
    return 0
