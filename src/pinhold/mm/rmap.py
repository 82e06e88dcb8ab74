"""The reverse mapping, as far as counts: who maps a page how often, and whether an anonymous page is exclusive.

page_mapcount counts PTE mappings of one page, folio_entire_mapcount PMD (or hugetlb) mappings of the whole folio, and
folio_large_mapcount all mappings of a large folio together.  PageAnonExclusive is per page; for a folio mapped by a PMD
and for hugetlb it is the head page's.
"""

from __future__ import annotations

from pinhold.mm.flags import FOLIO_ANON, FOLIO_MMS_SHARED
from pinhold.mm.folio import folio_get, folio_nr_pages, page_folio, page_index
from pinhold.mm.kernel import Part, kernel
from pinhold.mm.pgtable import entry_flags, mk_pte, pte_pfn
from pinhold.mm.pin import folio_maybe_dma_pinned
from pinhold.mm.rules.swap import SHARED_BY_MM_IDS, SHARED_BY_PAGE
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.thp import SHARE_REFUSED_PINNED
from pinhold.mm.state import State


@kernel
def folio_mapcount(m: State, folio: int) -> int:
    """All mappings of the folio.  Linux: folio_mapcount() (total_mapcount() up to 5.17)."""
    if m.folio_order[folio] == 0:
        return m.page_mapcount[folio]
    return m.folio_large_mapcount[folio]


@kernel
def page_mapped_count(m: State, page: int) -> int:
    """Mappings of this very page, as /proc/kpagecount shows: its PTEs plus those of the whole folio."""
    folio = page_folio(m, page)
    return m.page_mapcount[page_index(m, page)] + m.folio_entire_mapcount[folio]


@kernel
def folio_maybe_mapped_shared(m: State, folio: int, page: int) -> bool:
    """Whether more than one process may map the folio, one of whose pages is `page`.

    Up to 6.9 the callers count the mappings of the page alone.  6.10 to 6.14 guess of a large folio: mapped whole
    beside other mappings, or more mappings than pages, or else by its first page.  Since 6.15 it is remembered who maps
    it (large_mapcount_add()).
    Linux: folio_maybe_mapped_shared() (folio_likely_mapped_shared() up to 6.14); page_mapcount().
    """
    if m.rule_mapped_shared == SHARED_BY_PAGE or m.folio_order[folio] == 0:
        return page_mapped_count(m, page) != 1
    count = folio_mapcount(m, folio)
    if count <= 1:
        return False
    if m.rule_mapped_shared == SHARED_BY_MM_IDS:
        return m.folio_flags[folio] & FOLIO_MMS_SHARED != 0
    if m.folio_entire_mapcount[folio] or count > folio_nr_pages(m, folio):
        return True
    return m.page_mapcount[folio] > 1


@kernel(needs=Part.LARGE)
def large_mapcount_add(m: State, folio: int, mm: int, count: int) -> None:
    """Account `count` mappings of a large folio by `mm`, in one of two slots that remember who maps it.

    FOLIO_MMS_SHARED: the slots cannot show that one process has all mappings.
    Linux: folio_add_large_mapcount() with FOLIO_MM_IDS_SHARED (include/linux/rmap.h), 6af8cb80d3a9 (6.15).
    """
    m.folio_large_mapcount[folio] += count
    slot = large_mapcount_slot(m, folio, mm)
    if slot >= 0:
        m.folio_mm_id_mapcount[slot] += count
        return
    for i in range(2 * folio, 2 * folio + 2):
        if m.folio_mm_id[i] == 0:
            m.folio_mm_id[i] = mm + 1
            m.folio_mm_id_mapcount[i] = count
            if m.folio_large_mapcount[folio] != count:
                m.folio_flags[folio] |= FOLIO_MMS_SHARED
            return


@kernel(needs=Part.LARGE)
def large_mapcount_sub(m: State, folio: int, mm: int, count: int) -> None:
    """The reverse; a process that maps nothing more gives its slot back.  Linux: folio_sub_large_mapcount()."""
    m.folio_large_mapcount[folio] -= count
    slot = large_mapcount_slot(m, folio, mm)
    if slot >= 0:
        m.folio_mm_id_mapcount[slot] -= count
        if m.folio_mm_id_mapcount[slot] > 0:
            return
        m.folio_mm_id[slot] = 0
    total = m.folio_large_mapcount[folio]
    if m.folio_mm_id_mapcount[2 * folio] == total or m.folio_mm_id_mapcount[2 * folio + 1] == total:
        m.folio_flags[folio] &= ~FOLIO_MMS_SHARED


@kernel
def large_mapcount_slot(m: State, folio: int, mm: int) -> int:
    """The slot that counts for `mm`, or -1."""
    for i in range(2 * folio, 2 * folio + 2):
        if m.folio_mm_id[i] == mm + 1:
            return i
    return -1


@kernel
def folio_add_rmap_pte(m: State, mm: int, page: int) -> None:
    """One more PTE maps the page (the caller has the reference)."""
    m.page_mapcount[page] += 1
    folio = page_folio(m, page)
    if m.folio_order[folio] > 0:
        large_mapcount_add(m, folio, mm, 1)


@kernel
def folio_remove_rmap_pte(m: State, mm: int, page: int) -> None:
    """One PTE less; the caller drops the reference.  Linux: folio_remove_rmap_pte() (page_remove_rmap() up to 6.7)."""
    m.page_mapcount[page] -= 1
    folio = page_folio(m, page)
    if m.folio_order[folio] > 0:
        large_mapcount_sub(m, folio, mm, 1)


@kernel
def folio_add_rmap_entire(m: State, mm: int, folio: int) -> None:
    """One more PMD, or hugetlb entry, maps the whole folio."""
    m.folio_entire_mapcount[folio] += 1
    large_mapcount_add(m, folio, mm, 1)


@kernel
def folio_remove_rmap_entire(m: State, mm: int, folio: int) -> None:
    m.folio_entire_mapcount[folio] -= 1
    large_mapcount_sub(m, folio, mm, 1)


@kernel
def folio_set_anon(m: State, folio: int) -> None:
    """A fresh folio becomes anonymous memory.  Linux: folio_add_new_anon_rmap()."""
    m.folio_flags[folio] |= FOLIO_ANON


@kernel
def page_anon_exclusive(m: State, page: int) -> bool:
    return m.page_exclusive[page_index(m, page)] != 0


@kernel
def set_page_anon_exclusive(m: State, page: int) -> None:
    """Mark an anonymous page as mapped by one process alone; kernels before 5.19 do not know the mark."""
    if m.rule_anon_exclusive:
        m.page_exclusive[page_index(m, page)] = 1


@kernel
def clear_page_anon_exclusive(m: State, page: int) -> None:
    m.page_exclusive[page_index(m, page)] = 0


@kernel
def page_try_share_anon_rmap(m: State, page: int) -> bool:
    """Take the exclusive mark from a page whose entry has been cleared; False: it may be pinned, put the entry back.

    Linux: folio_try_share_anon_rmap_pte() (page_try_share_anon_rmap() up to 6.7), 6c287605fd56 (5.19).
    """
    if not page_anon_exclusive(m, page):
        return True
    if folio_maybe_dma_pinned(m, page_folio(m, page)):
        decided(m, SHARE_REFUSED_PINNED)
        return False
    clear_page_anon_exclusive(m, page)
    return True


@kernel
def split_entire_mapping(m: State, mm: int, folio: int) -> None:
    """A PMD mapping of the folio becomes PTE mappings of all its pages; each inherits the exclusive mark.

    References: one for the PMD becomes one per PTE.  Linux: the counting part of __split_huge_pmd_locked().
    """
    pages = folio_nr_pages(m, folio)
    exclusive = m.page_exclusive[folio]
    m.folio_refcount[folio] += pages - 1
    m.folio_entire_mapcount[folio] -= 1
    large_mapcount_add(m, folio, mm, pages)
    large_mapcount_sub(m, folio, mm, 1)
    for page in range(folio, folio + pages):
        m.page_mapcount[page] += 1
        m.page_exclusive[page] = exclusive


@kernel
def map_folio_pte(m: State, mm: int, page: int) -> None:
    """A reference and a PTE mapping together."""
    folio_get(m, page_folio(m, page))
    folio_add_rmap_pte(m, mm, page)


@kernel
def folio_pte_batch(m: State, slot: int, limit: int, ignored: int) -> int:
    """How many entries from `slot`, at most `limit`, map the pages of one folio in a row and differ in nothing but the
    flags `ignored`.  Linux: folio_pte_batch(), folio_pte_batch_flags()."""
    first = m.pte[slot]
    page = pte_pfn(first)
    folio = page_folio(m, page)
    count = 1
    limit = min(limit, folio + folio_nr_pages(m, folio) - page)
    while count < limit and (m.pte[slot + count] ^ mk_pte(page + count, entry_flags(first))) & ~ignored == 0:
        count += 1
    return count
