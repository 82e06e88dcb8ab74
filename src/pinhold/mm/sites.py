"""Decision sites: every use of a rule and every outcome of a decision function that a reader may want to know of.

`decided` is the one hook.  Interpreted, the machine's trace gets the site; compiled, a coverage bit outside the state
is set.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhold.mm import rules
from pinhold.mm.kernel import kernel
from pinhold.mm.state import State


@dataclass(frozen=True, slots=True)
class Site:
    """What a decision means.  rule: the switch that it uses, or ""."""

    name: str
    function: str
    rule: str
    sentence: str

    @property
    def commit(self) -> str:
        """The commit of the rule, or ""."""
        return rules.BY_NAME[self.rule].commit if self.rule else ""


(
    ANON_READ_ZERO_PAGE,
    FAULT_SANITY_CLEARED,
    FAULT_SANITY_SIGSEGV,
    UNSHARE_NOT_ANON,
    UNSHARE_COPIES,
    WP_COPY,
    WP_REUSE_EXCLUSIVE,
    WP_REUSE_REFCOUNT,
    WP_REUSE_LARGE,
    WP_SHARED,
    HUGE_ZERO_READ,
    HUGE_ZERO_WP_SPLIT,
    HUGE_ZERO_WP_THP,
    HUGE_WP_REUSE_EXCLUSIVE,
    HUGE_WP_REUSE_MAPCOUNT,
    HUGE_WP_REUSE_REFCOUNT,
    HUGE_WP_SPLIT,
    HUGETLB_WP_REUSE_MAPCOUNT,
    HUGETLB_WP_COPY,
    HUGETLB_FORCE_REFUSED,
    HUGETLB_UNMAP_CHILDREN,
    SWAPIN_EXCLUSIVE,
    SWAPIN_SHARED,
    SWAPOUT_PINNED_KEPT,
    PAGEOUT_SHARED_KEPT,
    SHARE_REFUSED_PINNED,
    MAYBE_PINNED_YES,
    PIN_ZERO_PAGE_EXEMPT,
    MEMLOCK_REFUSED,
    MEMLOCK_ZERO_PAGE_FREE,
    MUST_UNSHARE_ANON,
    MUST_UNSHARE_COW_MAPPING,
    MUST_UNSHARE_NO_VMA,
    UNSHARE_NOT_LONGTERM,
    UNSHARE_NOT_NEEDED_EXCLUSIVE,
    UNSHARE_NOT_NEEDED_SHARED_MAPPING,
    UNSHARE_RULE_ABSENT,
    FOLL_FORCE_FOLLOWS,
    GUP_ARGS_INVALID,
    GUP_VMA_REFUSED,
    GUP_DIRTY_TRACKED_REFUSED,
    FAST_PINNED,
    FAST_FALLS_BACK,
    FAST_ENTRY_CHANGED,
    FAST_DIRTY_TRACKED_REFUSED,
    FAST_FORK_SEEN,
    FORK_SHARES,
    FORK_COPIES_PINNED,
    FORK_SPLITS_PINNED_PMD,
    FORK_SKIPS_VMA,
    FORK_SKIPS_PUD,
    MPROTECT_UPGRADES,
    MPROTECT_STAYS_READ_ONLY,
    SOFT_DIRTY_PINNED_KEPT,
    DIRECT_IO_GETS,
    DIRECT_IO_PINS,
    IO_URING_FILE_REFUSED,
    FOLL_WRITE_DROPPED,
    TOUCH_PMD_READ,
    WP_REUSE_MAPCOUNT,
    HUGETLB_WP_REUSE_EXCLUSIVE,
    HUGETLB_WP_REUSE_REFCOUNT,
    UFFD_MAPS_DIRTY,
    WRITEBACK_CLEANS,
    NUMA_HINTS,
    NUMA_SKIPS,
    NUMA_RESTORES,
    NUMA_LEFT_READ_ONLY,
    GUP_HONORS_NUMA_FAULT,
    KSM_HELD_KEPT,
    KSM_PROTECTS,
    KSM_PROTECTS_UNSEEN,
    KSM_MERGES,
    KSM_NEVER_REUSED,
    HUGE_WP_COUNTS_PAGES,
    MADV_FREE_SPLITS,
    LAZYFREE_DISCARDED,
    LAZYFREE_WRITTEN_KEPT,
    LAZYFREE_HELD_KEPT,
    LAZYFREE_BATCHED,
) = range(80)

SITES: tuple[Site, ...] = (
    Site(
        "anon_read_zero_page",
        "do_anonymous_page",
        "",
        "a read of untouched anonymous memory maps the shared zero page",
    ),
    Site(
        "fault_sanity_cleared",
        "sanitize_fault_flags",
        "fault_flag_sanity",
        "unsharing outside a COW mapping is an ordinary read",
    ),
    Site(
        "fault_sanity_sigsegv",
        "sanitize_fault_flags",
        "fault_flag_sanity",
        "the fault's flags make no sense here: SIGSEGV",
    ),
    Site(
        "unshare_not_anon",
        "do_wp_page",
        "unshare_breaks",
        "the page is not anonymous, so unsharing leaves it as it is",
    ),
    Site(
        "unshare_copies",
        "do_wp_page",
        "unshare_breaks",
        "unsharing replaces the page by an exclusive anonymous copy",
    ),
    Site("wp_copy", "do_wp_page", "", "the write gets an exclusive anonymous copy"),
    Site("wp_reuse_exclusive", "do_wp_page", "anon_exclusive", "the page is exclusive, so it is used as it is"),
    Site(
        "wp_reuse_refcount",
        "wp_can_reuse_anon_folio",
        "wp_reuse",
        "nothing else holds the page, so it is used as it is",
    ),
    Site(
        "wp_reuse_large",
        "wp_can_reuse_anon_folio",
        "wp_reuse_large",
        "all of the large folio is mapped by this process alone, so its page is used as it is",
    ),
    Site("wp_shared", "do_wp_page", "", "a shared mapping: the page is made writable"),
    Site(
        "huge_zero_read",
        "do_huge_pmd_anonymous_page",
        "",
        "a read of an untouched THP area maps the huge zero folio",
    ),
    Site(
        "huge_zero_wp_split",
        "do_huge_pmd_wp_page",
        "huge_zero_wp",
        "the huge zero mapping is split into mappings of the zero page",
    ),
    Site("huge_zero_wp_thp", "do_huge_pmd_wp_page", "huge_zero_wp", "the huge zero mapping is replaced by a THP"),
    Site(
        "huge_wp_reuse_exclusive",
        "do_huge_pmd_wp_page",
        "anon_exclusive",
        "the THP is exclusive, so it is used as it is",
    ),
    Site(
        "huge_wp_reuse_mapcount",
        "do_huge_pmd_wp_page",
        "huge_wp_reuse",
        "nobody else maps the THP, so it is used as it is, whoever else holds it",
    ),
    Site(
        "huge_wp_reuse_refcount",
        "do_huge_pmd_wp_page",
        "huge_wp_reuse",
        "nothing else holds the THP, so it is used as it is",
    ),
    Site(
        "huge_wp_split",
        "do_huge_pmd_wp_page",
        "huge_wp_reuse",
        "something else maps or holds the THP: its mapping is split and base pages are dealt with",
    ),
    Site(
        "hugetlb_wp_reuse_mapcount",
        "hugetlb_wp",
        "hugetlb_wp_reuse",
        "nobody else maps the huge page, so it is used as it is, whoever else holds it",
    ),
    Site("hugetlb_wp_copy", "hugetlb_wp", "", "the huge page is copied"),
    Site("hugetlb_force_refused", "hugetlb_wp", "hugetlb_force_write", "a forced write to hugetlb is refused"),
    Site(
        "hugetlb_unmap_children",
        "unmap_ref_private",
        "",
        "no huge page to copy to: the page is taken from the children",
    ),
    Site("swapin_exclusive", "do_swap_page", "swapin_exclusive", "the page from swap belongs to this process alone"),
    Site("swapin_shared", "do_swap_page", "swapin_exclusive", "the page from swap may be shared"),
    Site(
        "swapout_pinned_kept",
        "shrink_folio_list",
        "swapout_skips_pinned",
        "the page may be pinned, so it is not swapped out",
    ),
    Site(
        "pageout_shared_kept",
        "madvise_cold_or_pageout_pte_range",
        "pageout_shared_large",
        "the page is shared or held, so it is not paged out",
    ),
    Site(
        "share_refused_pinned",
        "folio_try_share_anon_rmap_pte",
        "anon_exclusive",
        "the exclusive page may be pinned, so it stays mapped",
    ),
    Site("maybe_pinned_yes", "folio_maybe_dma_pinned", "pincount_large", "the folio may be pinned"),
    Site(
        "pin_zero_page_exempt",
        "try_grab_folio",
        "zero_page_pin_exempt",
        "the zero page is pinned without being counted",
    ),
    Site("memlock_refused", "vfio_pin_pages_remote", "", "the pin's user would exceed RLIMIT_MEMLOCK"),
    Site("memlock_zero_page_free", "vfio_pin_pages_remote", "", "the zero page is reserved and not charged"),
    Site(
        "must_unshare_anon",
        "gup_must_unshare",
        "gup_unshares",
        "the anonymous page may be shared: unshare it before the pin",
    ),
    Site(
        "must_unshare_cow_mapping",
        "gup_must_unshare",
        "gup_unshares",
        "a long-term pin in a COW mapping: break COW before the pin",
    ),
    Site(
        "must_unshare_no_vma",
        "gup_must_unshare",
        "gup_unshares",
        "a long-term pin without a VMA: perhaps; the slow path decides",
    ),
    Site(
        "unshare_not_longterm",
        "gup_must_unshare",
        "gup_unshares",
        "a short pin is a snapshot: the page is pinned as it is",
    ),
    Site(
        "unshare_not_needed_exclusive",
        "gup_must_unshare",
        "gup_unshares",
        "the anonymous page is exclusive: it is pinned as it is",
    ),
    Site(
        "unshare_not_needed_shared_mapping",
        "gup_must_unshare",
        "gup_unshares",
        "not a COW mapping: the page is pinned as it is",
    ),
    Site(
        "unshare_rule_absent",
        "gup_must_unshare",
        "gup_unshares",
        "this kernel does not break COW here: the page is pinned as it is",
    ),
    Site(
        "foll_force_follows",
        "can_follow_write_pte",
        "foll_force",
        "COW is broken, so the forced write goes through the read-only entry",
    ),
    Site("gup_args_invalid", "is_valid_gup_args", "gup_args", "the caller's flags are not allowed"),
    Site("gup_vma_refused", "check_vma_flags", "hugetlb_force_write", "the mapping's rights do not allow the request"),
    Site(
        "gup_dirty_tracked_refused",
        "check_vma_flags",
        "longterm_dirty_tracked",
        "a writable long-term pin of a file that tracks dirtying is refused",
    ),
    Site("fast_pinned", "gup_fast", "", "pinned in the fast path"),
    Site("fast_falls_back", "gup_fast", "", "the fast path stops here; the slow path does the rest"),
    Site("fast_entry_changed", "gup_fast_pte_range", "", "the entry changed while its folio was grabbed"),
    Site(
        "fast_dirty_tracked_refused",
        "gup_fast_folio_allowed",
        "longterm_dirty_tracked",
        "a file that may track dirtying: the slow path decides",
    ),
    Site(
        "fast_fork_seen",
        "gup_fast",
        "write_protect_seq",
        "fork write-protected meanwhile: nothing pinned in the fast path counts",
    ),
    Site("fork_shares", "copy_present_ptes", "fork_copies_pinned", "parent and child share the page read-only"),
    Site(
        "fork_copies_pinned",
        "copy_present_page",
        "fork_copies_pinned",
        "the page may be pinned: the child gets a copy at once",
    ),
    Site(
        "fork_splits_pinned_pmd",
        "copy_huge_pmd",
        "fork_copies_pinned",
        "the THP may be pinned: its mapping is split and copied page by page",
    ),
    Site(
        "fork_skips_vma",
        "vma_needs_copy",
        "",
        "the mapping has no anonymous pages: the child faults its pages in again",
    ),
    Site(
        "fork_skips_pud",
        "copy_hugetlb_page_range",
        "fork_skips_pud",
        "the child's page table is taken for a shared one: the page is left out, and the child reads zeros",
    ),
    Site(
        "mprotect_upgrades",
        "can_change_pte_writable",
        "mprotect_upgrade",
        "the entry is made writable without a fault",
    ),
    Site(
        "mprotect_stays_read_only",
        "can_change_pte_writable",
        "mprotect_upgrade",
        "the entry stays read-only until a write faults",
    ),
    Site(
        "soft_dirty_pinned_kept",
        "clear_soft_dirty",
        "soft_dirty_skips_pinned",
        "the page may be pinned, so it stays writable",
    ),
    Site(
        "direct_io_gets",
        "bio_iov_iter_get_pages",
        "direct_io",
        "direct I/O takes plain references, which neither fork() nor unsharing knows of",
    ),
    Site("direct_io_pins", "bio_iov_iter_get_pages", "direct_io", "direct I/O pins the pages"),
    Site("io_uring_file_refused", "io_pin_pages", "io_uring_files", "io_uring takes no pages of this kind of file"),
    Site(
        "foll_write_dropped",
        "faultin_page",
        "foll_force",
        "a fault has broken COW: from here on the forced write looks for its page as a read does",
    ),
    Site("touch_pmd_read", "touch_pmd", "touch_pmd", "following the huge entry marks it dirty, though nobody writes"),
    Site(
        "wp_reuse_mapcount",
        "reuse_swap_page",
        "wp_reuse",
        "nobody else maps the page, so it is used as it is, whoever else holds it",
    ),
    Site(
        "hugetlb_wp_reuse_exclusive",
        "hugetlb_wp",
        "hugetlb_wp_reuse",
        "the huge page is exclusive, so it is used as it is",
    ),
    Site(
        "hugetlb_wp_reuse_refcount",
        "hugetlb_wp",
        "hugetlb_wp_reuse",
        "nothing else holds the huge page, so it is used as it is",
    ),
    Site(
        "uffd_maps_dirty",
        "mfill_atomic_install_pte",
        "uffd_continue",
        "the page cache's page is mapped dirty, though this mapping cannot write to it",
    ),
    Site(
        "writeback_cleans",
        "folio_clear_dirty_for_io",
        "",
        "the page is written back: its shared mappings are write-protected, and its next write is to be noticed",
    ),
    Site("numa_hints", "change_prot_numa", "numa_skips", "the scan makes the page inaccessible until its next access"),
    Site("numa_skips", "folio_can_map_prot_numa", "numa_skips", "the scan leaves the page accessible"),
    Site("numa_restores", "do_numa_page", "numa_write", "the hinting fault makes the page accessible again"),
    Site(
        "numa_left_read_only",
        "migrate_misplaced_transhuge_page",
        "numa_huge_fails",
        "something else holds the THP, so it cannot move: its entry stays read-only",
    ),
    Site(
        "gup_honors_numa_fault",
        "gup_can_follow_protnone",
        "gup_protnone",
        "the request asks for hinting faults, so the page is faulted in first",
    ),
    Site("ksm_held_kept", "write_protect_page", "", "somebody holds the page, so KSM leaves it alone"),
    Site("ksm_protects", "write_protect_page", "", "nobody holds the page, so KSM write-protects it"),
    Site(
        "ksm_protects_unseen",
        "write_protect_page",
        "ksm_protects_exclusive",
        "the entry is read-only and clean already, so KSM does not look who holds the page",
    ),
    Site("ksm_merges", "replace_page", "", "the contents are equal, so the KSM page takes the page's place"),
    Site("ksm_never_reused", "do_wp_page", "", "a KSM page is copied, whoever else has it"),
    Site(
        "huge_wp_counts_pages",
        "page_trans_huge_mapcount",
        "thp_split_locks",
        "the mappings of the THP's pages are counted, then that of the whole; a split may come between",
    ),
    Site(
        "madv_free_splits",
        "madvise_free_pte_range",
        "madv_free_large",
        "the large folio is split, so that its pages can be freed one by one",
    ),
    Site("lazyfree_discarded", "try_to_unmap_one", "", "the page was not written since MADV_FREE: its content goes"),
    Site("lazyfree_written_kept", "try_to_unmap_one", "", "the page was written since MADV_FREE, so it stays"),
    Site(
        "lazyfree_held_kept",
        "try_to_unmap_one",
        "lazyfree_held",
        "something else holds the page, so its content stays for now",
    ),
    Site(
        "lazyfree_batched",
        "folio_unmap_pte_batch",
        "lazyfree_batch",
        "several entries are unmapped together; if they are put back, then with the rights of the first",
    ),
)


@kernel
def decided(m: State, site: int) -> None:
    """Note that the step came by this decision."""
    m.coverage[site] = 1
