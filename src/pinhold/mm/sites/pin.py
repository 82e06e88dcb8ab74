"""Decision sites of taking and counting pins."""

from __future__ import annotations

from pinhold.mm.rules.pin import PinRules
from pinhold.mm.sites.site import by_value, site

MAYBE_PINNED_YES = site(
    "maybe_pinned_yes", "folio_maybe_dma_pinned", "the folio may be pinned", PinRules.rule_pincount_large
)
PIN_ZERO_PAGE_EXEMPT = by_value("pin_zero_page_exempt", PinRules.rule_zero_page_pin_exempt, "yes")
MEMLOCK_REFUSED = site("memlock_refused", "vfio_pin_pages_remote", "the pin's user would exceed RLIMIT_MEMLOCK")
MEMLOCK_ZERO_PAGE_FREE = site(
    "memlock_zero_page_free", "vfio_pin_pages_remote", "the zero page is reserved and not charged"
)
DIRECT_IO_GETS = by_value("direct_io_gets", PinRules.rule_direct_io, "foll_get")
DIRECT_IO_PINS = by_value("direct_io_pins", PinRules.rule_direct_io, "foll_pin")
IO_URING_FILE_REFUSED = site(
    "io_uring_file_refused",
    "io_pin_pages",
    "io_uring takes no pages of this kind of file",
    PinRules.rule_io_uring_files,
)
IO_URING_FILES_DIFFER = site(
    "io_uring_files_differ",
    "io_pin_pages",
    "io_uring takes no buffer of more than one file",
    PinRules.rule_io_uring_files,
    "hugetlb_shmem_one_file",
)
IO_URING_COALESCES = site(
    "io_uring_coalesces",
    "io_sqe_buffer_register",
    "io_uring keeps one pin of each folio, and lets go of those of its other pages",
    PinRules.rule_io_uring_coalesces,
)
IO_URING_NOT_COUNTED = by_value("io_uring_not_counted", PinRules.rule_io_uring_pinned_vm, "user_pays")
PIN_ZERO_PAGE_FAILS = by_value("pin_zero_page_fails", PinRules.rule_zero_page_pin_exempt, "slow_fails")
