"""Files, as far as their pages go: the page cache of shmem (memfd, tmpfs), ordinary and hugetlbfs files.

The content of a file is the page cache's: nothing is evicted, and writing back (writeback.py) changes no content.  An
ordinary file's system tracks dirtying: it wants to hear of the first write to each clean page.  Index and size are in
units of the file's page size; a hugetlb file's unit is its huge page.
"""

from __future__ import annotations

from pinhold.mm.flags import ENOMEM, FILE_HUGETLB, FILE_PAGECACHE, FILE_SHMEM, FOLIO_FALLOCATED, NO_FILE, NO_PAGE
from pinhold.mm.folio import folio_alloc, folio_get, folio_put, folio_test_lazyfree, page_folio
from pinhold.mm.kernel import kernel
from pinhold.mm.limits import LIMIT_FILE_PAGES, LIMIT_FILES, too_small
from pinhold.mm.state import State
from pinhold.mm.trap import TRAP_FILE_KIND, trap

FOLIO_CLEAN, FOLIO_DIRTY, FOLIO_WRITTEN_CLEAN = 0, 1, 2
"""Values of folio_dirty, for folios of files that track dirtying, and lazyfree ones.  The last: a device has written to
it while it was clean, and the file system was not told."""


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
            folio_put(m, page_folio(m, page))
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
def cache_add(m: State, file: int, index: int, page: int) -> None:
    """Give a page with one reference, the cache's, to the page cache.  Linux: filemap_add_folio()."""
    m.cache_page[file * m.file_pages + index] = page
    folio = page_folio(m, page)
    m.folio_file[folio] = file
    m.folio_index[folio] = index


@kernel
def cache_get_page(m: State, file: int, index: int) -> int:
    """The file's page with a reference, read in (as zeros) if it was not cached; NO_PAGE where there is no memory.

    Linux: shmem_get_folio(), filemap_fault().
    """
    page = cache_lookup(m, file, index)
    if page == NO_PAGE:
        if index >= m.file_pages or m.file_kind[file] == FILE_HUGETLB:
            return NO_PAGE
        page = folio_alloc(m, 0)
        if page == NO_PAGE:
            return NO_PAGE
        cache_add(m, file, index, page)
    m.folio_flags[page_folio(m, page)] &= ~FOLIO_FALLOCATED
    folio_get(m, page_folio(m, page))
    return page


@kernel
def shmem_fallocate(m: State, file: int, units: int) -> int:
    """Give a file its first `units` pages, of zeros.  0, or -ENOMEM, and then it keeps what it has got.

    Pages of shmem are not uptodate until somebody asks for one: fault-around passes them over.  An ordinary file is
    left by write() with pages that are.  Linux: shmem_fallocate() (mm/shmem.c), since 1635f6a74152 (3.5).
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
            if m.file_kind[file] == FILE_SHMEM and m.fault_around > 1:  # nobody else asks for it
                m.folio_flags[page_folio(m, page)] |= FOLIO_FALLOCATED
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
    lazyfree folio is not discarded.  Linux: folio_mark_dirty(), page_mkwrite()."""
    if folio_test_lazyfree(m, folio) or folio_dirty_tracked(m, folio):
        m.folio_dirty[folio] = FOLIO_DIRTY
