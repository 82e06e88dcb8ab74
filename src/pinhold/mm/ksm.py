"""KSM: anonymous pages of equal content become one page, read-only and everybody's, that is copied at the first write:
mm/ksm.c.

One operation is ksmd's attempt to merge two given pages; which it tries, and in which order, is in ksmd.py.  Never with
the zero page (use_zero_pages is off).
"""

from __future__ import annotations

from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import (
    BLOCKED,
    EFAULT,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FOLIO_KSM,
    FOLIO_KSM_NODE,
    FOLIO_LOCKED,
    NO_PAGE,
    NO_VMA,
    PTE_DIRTY,
    PTE_PROTNONE,
    PTE_RW,
    VM_HUGETLB,
    VM_MAYSHARE,
    VM_MERGEABLE,
    VM_SHARED,
)
from pinhold.mm.folio import (
    folio_get,
    folio_put,
    folio_stable_node,
    folio_test_anon,
    folio_test_ksm,
    folio_test_swapcache,
    lru_add_drain,
    page_folio,
)
from pinhold.mm.huge_memory import split_huge_page
from pinhold.mm.kernel import kernel
from pinhold.mm.mmap import vma_modify_flags
from pinhold.mm.pgtable import level_pages, mk_pte, pt_leaf, pt_walk, pte_pfn, pte_present, pte_special
from pinhold.mm.rmap import (
    clear_page_anon_exclusive,
    folio_add_rmap_pte,
    folio_remove_rmap_pte,
    page_anon_exclusive,
    page_try_share_anon_rmap,
)
from pinhold.mm.rules.ksm import (
    BREAK_KSM_BY_UNSHARE,
    BREAK_KSM_BY_WRITE,
    CHECKSUM_FORGOTTEN,
    PROTNONE_PASSED_OVER,
    SEARCH_FIRST,
)
from pinhold.mm.sites.ksm import (
    KSM_FORGETS_CHECKSUM,
    KSM_HELD_KEPT,
    KSM_MERGES,
    KSM_PASSES_OVER,
    KSM_PROTECTS,
    KSM_PROTECTS_UNSEEN,
    KSM_SEARCHES_FIRST,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.swap import folio_free_swap, folio_unmapped
from pinhold.mm.task import (
    FN_FAULT,
    call,
    current,
    finish,
    goto,
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
    returned,
)
from pinhold.mm.trap import TRAP_STAGE, trap
from pinhold.mm.vma import find_vma, vm_page_prot, vma_within

(
    KSM_START,
    KSM_OTHER,
    KSM_UPGRADE,
    KSM_MERGE,
    KSM_BREAK,
    KSM_UPGRADE_PROTECT,
    KSM_MERGE_PROTECT,
    KSM_MERGE_REPLACE,
    KSM_BREAKING,
) = range(9)

KSM_LOCKS_MMAP, KSM_LOCKS_FOLIO_UP_TO = KSM_UPGRADE_PROTECT, KSM_MERGE_REPLACE
"""From the first on mmap_lock of act_mm is held for reading, up to the second the lock of act_page."""

KSM_MADE, KSM_INTO = 1, 2
"""In act_flags.  KSM_MADE: act_new became a KSM page by this very attempt.  If that fails the process of act_arg gets a
page of its own again; whoever else maps the page keeps it, a KSM page without a stable node.  KSM_INTO: the other page
is the KSM page act_end itself, wherever it is mapped, if anywhere."""

UNMERGE_START, UNMERGE_PAGE = 0, 1


@kernel
def ksm_merge(m: State, task: int) -> int:
    """One step of ksmd's attempt to merge the page at act_addr of act_mm with the one at act_end of process act_arg.

    act_page, act_new: the two pages, with a reference each.  The first of them becomes a KSM page, unless one is in the
    stable tree already; then process, address and page change places, so that it is always act_page, at act_addr of
    act_mm, that is to be replaced by the KSM page act_new.  act_entry: what the replaced page's entry was when it was
    protected.  A page of a large folio is split off first.  Result: 0, or -EFAULT where the pages stay apart.

    Linux: cmp_and_merge_page(), try_to_merge_two_pages(), try_to_merge_one_page().
    """
    act = current(m, task)
    pc = m.act_pc[act]
    if pc == KSM_START:
        return ksm_start(m, task, act)
    if pc == KSM_OTHER:
        return ksm_other(m, task, act)
    if pc in (KSM_UPGRADE, KSM_MERGE):
        return ksm_lock(m, task, act)
    if pc == KSM_UPGRADE_PROTECT:
        return ksm_upgrade(m, task, act)
    if pc == KSM_MERGE_PROTECT:
        if write_protect_page(m, act):
            return goto(m, act, KSM_MERGE_REPLACE)
        return ksm_failed(m, task, act)
    if pc == KSM_MERGE_REPLACE:
        if not replace_page(m, act):
            return ksm_failed(m, task, act)
        ksm_unlock(m, act)
        m.folio_flags[m.act_new[act]] |= FOLIO_KSM_NODE
        return ksm_end(m, task, act, 0)
    if pc in (KSM_BREAK, KSM_BREAKING):
        return ksm_break_cow(m, task, act)
    return trap(m, TRAP_STAGE)


@kernel
def ksm_start(m: State, task: int, act: int) -> int:
    """The first page.  Linux: ksmd drains the LRU batches at the start of each scan (lru_add_drain_all())."""
    if m.mm_writer[m.act_mm[act]]:
        return BLOCKED
    lru_add_drain(m)
    m.act_page[act] = get_mergeable_page(m, m.act_mm[act], m.act_addr[act])
    if m.act_page[act] == NO_PAGE:
        return ksm_end(m, task, act, -EFAULT)
    return goto(m, act, KSM_OTHER)


@kernel
def ksm_other(m: State, task: int, act: int) -> int:
    """The second page, and what there is to do: nothing, if they are one page, differ, or both are in the stable
    tree.  A KSM page that is not cannot be protected, and so neither becomes another one nor is replaced by one."""
    mm = m.act_arg[act]
    page = m.act_page[act]
    if m.act_flags[act] & KSM_INTO:
        other = m.act_end[act]
        folio_get(m, other)
    else:
        if m.mm_alive[mm] and m.mm_writer[mm]:
            return BLOCKED
        other = get_mergeable_page(m, mm, m.act_end[act]) if m.mm_alive[mm] else NO_PAGE
    m.act_new[act] = other
    if other == NO_PAGE or page == other or m.page_content[page] != m.page_content[other]:
        return ksm_end(m, task, act, -EFAULT)
    if folio_stable_node(m, page):
        if folio_stable_node(m, other):
            return ksm_end(m, task, act, -EFAULT)
        ksm_exchange(m, act)
    return goto(m, act, KSM_MERGE if folio_stable_node(m, m.act_new[act]) else KSM_UPGRADE)


@kernel
def ksm_exchange(m: State, act: int) -> None:
    """The two pages change places."""
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    page = m.act_page[act]
    m.act_mm[act] = m.act_arg[act]
    m.act_addr[act] = m.act_end[act]
    m.act_page[act] = m.act_new[act]
    m.act_arg[act] = mm
    m.act_end[act] = addr
    m.act_new[act] = page


@kernel
def find_mergeable_vma(m: State, mm: int, addr: int) -> int:
    """The VMA, if it was advised MADV_MERGEABLE and has anonymous pages, or NO_VMA."""
    vma = find_vma(m, mm, addr)
    if vma != NO_VMA and (not m.vma_flags[vma] & VM_MERGEABLE or not m.vma_anon[vma]):
        return NO_VMA
    return vma


@kernel
def mapped_small_anon(m: State, mm: int, addr: int) -> int:
    """The small anonymous page that a PTE maps at the address, accessible or not, or NO_PAGE."""
    slot = pt_walk(m, mm, addr, 0)
    if slot < 0 or not pte_present(m.pte[slot]) or pte_special(m.pte[slot]):
        return NO_PAGE
    page = pte_pfn(m.pte[slot])
    folio = page_folio(m, page)
    return page if folio_test_anon(m, folio) and m.folio_order[folio] == 0 else NO_PAGE


@kernel
def mapped_anon(m: State, mm: int, addr: int) -> int:
    """The anonymous page that is mapped at the address, by a PTE or a PMD, or NO_PAGE."""
    slot, level = pt_leaf(m, mm, addr)
    entry = m.pte[slot]
    if level > 1 or not pte_present(entry) or pte_special(entry):
        return NO_PAGE
    page = pte_pfn(entry) + addr % level_pages(m, level)
    return page if folio_test_anon(m, page_folio(m, page)) else NO_PAGE


@kernel
def get_mergeable_page(m: State, mm: int, addr: int) -> int:
    """The page to be merged at the address, with a reference, or NO_PAGE."""
    page = NO_PAGE if find_mergeable_vma(m, mm, addr) == NO_VMA else mapped_anon(m, mm, addr)
    if page != NO_PAGE:
        folio_get(m, page_folio(m, page))
    return page


@kernel
def ksm_lock(m: State, task: int, act: int) -> int:
    """mmap_lock, and a try for the folio's lock: ksmd does not wait for pages.  A large folio is split under it."""
    mm = m.act_mm[act]
    page = m.act_page[act]
    if mmap_read_lock(m, mm) == BLOCKED:
        return BLOCKED
    folio = page_folio(m, page)
    locked = m.folio_flags[folio] & FOLIO_LOCKED != 0
    vma = find_mergeable_vma(m, mm, m.act_addr[act])
    if vma == NO_VMA or locked or (m.folio_order[folio] > 0 and not split_huge_page(m, page)):
        mmap_read_unlock(m, mm)
        return ksm_given_up(m, task, act)
    m.folio_flags[page] |= FOLIO_LOCKED
    return goto(m, act, KSM_UPGRADE_PROTECT if m.act_pc[act] == KSM_UPGRADE else KSM_MERGE_PROTECT)


@kernel
def ksm_unlock(m: State, act: int) -> None:
    m.folio_flags[m.act_page[act]] &= ~FOLIO_LOCKED
    mmap_read_unlock(m, m.act_mm[act])


@kernel
def ksm_upgrade(m: State, task: int, act: int) -> int:
    """The first page, write-protected, becomes a KSM page."""
    if not write_protect_page(m, act):
        return ksm_failed(m, task, act)
    m.folio_flags[m.act_page[act]] |= FOLIO_KSM
    folio_mark_dirty(m, m.act_page[act])
    ksm_unlock(m, act)
    m.act_entry[act] = 0
    m.act_flags[act] = KSM_MADE
    ksm_exchange(m, act)
    return goto(m, act, KSM_MERGE)


@kernel
def ksm_failed(m: State, task: int, act: int) -> int:
    ksm_unlock(m, act)
    return ksm_given_up(m, task, act)


@kernel
def ksm_given_up(m: State, task: int, act: int) -> int:
    """The pages stay apart; one that was made a KSM page in vain is to be copied away from."""
    m.act_entry[act] = 0
    if not m.act_flags[act] & KSM_MADE:
        return ksm_end(m, task, act, -EFAULT)
    ksm_exchange(m, act)
    return goto(m, act, KSM_BREAK)


@kernel
def ksm_end(m: State, task: int, act: int, result: int) -> int:
    """Let go of both pages."""
    if m.act_page[act] != NO_PAGE:
        folio_put(m, page_folio(m, m.act_page[act]))
    if m.act_new[act] != NO_PAGE:
        folio_put(m, page_folio(m, m.act_new[act]))
    return finish(m, task, result)


@kernel
def write_protect_page(m: State, act: int) -> bool:
    """Make the page's entry read-only and clean, unless somebody else holds the page; False: it may not be merged.

    The references are counted with the entry cleared, so that GUP-fast either is counted or finds the entry changed.
    They are not counted where the entry is read-only and clean already: before PageAnonExclusive such a page could be
    pinned for reading, by a pin that KSM then left behind; since then an exclusive page always is looked at, and no
    other can be pinned without being copied first.  A KSM page has no anon_vma, by which its address would be found.
    Linux: write_protect_page(), 6c287605fd56 (5.19); page_address_in_vma() (mm/rmap.c).
    """
    mm = m.act_mm[act]
    page = m.act_page[act]
    if mapped_small_anon(m, mm, m.act_addr[act]) != page or folio_test_ksm(m, page):
        return False
    slot = pt_walk(m, mm, m.act_addr[act], 0)
    entry = m.pte[slot]
    exclusive = page_anon_exclusive(m, page)
    if entry & (PTE_RW | PTE_DIRTY) or (exclusive and m.rule_ksm_protects_exclusive):
        if m.page_mapcount[page] + 1 + folio_test_swapcache(m, page) != m.folio_refcount[page]:
            decided(m, KSM_HELD_KEPT)
            return False
        if not page_try_share_anon_rmap(m, page):
            return False
        decided(m, KSM_PROTECTS)
        if entry & PTE_DIRTY:
            folio_mark_dirty(m, page)
        entry &= ~(PTE_RW | PTE_DIRTY)
        m.pte[slot] = entry
    else:
        decided(m, KSM_PROTECTS_UNSEEN)
        clear_page_anon_exclusive(m, page)
    m.act_entry[act] = entry
    return True


@kernel
def replace_page(m: State, act: int) -> bool:
    """Map the KSM page instead of the other, if the contents are equal and the entry is the one that was protected.

    Nothing writes to a page that is protected and held by nobody.  Linux: pages_identical(), replace_page().
    """
    mm = m.act_mm[act]
    addr = m.act_addr[act]
    page = m.act_page[act]
    kpage = m.act_new[act]
    slot = pt_walk(m, mm, addr, 0)
    if slot < 0 or m.pte[slot] != m.act_entry[act] or m.page_content[page] != m.page_content[kpage]:
        return False
    decided(m, KSM_MERGES)
    folio_get(m, kpage)
    folio_add_rmap_pte(m, mm, kpage)
    m.pte[slot] = mk_pte(kpage, vm_page_prot(m, find_vma(m, mm, addr)))
    folio_remove_rmap_pte(m, mm, page)
    if folio_unmapped(m, page):
        folio_free_swap(m, page)
    folio_put(m, page)
    return True


@kernel
def ksm_break_cow(m: State, task: int, act: int) -> int:
    """The second page could not be merged: the first one's process gets its own page again.  Linux: break_cow()."""
    mm = m.act_mm[act]
    if m.act_pc[act] == KSM_BREAK:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        m.act_pc[act] = KSM_BREAKING
        failed = find_mergeable_vma(m, mm, m.act_addr[act]) == NO_VMA
    else:
        failed = returned(m, task) < 0
    if not failed and breaks_ksm(m, mm, m.act_addr[act]):
        return break_ksm(m, task, mm, m.act_addr[act])
    mmap_read_unlock(m, mm)
    return ksm_end(m, task, act, -EFAULT)


@kernel
def maps_ksm(m: State, mm: int, addr: int) -> bool:
    page = mapped_small_anon(m, mm, addr)
    return page != NO_PAGE and folio_test_ksm(m, page)


@kernel
def breaks_ksm(m: State, mm: int, addr: int) -> bool:
    """Whether break_ksm() finds a KSM page to fault on.  By follow_page() it may find none where the entry is
    inaccessible, and says that all is well: the KSM page stays.  By the page tables, as since d7c0e68dab98 (6.2), it
    finds each."""
    return maps_ksm(m, mm, addr) and (m.rule_break_ksm != BREAK_KSM_BY_WRITE or not ksm_passes_over(m, mm, addr))


@kernel
def break_ksm(m: State, task: int, mm: int, addr: int) -> int:
    """Fault once more, until `addr` maps no KSM page: by a write, which makes the copy dirty and, in a writable
    mapping, writable; since 6cce3314b928 (6.2) by unsharing.  Linux: break_ksm()."""
    flags = FAULT_FLAG_UNSHARE if m.rule_break_ksm == BREAK_KSM_BY_UNSHARE else FAULT_FLAG_WRITE
    return call(m, task, FN_FAULT, mm, addr, 0, flags, 0)


@kernel
def ksm_forgets_checksum(m: State) -> bool:
    """Whether ksmd, of a page that was merged and is copied again, has had something else in the checksum's place.

    Linux: remove_rmap_item_from_tree(), break_cow() of mm/ksm.c.
    """
    if m.rule_ksm_checksum != CHECKSUM_FORGOTTEN:
        return False
    decided(m, KSM_FORGETS_CHECKSUM)
    return True


@kernel
def ksm_searches_first(m: State) -> bool:
    """Whether ksmd looks for a KSM page before it compares checksums.  Linux: cmp_and_merge_page()."""
    if m.rule_ksm_search != SEARCH_FIRST:
        return False
    decided(m, KSM_SEARCHES_FIRST)
    return True


@kernel
def ksm_passes_over(m: State, mm: int, addr: int) -> bool:
    """Whether follow_page() finds nothing, as the entry is inaccessible.  Linux: gup_can_follow_protnone()."""
    slot, _ = pt_leaf(m, mm, addr)
    if m.rule_ksm_protnone != PROTNONE_PASSED_OVER or not m.pte[slot] & PTE_PROTNONE:
        return False
    decided(m, KSM_PASSES_OVER)
    return True


@kernel
def next_ksm(m: State, mm: int, vma: int, start: int, end: int) -> int:
    """The first address in [start, end) at which the VMA maps a KSM page that can be broken, or `end`.

    Linux: what unmerge_ksm_pages() stops at; ksm_madvise() asks nobody who was not advised MADV_MERGEABLE.
    """
    if m.vma_flags[vma] & VM_MERGEABLE and m.vma_anon[vma]:
        for addr in range(start, end):
            if breaks_ksm(m, mm, addr):
                return addr
    return end


@kernel
def ksm_unmerge(m: State, task: int) -> int:
    """One step of MADV_UNMERGEABLE of [act_arg, act_end), of which act_addr … is left: break what was merged, with
    mmap_lock held for writing.

    Result: 0, or a negative errno; what was broken by then stays so.  Linux: ksm_madvise(), unmerge_ksm_pages().
    """
    act = current(m, task)
    mm = m.act_mm[act]
    if m.act_pc[act] == UNMERGE_START:
        if mmap_write_lock(m, mm) == BLOCKED:
            return BLOCKED
        err = 0
        m.act_pc[act] = UNMERGE_PAGE
    else:
        err = min(returned(m, task), 0)
    vma = vma_within(m, mm, m.act_addr[act], m.act_end[act])
    while err == 0 and vma != NO_VMA:
        addr = max(m.act_addr[act], m.vma_start[vma])
        stop = min(m.act_end[act], m.vma_end[vma])
        if m.vma_flags[vma] & VM_MERGEABLE:
            addr = next_ksm(m, mm, vma, addr, stop)
            m.act_addr[act] = addr
            if addr < stop:
                return break_ksm(m, task, mm, addr)
            start = max(m.act_arg[act], m.vma_start[vma])
            err = vma_modify_flags(m, mm, vma, start, stop, m.vma_flags[vma] & ~VM_MERGEABLE)
        m.act_addr[act] = stop
        vma = vma_within(m, mm, stop, m.act_end[act])
    mmap_write_unlock(m, mm)
    return finish(m, task, err)


@kernel
def ksm_compatible(flags: int) -> bool:
    """Whether MADV_MERGEABLE means anything to such a VMA; others ignore it."""
    return flags & (VM_SHARED | VM_MAYSHARE | VM_HUGETLB) == 0
