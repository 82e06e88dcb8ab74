"""Get user pages, the slow path: mm/gup.c.

`__get_user_pages` walks a range with mmap_lock held for reading: follow the page tables, fault in what cannot be
followed, follow again.  What can be followed, and what a read-only pin has to break COW of first, is in follow.py.
"""

from __future__ import annotations

from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import (
    AGAIN,
    BLOCKED,
    EFAULT,
    EINVAL,
    EMLINK,
    ENOENT,
    ENOMEM,
    EOPNOTSUPP,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FAULT_WROTE,
    FOLL_ANON,
    FOLL_COW,
    FOLL_FAST_ONLY,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_HONOR_NUMA_FAULT,
    FOLL_LONGTERM,
    FOLL_MADV_POPULATE,
    FOLL_NOFAULT,
    FOLL_PCI_P2PDMA,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_SPLIT_PMD,
    FOLL_TOUCH,
    FOLL_TRIED,
    FOLL_UNLOCKABLE,
    FOLL_WRITE,
    NO_PAGE,
    NO_VMA,
    PTE_ACCESSED,
    PTE_DIRTY,
    VM_HUGETLB,
    VM_MAYREAD,
    VM_READ,
    VM_WRITE,
)
from pinhold.mm.folio import page_folio
from pinhold.mm.follow import entry_level, follow_page_mask
from pinhold.mm.kernel import kernel
from pinhold.mm.pgtable import level_pages, pte_mkdirty, pte_pfn
from pinhold.mm.pin import grab_page_fails, pin_record, try_grab_folio
from pinhold.mm.rules.gup import (
    ARGS_IS_VALID_GUP_ARGS,
    ARGS_PER_ENTRY_POINT_NOFAULT,
    DIRTY_TRACKED_REFUSED,
    FORCE_BY_EXCLUSIVE,
    FORCE_DROPS_WRITE,
    TOUCH_PMD_WRITES,
)
from pinhold.mm.rules.hugetlb import HUGETLB_WRITE_REFUSED
from pinhold.mm.sites.gup import (
    FOLL_WRITE_DROPPED,
    GUP_ARGS_INVALID,
    GUP_DIRTY_TRACKED_REFUSED,
    GUP_VMA_REFUSED,
    HUGETLB_TOUCHED,
    PIN_LEAVES_CLEAN,
    TOUCH_PMD_READ,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.task import (
    FN_FAULT,
    FN_GUP_SLOW,
    call,
    current,
    finish,
    goto,
    mmap_read_lock,
    mmap_read_unlock,
    returned,
)
from pinhold.mm.trap import TRAP_ENTRY_POINT, TRAP_STAGE, trap
from pinhold.mm.vma import (
    find_vma,
    is_cow_mapping,
    vma_is_anonymous,
    vma_is_hugetlb,
    vma_needs_dirty_tracking,
)

GET_USER_PAGES, GET_USER_PAGES_FAST, PIN_USER_PAGES, PIN_USER_PAGES_FAST = 0, 1, 2, 3
"""The entry points that callers name; *_remote and *_unlocked check alike."""

NO_PAGES = 1

INTERNAL_FLAGS = (
    FOLL_TOUCH | FOLL_TRIED | FOLL_REMOTE | FOLL_PIN | FOLL_FAST_ONLY | FOLL_UNLOCKABLE | FOLL_MADV_POPULATE
)
FAST_FLAGS = FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE | FOLL_PIN | FOLL_GET | FOLL_FAST_ONLY
FAST_FLAGS_SINCE_6_3 = FAST_FLAGS | FOLL_NOFAULT | FOLL_PCI_P2PDMA | FOLL_HONOR_NUMA_FAULT

GUP_LOCK, GUP_PAGE, GUP_FAULTED = 0, 1, 2


@kernel
def is_valid_gup_args(m: State, api: int, flags: int) -> int:
    """0, or what the entry point returns for flags that its callers must not combine: -EINVAL, or NO_PAGES.

    pin_user_pages() and its slow kin return 0 pages, not an error, since 6.3.  Since 6.3 one function checks all
    (is_valid_gup_args(), d64e2dbc33a1): flags internal to GUP, PIN with GET, LONGTERM without PIN, LONGTERM with
    PCI_P2PDMA.  Before, each entry point refuses for itself: PIN or LONGTERM in get_*, GET in pin_*.  The fast entry
    points also refuse what the fast walk does not know.
    """
    fast = api in (GET_USER_PAGES_FAST, PIN_USER_PAGES_FAST)
    pin = api in (PIN_USER_PAGES, PIN_USER_PAGES_FAST)
    if not pin and api not in (GET_USER_PAGES, GET_USER_PAGES_FAST):
        return trap(m, TRAP_ENTRY_POINT)
    allowed = FAST_FLAGS
    if m.rule_gup_args == ARGS_PER_ENTRY_POINT_NOFAULT:
        allowed = FAST_FLAGS | FOLL_NOFAULT
    elif m.rule_gup_args == ARGS_IS_VALID_GUP_ARGS:
        allowed = FAST_FLAGS_SINCE_6_3
    bad = fast and flags & ~allowed != 0
    if m.rule_gup_args == ARGS_IS_VALID_GUP_ARGS:
        bad = bad or flags & INTERNAL_FLAGS != 0 or (pin and flags & FOLL_GET != 0)
        bad = bad or (not pin and flags & FOLL_LONGTERM != 0)
        bad = bad or flags & (FOLL_LONGTERM | FOLL_PCI_P2PDMA) == FOLL_LONGTERM | FOLL_PCI_P2PDMA
    elif pin:
        bad = bad or flags & FOLL_GET != 0
    else:
        bad = bad or flags & (FOLL_PIN | FOLL_LONGTERM) != 0
    if not bad:
        return 0
    decided(m, GUP_ARGS_INVALID)
    return NO_PAGES if m.rule_gup_args == ARGS_IS_VALID_GUP_ARGS and api == PIN_USER_PAGES else -EINVAL


@kernel
def check_vma_flags(m: State, vma: int, flags: int) -> int:
    """0, or the errno (negative) for a VMA that the request may not touch.  Linux: check_vma_flags() (mm/gup.c).

    Writing without VM_WRITE takes FOLL_FORCE and a COW mapping.  A writable long-term pin of a shared file mapping
    whose file system tracks dirtying is refused since 8ac268436e6d (6.5).  A forced write to hugetlb: refused from
    f347454d0341.
    """
    vm_flags = m.vma_flags[vma]
    if flags & FOLL_ANON and not vma_is_anonymous(m, vma):
        return -EFAULT
    if flags & FOLL_SPLIT_PMD and vm_flags & VM_HUGETLB:
        return -EOPNOTSUPP
    if flags & FOLL_WRITE:
        if gup_dirty_tracked(m, vma, flags):
            decided(m, GUP_DIRTY_TRACKED_REFUSED)
            return -EFAULT
        if not vm_flags & VM_WRITE:
            refused = not flags & FOLL_FORCE or not is_cow_mapping(vm_flags)
            if refused or (vm_flags & VM_HUGETLB and m.rule_hugetlb_force_write == HUGETLB_WRITE_REFUSED):
                decided(m, GUP_VMA_REFUSED)
                return -EFAULT
    elif not vm_flags & VM_READ and (not flags & FOLL_FORCE or not vm_flags & VM_MAYREAD):
        decided(m, GUP_VMA_REFUSED)
        return -EFAULT
    return 0


@kernel
def gup_dirty_tracked(m: State, vma: int, flags: int) -> bool:
    """Whether the pin would write behind the back of a file system that tracks dirtying."""
    longterm = flags & (FOLL_PIN | FOLL_LONGTERM) == FOLL_PIN | FOLL_LONGTERM
    refuses = m.rule_longterm_dirty_tracked == DIRTY_TRACKED_REFUSED
    return longterm and refuses and vma_needs_dirty_tracking(m, vma)


@kernel
def gup_slow(m: State, task: int) -> int:
    """One step of __get_user_pages().  act_addr … act_end: what is left; act_flags; act_arg: the pin that takes the
    pages; NO_PAGE: none, and with FOLL_GET the caller, who asks for one page, finds it in its act_page.  Result: 0, or
    a negative errno when not even one page could be had."""
    act = current(m, task)
    mm = m.act_mm[act]
    pc = m.act_pc[act]
    if pc == GUP_LOCK:
        if mmap_read_lock(m, mm) == BLOCKED:
            return BLOCKED
        return goto(m, act, GUP_PAGE)
    if pc == GUP_FAULTED:
        err = faultin_result(m, act, returned(m, task))
        if err:
            mmap_read_unlock(m, mm)
            return finish(m, task, err)
        m.act_pc[act] = GUP_PAGE
    if m.act_pc[act] != GUP_PAGE:
        return trap(m, TRAP_STAGE)
    left = m.batch
    while left > 0 and m.act_addr[act] < m.act_end[act]:
        vma = find_vma(m, mm, m.act_addr[act])
        err = check_vma(m, vma, m.act_flags[act])
        if err == 0:
            slot = follow_page_mask(m, vma, m.act_addr[act], follow_flags(m, m.act_flags[act]))
            if slot in (-ENOENT, -EMLINK) and not m.act_flags[act] & FOLL_NOFAULT:
                return faultin_page(m, task, act, 1 if slot == -EMLINK else 0)
            if slot < 0:
                err = -EFAULT
            elif not grab_entry(m, act, vma, slot):
                err = -ENOMEM
        if err:
            mmap_read_unlock(m, mm)
            return finish(m, task, err)
        left -= 1
    if m.act_addr[act] < m.act_end[act]:
        return AGAIN
    mmap_read_unlock(m, mm)
    return finish(m, task, 0)


@kernel
def gup_locked(m: State, task: int, mm: int, addr: int, flags: int) -> int:
    """Push a GUP of one page for a caller that has mmap_lock already: one more hold, which it need not wait for."""
    m.mm_readers[mm] += 1
    call(m, task, FN_GUP_SLOW, mm, addr, addr + 1, flags, NO_PAGE)
    return goto(m, current(m, task), GUP_PAGE)


@kernel
def follow_flags(m: State, flags: int) -> int:
    """What the page at hand is looked for with: up to 4.8 a forced write goes on as a read once COW was broken.

    Linux: the end of faultin_page(), before 19be0eaffa3a.
    """
    if m.rule_foll_force == FORCE_DROPS_WRITE and flags & FOLL_COW:
        return flags & ~(FOLL_WRITE | FOLL_COW)
    return flags


@kernel
def check_vma(m: State, vma: int, flags: int) -> int:
    """check_vma_flags(), and what a hole gives; MADV_POPULATE_* has its own errnos for both."""
    if flags & FOLL_MADV_POPULATE:
        if vma == NO_VMA:
            return -ENOMEM
        return -EINVAL if check_vma_flags(m, vma, flags) else 0
    return -EFAULT if vma == NO_VMA else check_vma_flags(m, vma, flags)


@kernel
def faultin_page(m: State, task: int, act: int, unshare: int) -> int:
    """Fault in, or unshare, the page at act_addr.  Linux: faultin_page()."""
    fault_flags = 0
    if follow_flags(m, m.act_flags[act]) & FOLL_WRITE:
        fault_flags |= FAULT_FLAG_WRITE
    if unshare:
        fault_flags |= FAULT_FLAG_UNSHARE
    m.act_pc[act] = GUP_FAULTED
    return call(m, task, FN_FAULT, m.act_mm[act], m.act_addr[act], 0, fault_flags, 0)


@kernel
def faultin_result(m: State, act: int, result: int) -> int:
    """0: follow again.  A write fault resolved in a mapping without VM_WRITE is remembered as FOLL_COW, up to 4.8 by
    dropping FOLL_WRITE (follow_flags())."""
    if result < 0:
        return result
    if result == FAULT_WROTE and m.rule_foll_force != FORCE_BY_EXCLUSIVE:
        vma = find_vma(m, m.act_mm[act], m.act_addr[act])
        if vma != NO_VMA and not m.vma_flags[vma] & VM_WRITE:
            m.act_flags[act] |= FOLL_COW
            if m.rule_foll_force == FORCE_DROPS_WRITE:
                decided(m, FOLL_WRITE_DROPPED)
    return 0


@kernel
def grab_entry(m: State, act: int, vma: int, slot: int) -> bool:
    """Take what the entry maps, up to its or the range's end, for the pin or the caller; False: the page cannot be
    grabbed, or the pin has no room.

    With FOLL_TOUCH a write marks the page dirty where its entry is not, or the huge entry (see touch_pmd()).
    """
    addr = m.act_addr[act]
    level = entry_level(m, vma, addr)
    pages = level_pages(m, level)
    offset = addr & (pages - 1)
    count = min(pages - offset, m.act_end[act] - addr)
    page = pte_pfn(m.pte[slot]) + offset
    m.act_addr[act] = addr + count
    dirties = m.act_flags[act] & FOLL_WRITE != 0 and not m.pte[slot] & PTE_DIRTY
    if not m.act_flags[act] & FOLL_TOUCH:
        if dirties:
            decided(m, PIN_LEAVES_CLEAN)
    elif level == 1 and (not vma_is_hugetlb(m, vma) or m.rule_hugetlb_touch):
        if dirties and vma_is_hugetlb(m, vma):
            decided(m, HUGETLB_TOUCHED)
        touch_pmd(m, slot, follow_flags(m, m.act_flags[act]))
    elif dirties:
        folio_mark_dirty(m, page_folio(m, page))
    m.act_flags[act] &= ~FOLL_COW
    if m.act_arg[act] == NO_PAGE:
        if m.act_flags[act] & FOLL_GET:
            m.act_page[act - 1] = page
            return try_grab_folio(m, page, 1, FOLL_GET)
        return True
    if grab_page_fails(m, page, m.act_flags[act]) or not pin_record(m, m.act_arg[act], addr, page, count):
        m.act_addr[act] = addr
        return False
    return try_grab_folio(m, page, count, m.act_flags[act])


@kernel
def touch_pmd(m: State, slot: int, flags: int) -> None:
    """Mark the huge entry that was followed as accessed and dirty: for a write, up to 4.14 for a read as well.

    Linux: touch_pmd() (mm/huge_memory.c), up to 4.8 in follow_trans_huge_pmd(); a8f97366452e (4.15).
    """
    if not flags & FOLL_WRITE:
        if m.rule_touch_pmd == TOUCH_PMD_WRITES:
            return
        decided(m, TOUCH_PMD_READ)
    m.pte[slot] = pte_mkdirty(m, m.pte[slot]) | PTE_ACCESSED
