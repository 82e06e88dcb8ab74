"""Pages and folios: allocation, references, the per-CPU LRU batch, content.

A page is named by its frame number.  Base pages have state each; a hugetlb folio, however large, has one state entry
for all its subpages (one content token too), found through its frame number: hugetlb folio k starts at (k + 1) <<
hugetlb_shift. A folio is named by the state index of its head page.
"""

from __future__ import annotations

from pinhold.mm.chance import choose
from pinhold.mm.flags import (
    FOLIO_ANON,
    FOLIO_HUGETLB,
    FOLIO_KSM,
    FOLIO_KSM_LOST,
    FOLIO_KSM_NODE,
    FOLIO_LAZYFREE,
    FOLIO_LRU_BATCH,
    FOLIO_RESTORE_RESERVE,
    FOLIO_SWAPCACHE,
    NO_FILE,
    NO_PAGE,
    ZERO_PFN,
)
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.limits import LIMIT_PAGES, too_small
from pinhold.mm.state import State


@kernel(without={Part.HUGETLB: "page"})
def page_index(m: State, page: int) -> int:
    """Where the page's state is."""
    if page < m.nr_pages:
        return page
    return m.nr_pages + (page >> m.hugetlb_shift) - 1


@kernel(without={Part.LARGE: "page"})
def page_folio(m: State, page: int) -> int:
    """The folio that the page belongs to."""
    if page < m.nr_pages:
        return page - m.page_offset[page]
    return m.nr_pages + (page >> m.hugetlb_shift) - 1


@kernel(without={Part.HUGETLB: "folio"})
def folio_page(m: State, folio: int) -> int:
    """The folio's head page."""
    if folio < m.nr_pages:
        return folio
    return (folio - m.nr_pages + 1) << m.hugetlb_shift


@kernel(without={Part.LARGE: 1})
def folio_nr_pages(m: State, folio: int) -> int:
    return 1 << m.folio_order[folio]


@kernel
def folio_test_anon(m: State, folio: int) -> bool:
    return m.folio_flags[folio] & FOLIO_ANON != 0


@kernel(without={Part.HUGETLB: False})
def folio_test_hugetlb(m: State, folio: int) -> bool:
    return m.folio_flags[folio] & FOLIO_HUGETLB != 0


@kernel(without={Part.SWAP: False})
def folio_test_swapcache(m: State, folio: int) -> bool:
    return m.folio_flags[folio] & FOLIO_SWAPCACHE != 0


@kernel
def folio_test_ksm(m: State, folio: int) -> bool:
    """Whether KSM has merged this folio: anonymous, never exclusive, and never written again."""
    return m.folio_flags[folio] & FOLIO_KSM != 0


@kernel
def folio_stable_node(m: State, folio: int) -> bool:
    """Whether a KSM page is in the stable tree.  One that was made in vain never was: it is merged with nothing."""
    return m.folio_flags[folio] & FOLIO_KSM_NODE != 0


@kernel
def rmap_finds_ksm(m: State, folio: int) -> bool:
    """Whether rmap finds who maps a KSM page, where it is mapped once: by the addresses that the stable tree has of it.

    FOLIO_KSM_LOST: ksmd knows of none that leads there (Ksmd.rmap_walk()).  Linux: rmap_walk_ksm() (mm/ksm.c).
    """
    return m.folio_flags[folio] & (FOLIO_KSM_NODE | FOLIO_KSM_LOST) == FOLIO_KSM_NODE


@kernel
def folio_test_lazyfree(m: State, folio: int) -> bool:
    """Whether MADV_FREE has given up the folio's content.  Linux: folio_test_lazyfree() (7.x), before
    !folio_test_swapbacked()."""
    return m.folio_flags[folio] & FOLIO_LAZYFREE != 0


@kernel
def is_zero_page(page: int) -> bool:
    """Whether this is the 4 KiB shared zero page."""
    return page == ZERO_PFN


@kernel(without={Part.THP: False})
def is_huge_zero_page(m: State, page: int) -> bool:
    """Whether the page lies in the huge zero folio."""
    return m.huge_zero_page[0] >= 0 and page_folio(m, page) == m.huge_zero_page[0] and page < m.nr_pages


@kernel
def folio_alloc(m: State, order: int) -> int:
    """A folio of 2**order base pages with one reference and content 0; NO_PAGE where there is none.

    Memory does not end unless the configuration says so; pieces of a PMD's size do, where the machine has a number of
    them.
    """
    folio = next_free_pages(m, 1 << order) if m.next_fit else any_free_pages(m, order)
    if folio < 0:
        if not m.config_memory_ends and (order == 0 or m.huge_frames == 0):
            too_small(m, LIMIT_PAGES)
        return NO_PAGE
    m.folio_refcount[folio] = 1
    m.folio_order[folio] = order
    for i in range(1 << order):
        m.page_offset[folio + i] = i
        m.page_content[folio + i] = 0
    return folio


@kernel
def next_free_pages(m: State, count: int) -> int:
    """The next free, aligned run of `count` pages behind the one allocated last, or -1: a freed page does not come
    back at once."""
    start = m.next_page[0]
    page = find_free_pages(m, start, m.nr_pages, count)
    if page < 0 and start:
        page = find_free_pages(m, 0, start + count, count)
    if page >= 0:
        m.next_page[0] = page + count
    return page


@kernel
def any_free_pages(m: State, order: int) -> int:
    """A free, aligned run of 2**order pages, whichever (see chance.py), or -1.

    Where some frames are for THPs alone, each size has its own.
    """
    count = 1 << order
    start = 0
    end = m.nr_pages
    if m.huge_frames:
        huge_start = m.nr_pages - (m.huge_frames << m.bits)
        if order > 0:
            start = huge_start
        else:
            end = huge_start
    total = 0
    page = find_free_pages(m, start, end, count)
    while page >= 0:
        total += 1
        page = find_free_pages(m, page + count, end, count)
    if total == 0:
        return -1
    picked = choose(m, total)
    page = find_free_pages(m, start, end, count)
    while picked > 0:
        picked -= 1
        page = find_free_pages(m, page + count, end, count)
    return page


@kernel
def find_free_pages(m: State, start: int, end: int, count: int) -> int:
    """The first free, aligned run of `count` pages in [start, end), or -1."""
    page = -(-start // count) * count
    end = min(end, m.nr_pages)
    while page + count <= end:
        free = True
        for i in range(page, page + count):
            if m.folio_refcount[i] or m.page_offset[i]:
                free = False
                break
        if free:
            return page
        page += count
    return -1


@kernel
def folio_get(m: State, folio: int) -> None:
    m.folio_refcount[folio] += 1


@kernel
def folio_put(m: State, folio: int) -> None:
    folio_put_refs(m, folio, 1)


@kernel
def folio_put_refs(m: State, folio: int, refs: int) -> None:
    """Drop references; the last one frees the folio."""
    m.folio_refcount[folio] -= refs
    if m.folio_refcount[folio] == 0:
        folio_free(m, folio)


@kernel
def folio_free(m: State, folio: int) -> None:
    """Back to the buddy allocator or to the hugetlb pool.  Linux: __folio_put(), free_huge_folio()."""
    if folio_test_hugetlb(m, folio):
        hstate = 0 if m.folio_order[folio] == m.bits else 1
        m.hugetlb_free[hstate] += 1
        if m.folio_flags[folio] & FOLIO_RESTORE_RESERVE:
            m.hugetlb_reserved[hstate] += 1
    else:
        for i in range(folio, folio + folio_nr_pages(m, folio)):
            m.page_offset[i] = 0
            m.page_exclusive[i] = 0
            m.page_content[i] = 0
    m.page_exclusive[folio] = 0
    m.page_content[folio] = 0
    m.folio_flags[folio] = 0
    m.folio_order[folio] = 0
    m.folio_file[folio] = NO_FILE
    m.folio_index[folio] = 0
    m.folio_dirty[folio] = 0
    m.folio_swap[folio] = 0
    for i in range(2):
        m.folio_mm_id[2 * folio + i] = 0
        m.folio_mm_id_mapcount[2 * folio + i] = 0


@kernel(without={Part.LRU_BATCH: None})
def folio_add_lru(m: State, folio: int) -> None:
    """Put a fresh base page into the CPU's batch of pages on their way to the LRU: one more reference until drained.

    Linux: folio_add_lru() (lru_cache_add() up to 5.15), mm/swap.c.  A large folio drains the batch at once.
    """
    if m.folio_order[folio] > 0:
        lru_add_drain(m)
        return
    m.folio_flags[folio] |= FOLIO_LRU_BATCH
    folio_batch_add(m, folio)


@kernel
def folio_batch_add(m: State, folio: int) -> None:
    """The CPU's batch takes a base page, with a reference.  The kernel has a batch for each purpose, all drained
    together but for one that is full; here they are one.  Linux: folio_batch_add_and_move()."""
    folio_get(m, folio)
    m.lru_batch_page[m.lru_batch[0]] = folio
    m.lru_batch[0] += 1
    if m.lru_batch[0] == m.lru_batch_size:
        lru_add_drain(m)


@kernel(without={Part.LRU_BATCH: None})
def lru_add_drain(m: State) -> None:
    """Move the batch to the LRU and drop its references.  Linux: lru_add_drain(), mm/swap.c."""
    for i in range(m.lru_batch[0]):
        folio = m.lru_batch_page[i]
        m.lru_batch_page[i] = 0
        m.folio_flags[folio] &= ~FOLIO_LRU_BATCH
        folio_put(m, folio)
    m.lru_batch[0] = 0


@kernel(without={Part.CONTENT: None})
def folio_copy(m: State, source: int, target: int, count: int) -> None:
    """Copy the content of `count` base pages (a hugetlb page has one token)."""
    if source >= m.nr_pages:
        m.page_content[page_index(m, target)] = m.page_content[page_index(m, source)]
        return
    for i in range(count):
        m.page_content[target + i] = m.page_content[source + i]
