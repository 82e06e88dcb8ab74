"""Files, as far as their pages go: the page cache of shmem (memfd, tmpfs), ordinary and hugetlbfs files.

The content of a file is the page cache's, but for pages that reclaim has taken (vmscan.py): those have it on their
device, or in swap.  Writing back (writeback.py) changes no content.  An ordinary file's system tracks dirtying: it
wants to hear of the first write to each clean page.  Index and size are in units of the file's page size; a hugetlb
file's unit is its huge page.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    ENOMEM,
    FILE_HUGETLB,
    FILE_PAGECACHE,
    FILE_SHMEM,
    FOLIO_FALLOCATED,
    FOLIO_READAHEAD,
    NO_FILE,
    NO_PAGE,
)
from pinhold.mm.folio import (
    folio_alloc,
    folio_get,
    folio_nr_pages,
    folio_put,
    folio_put_refs,
    folio_test_anon,
    folio_test_hugetlb,
    folio_test_lazyfree,
    page_folio,
    page_index,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.limits import LIMIT_FILE_PAGES, LIMIT_FILES, too_small
from pinhold.mm.rules.hugetlb import CACHE_HOLDS_EACH_PAGE
from pinhold.mm.rules.swap import MARK_BEFORE_END_OF_WINDOW
from pinhold.mm.sites.hugetlb import HUGETLB_CACHE_EACH_PAGE
from pinhold.mm.sites.site import decided
from pinhold.mm.sites.swap import READAHEAD_MARKED
from pinhold.mm.state import State
from pinhold.mm.trap import TRAP_FILE_KIND, trap

FOLIO_CLEAN, FOLIO_DIRTY, FOLIO_WRITTEN_CLEAN = 0, 1, 2
"""Values of folio_dirty, for folios of files that track dirtying, and anonymous ones (see folio_mark_dirty()).  The
last: a device has written to it while it was clean, and the file system was not told."""

READAHEAD_PAGES = 32
"""VM_READAHEAD_PAGES: so much is read around a page that is not there."""


@kernel
def file_create(m: State, file: int, kind: int, order: int) -> None:
    """Open a fresh file in slot `file`; the caller holds its one use."""
    if kind not in (FILE_SHMEM, FILE_PAGECACHE, FILE_HUGETLB):
        trap(m, TRAP_FILE_KIND)
    m.file_kind[file] = kind
    m.file_order[file] = order
    m.file_users[file] = 1


@kernel
def file_free_slot(m: State) -> int:
    """A slot for a new file, or -1."""
    for file in range(len(m.file_kind)):
        if m.file_users[file] == 0:
            return file
    too_small(m, LIMIT_FILES)
    return -1


@kernel
def file_put(m: State, file: int) -> None:
    """One use less (a descriptor or a VMA); with the last one the file and its page cache go."""
    m.file_users[file] -= 1
    if m.file_users[file]:
        return
    first = file * m.file_pages
    for slot in range(first, first + m.file_pages):
        page = m.cache_page[slot]
        if page != NO_PAGE:
            m.cache_page[slot] = NO_PAGE
            m.folio_dirty[page_folio(m, page)] = FOLIO_CLEAN
            folio_put_refs(m, page_folio(m, page), cache_refs(m, page_folio(m, page)))
        m.cache_away[slot] = 0
        m.cache_stored[slot] = 0
    if m.file_reserve[file]:
        m.hugetlb_reserved[0 if m.file_order[file] == m.bits else 1] -= hweight(m.file_reserve[file])
        m.file_reserve[file] = 0
    m.file_kind[file] = 0
    m.file_order[file] = 0


@kernel
def hweight(bits: int) -> int:
    """The number of bits set in a reserve (a bit per huge page that is reserved and not yet allocated)."""
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@kernel
def cache_lookup(m: State, file: int, index: int) -> int:
    """The page cache's page, or NO_PAGE.  Linux: filemap_get_folio()."""
    if index >= m.file_pages:
        return NO_PAGE
    return m.cache_page[file * m.file_pages + index]


@kernel
def cache_refs(m: State, folio: int) -> int:
    """References that the page cache has on a folio.  Linux: __filemap_add_folio(), filemap_free_folio()."""
    if m.rule_hugetlb_cache_refs == CACHE_HOLDS_EACH_PAGE and folio_test_hugetlb(m, folio):
        return folio_nr_pages(m, folio)
    return 1


@kernel
def cache_add(m: State, file: int, index: int, page: int) -> None:
    """Give a page with one reference, the cache's, to the page cache.  Linux: filemap_add_folio()."""
    m.cache_page[file * m.file_pages + index] = page
    folio = page_folio(m, page)
    refs = cache_refs(m, folio)
    if refs > 1:
        decided(m, HUGETLB_CACHE_EACH_PAGE)
        m.folio_refcount[folio] += refs - 1
    m.folio_file[folio] = file
    m.folio_index[folio] = index


@kernel
def cache_get_page(m: State, file: int, index: int) -> int:
    """The file's page with a reference, read in if it was not cached (a page that was never there as zeros); NO_PAGE
    where there is no memory.

    Linux: shmem_get_folio(), filemap_fault().
    """
    page = cache_lookup(m, file, index)
    if page == NO_PAGE:
        if index >= m.file_pages or m.file_kind[file] == FILE_HUGETLB:
            return NO_PAGE
        page = cache_read(m, file, index)
        if page == NO_PAGE:
            return NO_PAGE
    m.folio_flags[page_folio(m, page)] &= ~FOLIO_FALLOCATED
    folio_get(m, page_folio(m, page))
    return page


@kernel
def cache_read(m: State, file: int, index: int) -> int:
    """Give the file a page there, with what its device or swap has; NO_PAGE where there is no memory."""
    page = folio_alloc(m, 0)
    if page != NO_PAGE:
        slot = file * m.file_pages + index
        cache_add(m, file, index, page)
        m.page_content[page_index(m, page)] = m.cache_stored[slot]
        m.cache_away[slot] = 0
        m.cache_stored[slot] = 0
    return page


@kernel
def filemap_read_folio(m: State, file: int, index: int) -> None:
    """A fault asks for an ordinary file's page: it is read if it is away; a mark on one that was there goes.

    The fault that has read is done anew, and that goes by any mark.  Linux: filemap_fault(),
    do_async_mmap_readahead().
    """
    page = cache_lookup(m, file, index)
    if page != NO_PAGE:
        m.folio_flags[page_folio(m, page)] &= ~FOLIO_READAHEAD
    elif cache_is_away(m, file, index):
        mmap_readahead(m, file, index)


@kernel
def mmap_readahead(m: State, file: int, index: int) -> None:
    """A fault finds an ordinary file's page gone: it is read, and its neighbours with it.

    The page from which on reading ahead has run ahead is marked: fault-around passes it over until another fault has
    asked for it.  At the end of the file that is so many pages before the end; since 7ac67301e82f (6.16), by which ext4
    has large folios, so many pages before the end of the window.
    Linux: do_sync_mmap_readahead(), page_cache_ra_unbounded(), page_cache_ra_order().
    """
    if m.fault_around == 1:  # nobody can tell
        cache_read(m, file, index)
        return
    start = max(index - READAHEAD_PAGES // 2, 0)
    end = start
    while end < start + READAHEAD_PAGES and cache_has(m, file, end):
        end += 1
    stop = start + READAHEAD_PAGES if m.rule_readahead_mark == MARK_BEFORE_END_OF_WINDOW else end
    for at in range(start, end):
        if cache_lookup(m, file, at) == NO_PAGE:
            page = cache_read(m, file, at)
            if page == NO_PAGE:
                return
            if at == stop - READAHEAD_PAGES // 4:
                decided(m, READAHEAD_MARKED)
                m.folio_flags[page_folio(m, page)] |= FOLIO_READAHEAD


@kernel
def cache_is_away(m: State, file: int, index: int) -> bool:
    """Whether reclaim has taken the file's page there."""
    return index < m.file_pages and m.cache_away[file * m.file_pages + index] != 0


@kernel
def cache_has(m: State, file: int, index: int) -> bool:
    """Whether the file has a page there, in memory or not."""
    return cache_lookup(m, file, index) != NO_PAGE or cache_is_away(m, file, index)


@kernel
def cache_evict(m: State, folio: int) -> None:
    """Take a clean folio, or one that has been written to swap, out of the page cache; the caller holds it.  Linux:
    __remove_mapping(), shmem_writeout() (shmem_writepage() up to 6.15)."""
    slot = m.folio_file[folio] * m.file_pages + m.folio_index[folio]
    if m.folio_dirty[folio] != FOLIO_WRITTEN_CLEAN:
        m.cache_stored[slot] = m.page_content[page_index(m, folio)]
    m.folio_dirty[folio] = FOLIO_CLEAN
    m.cache_away[slot] = 1
    m.cache_page[slot] = NO_PAGE
    folio_put(m, folio)


@kernel
def shmem_fallocate(m: State, file: int, units: int) -> int:
    """Give a file its first `units` pages, of zeros.  0, or -ENOMEM, and then it keeps what it has got.

    Pages of shmem are not uptodate until somebody asks for one: fault-around passes them over.  An ordinary file is
    left by write() with pages that are, and that are dirty.  Linux: shmem_fallocate() (mm/shmem.c), since
    1635f6a74152 (3.5).
    """
    if units > m.file_pages:
        too_small(m, LIMIT_FILE_PAGES)
        return -ENOMEM
    for index in range(units):
        if cache_lookup(m, file, index) == NO_PAGE:
            page = folio_alloc(m, 0)
            if page == NO_PAGE:
                return -ENOMEM
            cache_add(m, file, index, page)
            if m.fault_around == 1:  # nobody can tell
                continue
            if m.file_kind[file] == FILE_SHMEM:
                m.folio_flags[page_folio(m, page)] |= FOLIO_FALLOCATED
            if m.file_kind[file] == FILE_PAGECACHE:
                m.folio_dirty[page_folio(m, page)] = FOLIO_DIRTY
    return 0


@kernel
def folio_dirty_tracked(m: State, folio: int) -> bool:
    """Whether the folio is in the page cache of a file that tracks dirtying.  Linux: mapping_can_writeback()."""
    file = m.folio_file[folio]
    if file == NO_FILE or m.file_kind[file] != FILE_PAGECACHE:
        return False
    return cache_lookup(m, file, m.folio_index[folio]) == folio


@kernel
def folio_mark_dirty(m: State, folio: int) -> None:
    """Somebody writes to the folio, or has written to it: the file system is told, if it tracks dirtying, and a
    lazyfree folio is not discarded.  PG_reclaim goes, too.  That another anonymous folio is dirty MADV_FREE and reclaim
    alone can tell, and a search leaves it out.  Linux: folio_mark_dirty(), page_mkwrite()."""
    tracked = folio_dirty_tracked(m, folio)
    if tracked:
        m.folio_flags[folio] &= ~FOLIO_READAHEAD
        m.cache_stored[m.folio_file[folio] * m.file_pages + m.folio_index[folio]] = 0
    if tracked or folio_test_lazyfree(m, folio) or (folio_test_anon(m, folio) and m.fault_around > 1):
        m.folio_dirty[folio] = FOLIO_DIRTY


@kernel
def folio_test_dirty_anon(m: State, folio: int) -> bool:
    """Whether an anonymous folio is dirty; in a search, which leaves it out, it may be."""
    return m.fault_around == 1 or m.folio_dirty[folio] == FOLIO_DIRTY
