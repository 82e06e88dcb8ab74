"""Constants under their kernel names: entry bits, VM_*, FAULT_FLAG_*, FOLL_*, errno values.

Entries have the x86-64 flag bits; the frame number (or page-table number, or swap slot) starts at bit 12.  VM_* and
FOLL_* have the values of present-day kernels (FOLL_* was renumbered in 6.3).
"""

# --- entries (arch/x86/include/asm/pgtable_types.h) ---
PTE_PRESENT = 0x001
PTE_RW = 0x002
PTE_USER = 0x004
PTE_ACCESSED = 0x020
PTE_DIRTY = 0x040
PTE_PSE = 0x080
PTE_PROTNONE = 0x100
PTE_SPECIAL = 0x200
PTE_SOFT_DIRTY = 0x800
PTE_FLAGS = 0xFFF
PFN_SHIFT = 12

# a swap entry: neither PRESENT nor PROTNONE, slot number (never 0) from bit 12
SWP_SOFT_DIRTY = PTE_RW
SWP_EXCLUSIVE = PTE_PSE

LEVEL_PTE, LEVEL_PMD, LEVEL_PUD = 0, 1, 2

# --- VMAs (include/linux/mm.h) ---
VM_READ = 0x1
VM_WRITE = 0x2
VM_SHARED = 0x8
VM_MAYREAD = 0x10
VM_MAYWRITE = 0x20
VM_MAYSHARE = 0x80
VM_DONTCOPY = 0x20000
VM_ACCOUNT = 0x100000
VM_HUGETLB = 0x400000
VM_UFFD_MINOR = 0x2000000  # bit 41 in the kernel
VM_SOFTDIRTY = 0x8000000
VM_HUGEPAGE = 0x20000000
VM_NOHUGEPAGE = 0x40000000
VM_MERGEABLE = 0x1000000  # bit 31 in the kernel, which a signed field of four bytes does not have
NO_VMA = -1

# --- page faults (include/linux/mm_types.h) ---
FAULT_FLAG_WRITE = 0x1
FAULT_FLAG_ALLOW_RETRY = 0x4
FAULT_FLAG_UNSHARE = 0x400

FAULT_DONE, FAULT_WROTE, FAULT_ALLOCATED, FAULT_FALLBACK, FAULT_COUNTED, FAULT_RETRY = 0, 1, 2, 3, 4, 5
"""What a fault handler came to: nothing more to do; a write was resolved (VM_FAULT_WRITE up to 6.1); act_new is to be
installed; go on with base pages; the mappings of the THP's pages are counted, those of the whole are to be; nothing was
mapped, as the folio is locked and FAULT_FLAG_ALLOW_RETRY was given."""

# --- GUP (include/linux/mm_types.h, mm/internal.h) ---
FOLL_WRITE = 0x1
FOLL_GET = 0x2
FOLL_DUMP = 0x4
FOLL_FORCE = 0x8
FOLL_NOWAIT = 0x10
FOLL_NOFAULT = 0x20
FOLL_HWPOISON = 0x40
FOLL_ANON = 0x80
FOLL_LONGTERM = 0x100
FOLL_SPLIT_PMD = 0x200
FOLL_PCI_P2PDMA = 0x400
FOLL_INTERRUPTIBLE = 0x800
FOLL_HONOR_NUMA_FAULT = 0x1000
FOLL_TOUCH = 0x10000
FOLL_TRIED = 0x20000
FOLL_REMOTE = 0x40000
FOLL_PIN = 0x80000
FOLL_FAST_ONLY = 0x100000
FOLL_UNLOCKABLE = 0x200000
FOLL_MADV_POPULATE = 0x400000
FOLL_COW = 0x800000
WANT_FAST = 0x1000000
"""Not a FOLL flag: the request came through a *_fast entry point."""

# --- errno ---
EPERM, ENOENT, EIO, EAGAIN, ENOMEM, EACCES, EFAULT, EBUSY, EEXIST = 1, 2, 5, 11, 12, 13, 14, 16, 17
EINVAL, ENOSPC, EMLINK, EOPNOTSUPP = 22, 28, 31, 95

# --- folios ---
FOLIO_ANON = 0x01
FOLIO_HUGETLB = 0x02
FOLIO_SWAPCACHE = 0x04
FOLIO_LRU_BATCH = 0x08
FOLIO_RESERVED = 0x10
FOLIO_LOCKED = 0x20
FOLIO_MMS_SHARED = 0x40
FOLIO_KSM = 0x80
FOLIO_LAZYFREE = 0x100
"""Anonymous and not swap-backed: MADV_FREE."""
FOLIO_RESTORE_RESERVE = 0x200
FOLIO_FALLOCATED = 0x400
FOLIO_READAHEAD = 0x800
FOLIO_KSM_NODE = 0x1000
FOLIO_KSM_LOST = 0x2000

ZERO_PFN = 0
NO_PAGE = -1

# --- files ---
FILE_SHMEM, FILE_PAGECACHE, FILE_HUGETLB = 1, 2, 3
NO_FILE = -1

# --- pins ---
PIN_FREE, PIN_TAKING, PIN_LIVE = 0, 1, 2
NO_MM = -1
NO_ADDR = -1
USER_NONE, USER_VFIO, USER_IO_URING, USER_RDMA = 0, 1, 2, 3

# --- steps of a task ---
DONE, AGAIN, BLOCKED = 0, 1, 2
