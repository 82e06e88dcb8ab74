"""Pin counting, the pins themselves, and who pays for them in locked memory.

A small folio counts a pin as GUP_PIN_COUNTING_BIAS references and can only say "maybe"; a large folio has an exact
pincount beside one reference per pin.  GUP charges nobody: the pin's user does, each by its own rule.
"""

from __future__ import annotations

from pinhold.mm.coalesce import pin_coalesced, run_pins
from pinhold.mm.file import folio_mark_dirty
from pinhold.mm.flags import (
    FOLL_GET,
    FOLL_PIN,
    NO_ADDR,
    NO_MM,
    PIN_FREE,
    USER_IO_URING,
    USER_NONE,
    USER_RDMA,
    USER_VFIO,
    ZERO_PFN,
)
from pinhold.mm.folio import folio_put_refs, page_folio
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.limits import LIMIT_RUNS, too_small
from pinhold.mm.rules.pin import (
    PINCOUNT_MORE_THAN_TWO_PAGES,
    PINNED_VM_USER_PAYS,
    RING_CHARGED,
    VFIO_PIN_PAGE,
    ZERO_PIN_NO,
    ZERO_PIN_SLOW_FAILS,
)
from pinhold.mm.sites.pin import (
    IO_URING_COALESCES,
    IO_URING_NOT_COUNTED,
    MAYBE_PINNED_YES,
    MEMLOCK_REFUSED,
    MEMLOCK_ZERO_PAGE_FREE,
    PIN_ZERO_PAGE_EXEMPT,
    PIN_ZERO_PAGE_FAILS,
)
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.trap import TRAP_PIN_USER, trap

GUP_PIN_COUNTING_BIAS = 1024

VFIO_BATCH_PAGES = 512
"""As many pages as fit into a page of pointers: VFIO_BATCH_MAX_CAPACITY (drivers/vfio/vfio_iommu_type1.c)."""

IO_URING_RING_PAGES = 2
"""A ring of one entry: one page of both queues, one of submission entries."""


@kernel(without={Part.LARGE: False})
def folio_has_pincount(m: State, folio: int) -> bool:
    """Whether pins of the folio are counted exactly.  Linux: folio_has_pincount() (hpage_pincount_available())."""
    if m.rule_pincount_large == PINCOUNT_MORE_THAN_TWO_PAGES:
        return m.folio_order[folio] > 1
    return m.folio_order[folio] > 0


@kernel
def folio_maybe_dma_pinned(m: State, folio: int) -> bool:
    """Whether the folio may be pinned.  Linux: folio_maybe_dma_pinned() (page_maybe_dma_pinned() up to 5.17)."""
    if folio_has_pincount(m, folio):
        pinned = m.folio_pincount[folio] > 0
    else:
        pinned = m.folio_refcount[folio] >= GUP_PIN_COUNTING_BIAS
    if pinned:
        decided(m, MAYBE_PINNED_YES)
    return pinned


@kernel
def try_grab_folio(m: State, page: int, refs: int, flags: int) -> bool:
    """Take `refs` references (FOLL_GET) or pins (FOLL_PIN) on the page's folio.

    The 4 KiB zero page cannot go away and, since c8070b787519 (6.5), is not counted; the huge zero folio is.
    Linux: try_grab_folio(), try_grab_page() (mm/gup.c).
    """
    folio = page_folio(m, page)
    if flags & FOLL_GET:
        m.folio_refcount[folio] += refs
    elif flags & FOLL_PIN:
        if page == ZERO_PFN and m.rule_zero_page_pin_exempt != ZERO_PIN_NO:
            decided(m, PIN_ZERO_PAGE_EXEMPT)
        elif folio_has_pincount(m, folio):
            m.folio_refcount[folio] += refs
            m.folio_pincount[folio] += refs
        else:
            m.folio_refcount[folio] += refs * GUP_PIN_COUNTING_BIAS
    return True


@kernel
def grab_page_fails(m: State, page: int, flags: int) -> bool:
    """Whether the slow path cannot pin the page: the 4 KiB zero page in 6.1.130 to 6.1.134, where c8070b787519 was
    taken back with mainline's "return 0" for success into a function that returns true for it.

    Linux: try_grab_page() (mm/gup.c).
    """
    if page == ZERO_PFN and flags & FOLL_PIN and m.rule_zero_page_pin_exempt == ZERO_PIN_SLOW_FAILS:
        decided(m, PIN_ZERO_PAGE_FAILS)
        return True
    return False


@kernel
def gup_put_folio(m: State, page: int, refs: int, flags: int) -> None:
    """Undo try_grab_folio."""
    folio = page_folio(m, page)
    if flags & FOLL_GET:
        folio_put_refs(m, folio, refs)
    elif flags & FOLL_PIN:
        if page == ZERO_PFN and m.rule_zero_page_pin_exempt != ZERO_PIN_NO:
            return
        if folio_has_pincount(m, folio):
            m.folio_pincount[folio] -= refs
            folio_put_refs(m, folio, refs)
        else:
            folio_put_refs(m, folio, refs * GUP_PIN_COUNTING_BIAS)


@kernel
def pin_record(m: State, pin: int, addr: int, page: int, count: int) -> bool:
    """Note that the pin holds `count` pages from `page`, its owner's at `addr`; joins the last run where it can.
    False: no room."""
    first = pin * m.runs_per_pin
    last = first + m.pin_runs[pin] - 1
    if run_goes_on(m, first, last, addr, page):
        m.run_count[last] += count
    elif m.pin_runs[pin] == m.runs_per_pin:
        too_small(m, LIMIT_RUNS)
        return False
    else:
        m.run_page[last + 1] = page
        m.run_count[last + 1] = count
        m.run_addr[last + 1] = addr
        m.pin_runs[pin] += 1
    m.pin_count[pin] += count
    return True


@kernel
def run_goes_on(m: State, first: int, last: int, addr: int, page: int) -> bool:
    """Whether the last of a pin's runs, if it has any, goes on with this page of the same folio.

    The first page of a folio, the zero page among them, begins a run; so does what is mapped behind a page that its
    owner has taken away or moved.
    """
    folio = page_folio(m, page)
    if folio == page or last < first or m.run_page[last] + m.run_count[last] != page:
        return False
    if m.run_addr[last] == NO_ADDR or m.run_addr[last] + m.run_count[last] != addr:
        return False
    return page_folio(m, m.run_page[last]) == folio


@kernel
def run_split(m: State, pin: int, run: int, count: int) -> None:
    """Make the first `count` pages of one of the pin's runs a run of their own."""
    last = pin * m.runs_per_pin + m.pin_runs[pin]
    if m.pin_runs[pin] == m.runs_per_pin:
        too_small(m, LIMIT_RUNS)
        return
    for later in range(last, run, -1):
        m.run_page[later] = m.run_page[later - 1]
        m.run_count[later] = m.run_count[later - 1]
        m.run_addr[later] = m.run_addr[later - 1]
    m.run_count[run] = count
    m.run_page[run + 1] += count
    m.run_count[run + 1] -= count
    m.run_addr[run + 1] += count
    m.pin_runs[pin] += 1


@kernel
def pin_drop(m: State, pin: int) -> None:
    """Let go of every page that the pin holds.  Linux: unpin_user_pages() (or put_page() for FOLL_GET)."""
    base = pin * m.runs_per_pin
    if pin_coalesced(m, pin):
        for run in range(base, base + m.pin_runs[pin]):
            m.run_count[run] = run_pins(m, pin, run)
    for run in range(base, base + m.pin_runs[pin]):
        if m.run_count[run]:
            gup_put_folio(m, m.run_page[run], m.run_count[run], m.pin_flags[pin])
        m.run_page[run] = 0
        m.run_count[run] = 0
        m.run_addr[run] = 0
    m.pin_runs[pin] = 0
    m.pin_count[pin] = 0


@kernel
def pin_coalesce(m: State, pin: int) -> None:
    """io_uring lets go of what it does not need to keep the pages of a live pin.  Linux: io_coalesce_buffer()."""
    if pin_coalesced(m, pin) and m.pin_count[pin] > 1:
        decided(m, IO_URING_COALESCES)
        for run in range(pin * m.runs_per_pin, pin * m.runs_per_pin + m.pin_runs[pin]):
            surplus = m.run_count[run] - run_pins(m, pin, run)
            gup_put_folio(m, m.run_page[run], surplus, m.pin_flags[pin])


@kernel
def pin_mark_dirty(m: State, pin: int) -> None:
    """What the pin holds may have been written.  Linux: unpin_user_pages_dirty_lock()."""
    base = pin * m.runs_per_pin
    for run in range(base, base + m.pin_runs[pin]):
        folio_mark_dirty(m, page_folio(m, m.run_page[run]))


@kernel
def pin_page_at(m: State, pin: int, index: int) -> int:
    """The pin's page number `index`."""
    run = pin * m.runs_per_pin
    while index >= m.run_count[run]:
        index -= m.run_count[run]
        run += 1
    return m.run_page[run] + index


@kernel
def pin_free(m: State, pin: int) -> None:
    """The pin's slot is free again; its user's charge is given back."""
    memlock_uncharge(m, pin)
    m.pin_state[pin] = PIN_FREE
    m.pin_mm[pin] = 0
    m.pin_flags[pin] = 0
    m.pin_user[pin] = USER_NONE
    m.pin_addr[pin] = 0


@kernel
def pins_detach(m: State, mm: int, start: int, end: int) -> None:
    """The owner itself takes [start, end) away: what its pins hold there no longer promises to be what it sees."""
    pins_moved(m, mm, start, end, NO_ADDR)


@kernel
def pins_moved(m: State, mm: int, start: int, end: int, to: int) -> None:
    """The owner has moved [start, end) to `to`, and what its pins hold there with it; NO_ADDR: has taken it away."""
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] != PIN_FREE and m.pin_mm[pin] == mm:
            run = pin * m.runs_per_pin
            while run < pin * m.runs_per_pin + m.pin_runs[pin]:
                run_moved(m, pin, run, start, end, to)
                run += 1


@kernel
def run_moved(m: State, pin: int, run: int, start: int, end: int, to: int) -> None:
    """What of one run lies in [start, end).  What does not is split off; behind it, it is the next run, to be looked at
    next."""
    first = m.run_addr[run]
    if first == NO_ADDR or first >= end or first + m.run_count[run] <= start:
        return
    if first < start:
        run_split(m, pin, run, start - first)
        return
    if first + m.run_count[run] > end:
        run_split(m, pin, run, end - first)
    m.run_addr[run] = NO_ADDR if to == NO_ADDR else to + first - start


@kernel
def pins_disown(m: State, mm: int) -> None:
    """The owner exits: its pins live on without one, and what they were charged to it is forgotten with it."""
    for pin in range(len(m.pin_state)):
        if m.pin_state[pin] != PIN_FREE and m.pin_mm[pin] == mm:
            m.pin_mm[pin] = NO_MM
            for run in range(pin * m.runs_per_pin, pin * m.runs_per_pin + m.pin_runs[pin]):
                m.run_addr[run] = NO_ADDR


@kernel
def memlock_charge_before(m: State, pin: int, pages: int) -> bool:
    """RDMA charges the request before it pins: all processes' pins together must stay under the limit.

    Linux: ib_umem_get() (drivers/infiniband/core/umem.c), mm->pinned_vm, waived by CAP_IPC_LOCK.  io_uring's ring is
    there before its first buffer, and where it is charged it has to stay under the limit by itself.  Linux:
    io_create_region().
    """
    mm = m.pin_mm[pin]
    if m.pin_user[pin] == USER_IO_URING:
        ring = io_uring_ring_pages(m)
        return ring == 0 or not over_limit(m, mm, m.user_locked_vm[0] + ring)
    if m.pin_user[pin] != USER_RDMA:
        return True
    if not m.mm_ipc_lock[mm] and m.mm_memlock[mm] >= 0 and m.mm_pinned_vm[mm] + pages > m.mm_memlock[mm]:
        decided(m, MEMLOCK_REFUSED)
        return False
    m.mm_pinned_vm[mm] += pages
    m.pin_charge[pin] = pages
    return True


@kernel
def memlock_step(m: State, pin: int, pages: int) -> int:
    """How many of `pages` pages, which are left to be had, the pin's user takes at a time, to look at the limit after
    each step (memlock_exceeded()): all where it cannot be met.

    Linux: vfio_pin_pages_remote(), vaddr_get_pfns() (drivers/vfio/vfio_iommu_type1.c); 4b6c33b32296 (5.12).
    """
    mm = m.pin_mm[pin]
    if m.pin_user[pin] != USER_VFIO or within_limit(m, mm, m.mm_locked_vm[mm] + m.pin_count[pin] + pages):
        return pages
    return 1 if m.rule_vfio_batch == VFIO_PIN_PAGE else min(pages, VFIO_BATCH_PAGES)


@kernel
def memlock_exceeded(m: State, pin: int) -> bool:
    """Whether what VFIO has got so far is over the limit, which it does not look at before it has got a page that
    counts.  Linux: vfio_pin_pages_remote(), vfio_lock_acct() (drivers/vfio/vfio_iommu_type1.c)."""
    if m.pin_user[pin] != USER_VFIO:
        return False
    mm = m.pin_mm[pin]
    charge = pin_unreserved_pages(m, pin)
    return charge > 0 and over_limit(m, mm, m.mm_locked_vm[mm] + charge)


@kernel
def memlock_charge_after(m: State, pin: int) -> bool:
    """VFIO and io_uring look at what they got.  False: over the limit (ENOMEM), the pin has to be dropped.

    VFIO counts in mm->locked_vm and does not charge reserved pages, which the zero page is: unsharing it since
    84209e87c696 (6.2) is what newly charges (the seed's Note 3).  Linux: vfio_pin_pages_remote()
    (drivers/vfio/vfio_iommu_type1.c). io_uring counts in user->locked_vm unless the process has CAP_IPC_LOCK, and a
    large folio once, whole; in mm->pinned_vm for every process, since 7.2 only where it counts for the user as well.
    Linux: io_buffer_account_pin() (io_uring/rsrc.c).  Each buffer is taken to have a ring of its own.
    """
    mm = m.pin_mm[pin]
    if m.pin_user[pin] == USER_VFIO:
        charge = pin_unreserved_pages(m, pin)
        if charge > 0 and over_limit(m, mm, m.mm_locked_vm[mm] + charge):
            return False
        m.mm_locked_vm[mm] += charge
        m.pin_charge[pin] = charge
    elif m.pin_user[pin] == USER_IO_URING:
        charge = pin_folio_pages(m, pin)
        ring = io_uring_ring_pages(m)
        if over_limit(m, mm, m.user_locked_vm[0] + charge + ring):
            return False
        if not m.mm_ipc_lock[mm]:
            m.user_locked_vm[0] += charge + ring
            m.pin_user_charge[pin] = charge + ring
        elif m.rule_io_uring_pinned_vm == PINNED_VM_USER_PAYS:
            decided(m, IO_URING_NOT_COUNTED)
            return True
        m.mm_pinned_vm[mm] += charge
        m.pin_charge[pin] = charge
    elif m.pin_user[pin] not in (USER_NONE, USER_RDMA):
        trap(m, TRAP_PIN_USER)
    return True


@kernel
def io_uring_ring_pages(m: State) -> int:
    """Pages of a ring that count in the user's locked memory."""
    return IO_URING_RING_PAGES if m.rule_io_uring_ring == RING_CHARGED else 0


@kernel
def over_limit(m: State, mm: int, total: int) -> bool:
    """Whether `total` pages are refused."""
    if within_limit(m, mm, total):
        return False
    decided(m, MEMLOCK_REFUSED)
    return True


@kernel
def within_limit(m: State, mm: int, total: int) -> bool:
    """Whether RLIMIT_MEMLOCK (mm_memlock -1: unlimited) allows `total` pages, or CAP_IPC_LOCK waives it."""
    return m.mm_ipc_lock[mm] != 0 or m.mm_memlock[mm] < 0 or total <= m.mm_memlock[mm]


@kernel
def pin_unreserved_pages(m: State, pin: int) -> int:
    """Pages of the pin that are not the zero page."""
    base = pin * m.runs_per_pin
    total = 0
    for run in range(base, base + m.pin_runs[pin]):
        if m.run_page[run] == ZERO_PFN:
            decided(m, MEMLOCK_ZERO_PAGE_FREE)
        else:
            total += m.run_count[run]
    return total


@kernel
def pin_folio_pages(m: State, pin: int) -> int:
    """Base pages of all folios that the pin touches, each folio once.  Linux: headpage_already_acct()."""
    base = pin * m.runs_per_pin
    total = 0
    for run in range(base, base + m.pin_runs[pin]):
        folio = page_folio(m, m.run_page[run])
        seen = False
        if m.folio_order[folio] > 0:
            for earlier in range(base, run):
                if page_folio(m, m.run_page[earlier]) == folio:
                    seen = True
        if not seen:
            total += 1 << m.folio_order[folio]
    return total


@kernel
def memlock_uncharge(m: State, pin: int) -> None:
    """Give back what the pin's user was charged: to the process, if it still lives, and to its user."""
    mm = m.pin_mm[pin]
    if mm != NO_MM and m.pin_user[pin] == USER_VFIO:
        m.mm_locked_vm[mm] -= m.pin_charge[pin]
    elif mm != NO_MM and m.pin_user[pin] in (USER_IO_URING, USER_RDMA):
        m.mm_pinned_vm[mm] -= m.pin_charge[pin]
    m.user_locked_vm[0] -= m.pin_user_charge[pin]
    m.pin_user_charge[pin] = 0
    m.pin_charge[pin] = 0
