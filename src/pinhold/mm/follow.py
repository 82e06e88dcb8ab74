"""Following the page tables for GUP: mm/gup.c, mm/huge_memory.c, mm/hugetlb.c.

An entry is followed by a function for its level, which says whether the request may have what is mapped, or what has to
be done before.  The last that each asks of a read-only entry is `gup_must_unshare`: whether a read-only pin has to
break COW first.  The seed's patch is that function's last rule, and hands each of its callers' VMA on to it.
"""

from __future__ import annotations

from pinhold.mm.file import cache_lookup
from pinhold.mm.flags import (
    EFAULT,
    EMLINK,
    ENOENT,
    FOLL_COW,
    FOLL_DUMP,
    FOLL_FORCE,
    FOLL_HONOR_NUMA_FAULT,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_WRITE,
    NO_PAGE,
    NO_VMA,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_PSE,
    PTE_RW,
    PTE_SPECIAL,
    VM_MAYWRITE,
    VM_SHARED,
    VM_WRITE,
)
from pinhold.mm.folio import folio_test_anon, is_huge_zero_page, page_folio
from pinhold.mm.hugetlb import hugetlb_file_index, hugetlb_level
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import pt_walk, pte_pfn, pte_present
from pinhold.mm.rmap import page_anon_exclusive
from pinhold.mm.rules.gup import (
    FORCE_BY_FOLL_COW,
    FORCE_DROPS_WRITE,
    PROTNONE_FAULTS,
    UNSHARE_COW_LONGTERM,
    UNSHARE_NONE,
)
from pinhold.mm.sites.gup import (
    FOLL_FORCE_FOLLOWS,
    GUP_HONORS_NUMA_FAULT,
    MUST_UNSHARE_ANON,
    MUST_UNSHARE_COW_MAPPING,
    MUST_UNSHARE_NO_VMA,
    UNSHARE_NOT_LONGTERM,
    UNSHARE_NOT_NEEDED_EXCLUSIVE,
    UNSHARE_NOT_NEEDED_SHARED_MAPPING,
    UNSHARE_RULE_ABSENT,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.vma import (
    is_cow_mapping,
    soft_dirty_write_protected,
    vma_is_accessible,
    vma_is_anonymous,
    vma_is_hugetlb,
)


@kernel
def gup_must_unshare(m: State, vma: int, flags: int, page: int) -> bool:
    """Whether a read-only pin of `page`, whose entry is not writable, has to break COW first.

    vma: index, or NO_VMA from GUP-fast, which has none and can only answer "perhaps": the slow path decides.
    page: what the entry maps, of a huge one the head, whose exclusive mark is that of the whole.  A pin that is not
    long-term is a snapshot of what is not anonymous.  Linux: gup_must_unshare() (include/linux/mm.h, later
    mm/internal.h); a7f226604170 (5.19) for anonymous pages, 84209e87c696 (6.2) for all others.  It is asked where an
    entry is followed, whichever way GUP has come to it: below by the slow path, in gup_fast.py by the fast one.
    """
    if flags & FOLL_WRITE or not flags & FOLL_PIN:
        return False
    if m.rule_gup_unshares == UNSHARE_NONE:
        decided(m, UNSHARE_RULE_ABSENT)
        return False
    if folio_test_anon(m, page_folio(m, page)):
        if page_anon_exclusive(m, page):
            decided(m, UNSHARE_NOT_NEEDED_EXCLUSIVE)
            return False
        decided(m, MUST_UNSHARE_ANON)
        return True
    if m.rule_gup_unshares != UNSHARE_COW_LONGTERM:
        decided(m, UNSHARE_RULE_ABSENT)
        return False
    if not flags & FOLL_LONGTERM:
        decided(m, UNSHARE_NOT_LONGTERM)
        return False
    if vma == NO_VMA:
        decided(m, MUST_UNSHARE_NO_VMA)
        return True
    if is_cow_mapping(m.vma_flags[vma]):
        decided(m, MUST_UNSHARE_COW_MAPPING)
        return True
    decided(m, UNSHARE_NOT_NEEDED_SHARED_MAPPING)
    return False


@kernel
def can_follow_write(m: State, vma: int, flags: int, entry: int, page: int) -> bool:
    """Whether a write request may use this entry, which maps `page` (of a huge one the head).

    FOLL_FORCE may write through an entry that is not writable, in a private mapping without VM_WRITE, once COW is
    broken: known from the exclusive mark since 5535be309971 (6.0), before from a dirty entry after a write fault
    (FOLL_COW, 19be0eaffa3a, 4.9). Before that it looks for its page as a read does (follow_flags()).
    Linux: can_follow_write_pte(), can_follow_write_pmd().
    """
    if entry & PTE_RW:
        return True
    if not flags & FOLL_FORCE or m.rule_foll_force == FORCE_DROPS_WRITE:
        return False
    if m.rule_foll_force == FORCE_BY_FOLL_COW:
        follows = flags & FOLL_COW != 0 and entry & PTE_DIRTY != 0
    else:
        vm_flags = m.vma_flags[vma]
        follows = not vm_flags & (VM_SHARED | VM_WRITE) and vm_flags & VM_MAYWRITE != 0
        follows = follows and folio_test_anon(m, page_folio(m, page)) and page_anon_exclusive(m, page)
        follows = follows and not soft_dirty_write_protected(m, vma, entry)
    if follows:
        decided(m, FOLL_FORCE_FOLLOWS)
    return follows


@kernel
def follow_page_mask(m: State, vma: int, addr: int, flags: int) -> int:
    """The slot of the entry that maps `addr` as the request needs it, or -ENOENT (fault it in), -EMLINK (unshare it),
    or -EFAULT (give up).

    Linux: follow_page_mask() and its kin for each level (mm/gup.c); hugetlb has had a walk of its own up to 6.9:
    follow_hugetlb_page() up to 6.4, then hugetlb_follow_page_mask().
    """
    if vma_is_hugetlb(m, vma):
        return follow_hugetlb_page(m, vma, addr, flags)
    mm = vma // m.vmas_per_mm
    slot = pt_walk(m, mm, addr, 0)
    if slot >= 0 and m.pte[slot]:
        return follow_page_pte(m, vma, slot, flags)
    if slot < 0 and m.levels > 1:
        slot = pt_walk(m, mm, addr, 1)
        if slot >= 0 and m.pte[slot] & PTE_PSE:
            return follow_huge_pmd(m, vma, slot, flags)
    return no_page_table(m, vma, addr, flags)


@kernel
def follow_page_pte(m: State, vma: int, slot: int, flags: int) -> int:
    """Follow a PTE.  Gives what follow_page_mask() gives.  Linux: follow_page_pte() (mm/gup.c)."""
    entry = m.pte[slot]
    page = pte_pfn(entry)
    if not pte_present(entry) or not can_follow(m, vma, flags, entry):
        return -ENOENT
    if flags & FOLL_DUMP and entry & PTE_SPECIAL:
        return -EFAULT  # core dumps leave the zero page out
    if not entry & PTE_RW and gup_must_unshare(m, vma, flags, page):
        return -EMLINK
    return slot


@kernel
def follow_huge_pmd(m: State, vma: int, slot: int, flags: int) -> int:
    """Follow a PMD that maps a THP or the huge zero folio.  Gives what follow_page_mask() gives.

    Linux: follow_huge_pmd() (mm/gup.c), up to 6.9 follow_trans_huge_pmd() (mm/huge_memory.c).
    """
    entry = m.pte[slot]
    folio = pte_pfn(entry)
    if not pte_present(entry) or not can_follow(m, vma, flags, entry):
        return -ENOENT
    if flags & FOLL_DUMP and is_huge_zero_page(m, folio):
        return -EFAULT  # core dumps leave the zero pages out
    if not entry & PTE_RW and gup_must_unshare(m, vma, flags, folio):
        return -EMLINK
    return slot


@kernel
def follow_hugetlb_page(m: State, vma: int, addr: int, flags: int) -> int:
    """Follow the entry of a huge page of hugetlb; hands the VMA on.  Gives what follow_page_mask() gives.

    Linux: follow_hugetlb_page() (mm/hugetlb.c) up to 6.4, hugetlb_follow_page_mask() up to 6.9; since 6.10 these
    entries are followed as others of their level are.
    """
    slot = pt_walk(m, vma // m.vmas_per_mm, addr, hugetlb_level(m, m.vma_order[vma]))
    if slot < 0 or m.pte[slot] == 0:
        return no_page_table(m, vma, addr, flags)
    fault = __follow_hugetlb_must_fault(m, vma, flags, m.pte[slot])
    return fault if fault < 0 else slot


@kernel
def __follow_hugetlb_must_fault(m: State, vma: int, flags: int, entry: int) -> int:
    """0, or why a huge page of hugetlb that is mapped has to be faulted on first: -ENOENT, or -EMLINK to unshare it.

    Linux: __follow_hugetlb_must_fault() (mm/hugetlb.c), from 5.19 to 6.4; before and after, a part of its caller.
    """
    if not pte_present(entry) or not can_follow(m, vma, flags, entry):
        return -ENOENT
    if not entry & PTE_RW and gup_must_unshare(m, vma, flags, pte_pfn(entry)):
        return -EMLINK
    return 0


@kernel
def can_follow(m: State, vma: int, flags: int, entry: int) -> bool:
    """Whether an entry that maps something is accessible enough for the request, and writable enough."""
    if not entry & PTE_PRESENT and not gup_can_follow_protnone(m, vma, flags):
        return False
    if flags & FOLL_WRITE:
        return can_follow_write(m, vma, flags, entry, pte_pfn(entry))
    return True


@kernel
def gup_can_follow_protnone(m: State, vma: int, flags: int) -> bool:
    """Whether an inaccessible entry is followed, or faulted on first, as an access would be.

    Linux: gup_can_follow_protnone(); up to 6.4 forced requests alone follow (FOLL_NUMA up to 6.0), since d74943a2f3cd
    (6.5) all but those that ask for hinting faults (FOLL_HONOR_NUMA_FAULT).
    """
    if m.rule_gup_protnone == PROTNONE_FAULTS:
        return flags & FOLL_FORCE != 0
    if not flags & FOLL_HONOR_NUMA_FAULT or not vma_is_accessible(m, vma):
        return True
    decided(m, GUP_HONORS_NUMA_FAULT)
    return False


@kernel
def no_page_table(m: State, vma: int, addr: int, flags: int) -> int:
    """Nothing is mapped: -ENOENT, to fault it in, or -EFAULT, where a core dump leaves a hole instead."""
    if flags & FOLL_DUMP:
        if vma_is_anonymous(m, vma):
            return -EFAULT
        if vma_is_hugetlb(m, vma) and cache_lookup(m, m.vma_file[vma], hugetlb_file_index(m, vma, addr)) == NO_PAGE:
            return -EFAULT
    return -ENOENT


@kernel
def entry_level(m: State, vma: int, addr: int) -> int:
    """The level of the leaf that follow_page_mask() found."""
    if vma_is_hugetlb(m, vma):
        return hugetlb_level(m, m.vma_order[vma])
    return 0 if pt_walk(m, vma // m.vmas_per_mm, addr, 0) >= 0 else 1
