"""The kernel's own users of pages: with which flags each calls GUP, release by release.

io_uring's fixed buffers hold their pages; process_vm_readv() and direct I/O let them go before the call returns.
"""

from __future__ import annotations

from pinhold.mm.flags import (
    EINVAL,
    EOPNOTSUPP,
    FILE_PAGECACHE,
    FILE_SHMEM,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_WRITE,
    NO_FILE,
    NO_VMA,
    USER_IO_URING,
    WANT_FAST,
)
from pinhold.mm.kernel import kernel
from pinhold.mm.rules.pin import (
    DIRECT_IO_BY_FOLL_PIN,
    IO_URING_ANY,
    IO_URING_GUP_FAST,
    IO_URING_HUGETLB,
    IO_URING_HUGETLB_SHMEM_ONE_FILE,
)
from pinhold.mm.sites.pin import DIRECT_IO_GETS, DIRECT_IO_PINS, IO_URING_FILE_REFUSED, IO_URING_FILES_DIFFER
from pinhold.mm.sites.site import decided
from pinhold.mm.state import State
from pinhold.mm.vma import find_vma

PROCESS_VM_PAGES = 1024
"""Pages that process_vm_readv() pins at once, copies, and lets go.  Linux: process_vm_rw_single_vec()."""


@kernel
def io_uring_flags(m: State) -> int:
    """A fixed buffer: a writable long-term pin.  Linux: io_pin_pages() (io_uring/memmap.c, rsrc.c up to 6.9)."""
    return FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM | (WANT_FAST if m.rule_io_uring_gup == IO_URING_GUP_FAST else 0)


@kernel
def io_uring_refuses(m: State, pin: int) -> int:
    """The errno with which io_uring gives back what was pinned for it because of the files that it is of, or 0.

    EINVAL where a page is not of the first one's file, EOPNOTSUPP where that is of a kind that is not taken.  Asked
    when the pages are pinned and before they are charged: what the pin faulted in stays.  Since 6.5 GUP itself refuses
    what has to be.  Linux: io_pin_pages() (io_uring/rsrc.c), io_sqe_buffer_register() in 5.10.
    """
    if m.pin_user[pin] != USER_IO_URING or m.rule_io_uring_files == IO_URING_ANY:
        return 0
    addr = m.pin_addr[pin]
    end = addr + m.pin_count[pin]
    first = find_vma(m, m.pin_mm[pin], addr)
    while addr < end:
        vma = find_vma(m, m.pin_mm[pin], addr)
        if vma == NO_VMA:
            return 0
        file = m.vma_file[vma]
        if m.rule_io_uring_files == IO_URING_HUGETLB_SHMEM_ONE_FILE and file != m.vma_file[first]:
            decided(m, IO_URING_FILES_DIFFER)
            return -EINVAL
        if file != NO_FILE:
            kind = m.file_kind[file]
            if kind == FILE_PAGECACHE or (kind == FILE_SHMEM and m.rule_io_uring_files == IO_URING_HUGETLB):
                decided(m, IO_URING_FILE_REFUSED)
                return -EOPNOTSUPP
        addr = m.vma_end[vma]
    return 0


@kernel
def process_vm_flags(write: int) -> int:
    """process_vm_readv(), or process_vm_writev().  Linux: process_vm_rw_single_vec() (mm/process_vm_access.c)."""
    return FOLL_PIN | FOLL_REMOTE | (FOLL_WRITE if write else 0)


@kernel
def direct_io_flags(m: State, write: int) -> int:
    """O_DIRECT: write() takes pages to read them, read() to fill them (`write`).

    Linux: bio_iov_iter_get_pages() by get_user_pages_fast(); by iov_iter_extract_pages() and pin_user_pages_fast()
    since a7e689dd1c06 (6.5).
    """
    pins = m.rule_direct_io == DIRECT_IO_BY_FOLL_PIN
    decided(m, DIRECT_IO_PINS if pins else DIRECT_IO_GETS)
    return (FOLL_PIN if pins else FOLL_GET) | WANT_FAST | (FOLL_WRITE if write else 0)
