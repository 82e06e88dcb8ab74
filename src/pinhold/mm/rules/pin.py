"""Rules of taking and counting pins, and of those who pin."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class PinRules:
    """Fields of the state."""

    rule_zero_page_pin_exempt = Switch(
        "Whether FOLL_PIN leaves the 4 KiB zero page uncounted.",
        "try_grab_folio",
        Value("no", OLDEST, "the zero page is counted like any other"),
        Value("yes", Commit("c8070b787519", "6.5"), "the zero page is pinned without being counted"),
        Value(
            "slow_fails",
            Commit("c8070b787519", "6.1.130"),
            "the slow path takes its success with the zero page for a failure",
            "try_grab_page",
        ),
    )
    rule_pincount_large = Switch(
        "Which folios count pins exactly.",
        "folio_has_pincount",
        Value("more_than_two_pages", OLDEST, "those of more than two pages"),
        Value("large", Commit("5232c63f46fd", "5.18"), "all large ones"),
    )
    rule_direct_io = Switch(
        "How direct I/O (O_DIRECT) takes the pages of user memory.",
        "bio_iov_iter_get_pages",
        Value("foll_get", OLDEST, "direct I/O takes plain references, which neither fork() nor unsharing knows of"),
        Value("foll_pin", Commit("a7e689dd1c06", "6.5"), "direct I/O pins the pages"),
    )
    rule_io_uring_gup = Switch(
        "How io_uring pins its fixed buffers.",
        "io_pin_pages",
        Value("slow", OLDEST, "under mmap_lock"),
        Value("fast", Commit("1943f96b3816", "6.10"), "by GUP-fast"),
    )
    rule_io_uring_files = Switch(
        "Of which files io_uring takes pages as fixed buffers.",
        "io_pin_pages",
        Value("hugetlb", OLDEST, "of hugetlbfs alone"),
        Value("hugetlb_shmem", Commit("40dad765c045", "5.14"), "of hugetlbfs and shmem"),
        Value(
            "hugetlb_shmem_one_file",
            Commit("edd478269640", "6.3"),
            "of hugetlbfs and shmem, and a buffer of one file or of none",
        ),
        Value("any", Commit("34ed8d0dcd69", "6.5"), "of whatever GUP gives"),
    )
    rule_io_uring_coalesces = Switch(
        "How many pins of a large folio io_uring keeps for a fixed buffer.",
        "io_sqe_buffer_register",
        Value("each_page", OLDEST, "one of each page, as it took them"),
        Value("one_folio", Commit("57bebf807e2a", "6.3"), "one, where the buffer is of this folio alone"),
        Value(
            "each_folio",
            Commit("a8edbb424b13", "6.12"),
            "one of each of its folios, where they are of one size and follow each other",
        ),
    )
    rule_io_uring_ring = Switch(
        "Whether the pages of io_uring's rings count in the user's locked memory, too.",
        "io_create_region",
        Value(
            "charged",
            OLDEST,
            "the rings count in the user's locked memory, too: they are not the memory cgroup's, or they are a region"
            " (8078486e1d53)",
            again=Commit("81a4058e0cd0", "6.14"),
        ),
        Value(
            "free",
            Commit("26bfa89e25f4", "5.12"),
            "the rings are the memory cgroup's, and not in locked memory",
            again=NoCommit("charged in a running 6.18, and free in 7.2; its hash was not at hand", "7.2"),
        ),
    )
    rule_io_uring_pinned_vm = Switch(
        "Of which processes io_uring counts fixed buffers in mm->pinned_vm.",
        "io_buffer_account_pin",
        Value("all", OLDEST, "the fixed buffer is counted as pinned, whoever registers it"),
        Value(
            "user_pays",
            Commit("df0a52537c0f", "7.2"),
            "the process has CAP_IPC_LOCK: its fixed buffer is not counted as pinned",
        ),
    )
    rule_vfio_batch = Switch(
        "How many pages VFIO pins before it charges them, so that what is over the limit stops it there.",
        "vfio_pin_pages_remote",
        Value("page", OLDEST, "one: the first page over the limit is the last that is faulted in"),
        Value("batch", Commit("4b6c33b32296", "5.12"), "512 at a time"),
    )


ZERO_PIN_NO, ZERO_PIN_YES, ZERO_PIN_SLOW_FAILS = PinRules.rule_zero_page_pin_exempt.numbers
PINCOUNT_MORE_THAN_TWO_PAGES, PINCOUNT_LARGE = PinRules.rule_pincount_large.numbers
DIRECT_IO_BY_FOLL_GET, DIRECT_IO_BY_FOLL_PIN = PinRules.rule_direct_io.numbers
IO_URING_GUP_SLOW, IO_URING_GUP_FAST = PinRules.rule_io_uring_gup.numbers
IO_URING_HUGETLB, IO_URING_HUGETLB_SHMEM, IO_URING_HUGETLB_SHMEM_ONE_FILE, IO_URING_ANY = (
    PinRules.rule_io_uring_files.numbers
)
COALESCES_EACH_PAGE, COALESCES_ONE_FOLIO, COALESCES_EACH_FOLIO = PinRules.rule_io_uring_coalesces.numbers
RING_CHARGED, RING_FREE = PinRules.rule_io_uring_ring.numbers
PINNED_VM_ALL, PINNED_VM_USER_PAYS = PinRules.rule_io_uring_pinned_vm.numbers
VFIO_PIN_PAGE, VFIO_PIN_BATCH = PinRules.rule_vfio_batch.numbers
