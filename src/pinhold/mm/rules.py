"""Rules: what differs between kernels, as named switches.  Which values a release has, releases.py tells."""

from __future__ import annotations

from dataclasses import dataclass

Entry = tuple[str, str, str]
"""Since when a value holds: first release ("" for what holds before any change), value, commit ("" where there is no
single one)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One switch.

    values: their names; a value is its index.  since: in mainline, in order, the first entry being what holds before
    any change.  stable: from which X.Y.Z on a series has another value than X.Y, in order within a series; its commit
    is mainline's where that was taken back.  function: the kernel function that decides.
    """

    name: str
    doc: str
    function: str
    values: tuple[str, ...]
    since: tuple[Entry, ...]
    stable: tuple[Entry, ...] = ()

    def commit_of(self, value: str) -> str:
        """The commit that brought a value, whatever the release: mainline's before a stable series' own; "" where none
        is known."""
        return next((commit for _, known, commit in (*self.since, *self.stable) if known == value), "")


RULES: tuple[Rule, ...] = (
    Rule(
        "gup_unshares",
        "For which pages a read-only pin breaks COW first: none; shared anonymous ones; for a long-term pin"
        " everything in a"
        " COW mapping.",
        "gup_must_unshare",
        ("none", "anon", "cow_longterm"),
        (("", "none", ""), ("5.19", "anon", "a7f226604170"), ("6.2", "cow_longterm", "84209e87c696")),
    ),
    Rule(
        "unshare_breaks",
        "What a FAULT_FLAG_UNSHARE fault replaces by an exclusive anonymous page: nothing; shared anonymous pages;"
        " anything"
        " mapped into a COW mapping.",
        "do_wp_page",
        ("none", "anon", "cow_mapping"),
        (("", "none", ""), ("5.19", "anon", "c89357e27f20"), ("6.2", "cow_mapping", "8d6a0ac09a16")),
    ),
    Rule(
        "anon_exclusive",
        "Whether anonymous pages carry PageAnonExclusive: an exclusive page is written in place without looking at"
        " counts.",
        "do_wp_page",
        ("no", "yes"),
        (("", "no", ""), ("5.19", "yes", "6c287605fd56")),
    ),
    Rule(
        "wp_reuse",
        "What a write to a read-only anonymous page judges reuse by: its mappings and swap entries alone"
        " (CVE-2020-29374; 5.8, which has no row, made read-only GUP break COW instead); the reference count of one"
        " (09854ba94c6a), where the LRU batch's or the swap cache's makes the owner copy; the same without those two.",
        "do_wp_page",
        ("mapcount", "references", "references_drained"),
        (("", "mapcount", ""), ("5.9", "references", "09854ba94c6a"), ("5.18", "references_drained", "d4c470970d45")),
    ),
    Rule(
        "wp_reuse_large",
        "When a page of a PTE-mapped large folio that is not exclusive is written in place: by the folio's"
        " references, like a"
        " small one; never; when all mappings are this process's and nothing else holds the folio.",
        "wp_can_reuse_anon_folio",
        ("references", "never", "exclusive_mm"),
        (("", "references", ""), ("6.9", "never", "cd197c3a2040"), ("6.15", "exclusive_mm", "1da190f4d0a6")),
    ),
    Rule(
        "huge_wp_reuse",
        "What a write to a read-only PMD-mapped THP judges reuse by: mappings alone, or references.",
        "do_huge_pmd_wp_page",
        ("mapcount", "references"),
        (("", "mapcount", ""), ("5.18", "references", "3bff7e3f1f16")),
    ),
    Rule(
        "huge_zero_wp",
        "What a write (or unshare) of the huge zero folio gets: the mapping is split and one base page copied, or a"
        " whole THP.",
        "do_huge_pmd_wp_page",
        ("split", "thp"),
        (("", "split", ""), ("6.13", "thp", "1ced09e0331f")),
    ),
    Rule(
        "huge_zero_special",
        "Whether PMD mappings of the huge zero folio are special, so that GUP-fast leaves them to the slow path.",
        "gup_fast_pmd_leaf",
        ("no", "yes"),
        (("", "no", ""), ("6.18", "yes", "d82d09e48219")),
    ),
    Rule(
        "fork_copies_pinned",
        "Which pages that may be pinned fork() copies at once: none; any in a COW mapping; anonymous ones; exclusive"
        " anonymous ones.",
        "copy_present_page",
        ("none", "any", "anonymous", "exclusive"),
        (("", "none", ""), ("5.9", "any", "70e806e4e645"), ("5.19", "exclusive", "fb3d824d1a46")),
        (("5.10.153", "anonymous", "935a8b620210"),),
    ),
    Rule(
        "fork_copies_hugetlb_files",
        "Whether fork() copies the entries of a hugetlb mapping without anonymous pages, or leaves them to the child's"
        " faults.",
        "vma_needs_copy",
        ("yes", "no"),
        (("", "yes", ""), ("6.0", "no", "bcd51a3c679d")),
    ),
    Rule(
        "fork_copies_pinned_hugetlb",
        "Whether fork() copies pinned hugetlb pages at once, too.",
        "copy_hugetlb_page_range",
        ("no", "yes"),
        (("", "no", ""), ("5.12", "yes", "4eae4efa2c29")),
    ),
    Rule(
        "fork_hugetlb_copy_writable",
        "How fork() maps the copy of a pinned hugetlb page: writable even where the mapping is not, or as the mapping"
        " says.",
        "hugetlb_install_folio",
        ("always", "vma_writable"),
        (("", "always", ""), ("6.14", "vma_writable", "")),
    ),
    Rule(
        "fork_skips_pud",
        "Whether fork() may leave out a 1 GiB hugetlb page, so that the child reads zeros: it asks whether the table of"
        " the child's entry is shared, by a count that only tables of 2 MiB entries have; what is in its place is"
        " chance.",
        "copy_hugetlb_page_range",
        ("no", "by_chance"),
        (("", "no", ""), ("6.17", "by_chance", "14967a9c7d24")),
        (
            ("5.10.253", "by_chance", "14967a9c7d24"),
            ("6.1.167", "by_chance", "14967a9c7d24"),
            ("6.12.74", "by_chance", "14967a9c7d24"),
        ),
    ),
    Rule(
        "write_protect_seq",
        "Whether GUP-fast lets its pins go again when fork() write-protected meanwhile.",
        "gup_fast",
        ("no", "yes"),
        (("", "no", ""), ("5.11", "yes", "57efa1fe5957")),
        (("5.10.4", "yes", "57efa1fe5957"),),
    ),
    Rule(
        "zero_page_pin_exempt",
        "Whether FOLL_PIN leaves the 4 KiB zero page uncounted: no; yes; in GUP-fast, while the slow path fails"
        ' (ENOMEM), as the backport to 6.1 did until "mm: Fix is_zero_page() usage in try_grab_page()".',
        "try_grab_folio",
        ("no", "yes", "slow_fails"),
        (("", "no", ""), ("6.5", "yes", "c8070b787519")),
        (("6.1.130", "slow_fails", "c8070b787519"), ("6.1.135", "yes", "")),
    ),
    Rule(
        "pincount_large",
        "Which folios count pins exactly: those of more than two pages, or all large ones.",
        "folio_has_pincount",
        ("more_than_two_pages", "large"),
        (("", "more_than_two_pages", ""), ("5.18", "large", "5232c63f46fd")),
    ),
    Rule(
        "foll_force",
        "How a forced write knows that COW was broken: it does not, and goes on as a read after the write fault that"
        " broke it (Dirty COW, CVE-2016-5195); a dirty entry after such a fault (FOLL_COW, 19be0eaffa3a); or the"
        " exclusive mark.",
        "can_follow_write_pte",
        ("drops_write", "foll_cow", "exclusive"),
        (("", "drops_write", ""), ("4.9", "foll_cow", "19be0eaffa3a"), ("6.0", "exclusive", "5535be309971")),
    ),
    Rule(
        "hugetlb_force_write",
        "A forced write to a hugetlb mapping without VM_WRITE: goes through and leaves the entry writable; is"
        " refused (EFAULT);"
        " goes through and leaves it read-only.",
        "check_vma_flags",
        ("unchecked", "refused", "supported"),
        (("", "unchecked", ""), ("6.0", "refused", "1d8d14641fd9"), ("6.14", "supported", "")),
    ),
    Rule(
        "swapin_exclusive",
        "When a page from swap is its process's alone: by map and swap counts and only for a write; by the mark in"
        " the swap entry, a fresh page, or a reference count of one; by the mark alone, every page now coming through"
        " the swap cache (read in 7.3, and not yet in 7.2.12).",
        "do_swap_page",
        ("counts_on_write", "mark_or_references", "mark"),
        (("", "counts_on_write", ""), ("5.19", "mark_or_references", "1493a1913e34"), ("7.3", "mark", "")),
    ),
    Rule(
        "swapin_maps_writable",
        "When an exclusive page from swap is mapped writable at once: for a write fault, or whenever the VMA is"
        " writable.",
        "do_swap_page",
        ("write_fault", "vma_writable"),
        (("", "write_fault", ""), ("6.11", "vma_writable", "c18160dba5ff")),
    ),
    Rule(
        "swapout_skips_pinned",
        "Whether reclaim leaves pages alone that may be pinned.",
        "shrink_folio_list",
        ("no", "yes"),
        (("", "no", ""), ("5.11", "yes", "feb889fb40fa")),
        (("5.10.9", "yes", "feb889fb40fa"),),
    ),
    Rule(
        "swap_large",
        "Large folios and swap: split before they go; or gone whole where all their pages are mapped in a row, and"
        " mapped whole by the first fault that finds them in the swap cache: for a device whose slots are kept in"
        " clusters, which one that rotates is not; or for every device.",
        "do_swap_page",
        ("split", "whole_in_clusters", "whole"),
        (("", "split", ""), ("6.11", "whole_in_clusters", "508758960b8d"), ("6.14", "whole", "7277433096f6")),
    ),
    Rule(
        "mapped_shared",
        "By what MADV_PAGEOUT, MADV_FREE and NUMA balancing judge whether another process maps a large folio, too: the"
        " mappings of the page at hand; a guess by the number of all mappings and the first page's; or who is known to"
        " map it.",
        "folio_maybe_mapped_shared",
        ("page", "guess", "mm_ids"),
        (("", "page", ""), ("6.10", "guess", ""), ("6.15", "mm_ids", "6af8cb80d3a9")),
    ),
    Rule(
        "pageout_shared_large",
        "MADV_PAGEOUT meets a PTE-mapped large folio that has to stay: it gives up the rest of that PMD's range, or"
        " goes on.",
        "madvise_cold_or_pageout_pte_range",
        ("gives_up", "goes_on"),
        (("", "gives_up", ""), ("6.10", "goes_on", "3931b871c494")),
    ),
    Rule(
        "mprotect_upgrade",
        "Which private pages mprotect() maps writable without a fault: none; exclusive, dirty ones mapped by PTEs;"
        " exclusive ones, THPs (c27f479ef542) too.",
        "can_change_pte_writable",
        ("none", "exclusive_dirty", "exclusive"),
        (("", "none", ""), ("6.0", "exclusive_dirty", "64fe24a3e05e"), ("6.2", "exclusive", "d84887739d5c")),
    ),
    Rule(
        "soft_dirty_skips_pinned",
        "Whether clearing soft-dirty leaves pages writable that may be pinned.",
        "clear_soft_dirty",
        ("no", "yes"),
        (("", "no", ""), ("5.11", "yes", "9348b73c2e1b")),
        (("5.10.9", "yes", "9348b73c2e1b"),),
    ),
    Rule(
        "fault_flag_sanity",
        "Whether faults refuse senseless flags: WRITE with UNSHARE, WRITE where neither VM_WRITE nor COW allows it;"
        " UNSHARE"
        " outside COW mappings becomes a read.",
        "sanitize_fault_flags",
        ("no", "yes"),
        (("", "no", ""), ("6.2", "yes", "cdc5021cda19")),
    ),
    Rule(
        "gup_args",
        "Which callers' flags GUP refuses: per entry point, the fast ones not knowing FOLL_NOFAULT, or knowing it; or"
        " all by is_valid_gup_args (internal flags, LONGTERM without PIN).",
        "is_valid_gup_args",
        ("per_entry_point", "per_entry_point_nofault", "is_valid_gup_args"),
        (
            ("", "per_entry_point", ""),
            ("5.16", "per_entry_point_nofault", "55b8fe703bc5"),
            ("6.3", "is_valid_gup_args", "d64e2dbc33a1"),
        ),
    ),
    Rule(
        "longterm_dirty_tracked",
        "A writable long-term pin of a shared mapping of a file system that tracks dirtying: allowed, or EFAULT.",
        "check_vma_flags",
        ("allowed", "refused"),
        (("", "allowed", ""), ("6.5", "refused", "8ac268436e6d")),
    ),
    Rule(
        "direct_io",
        "How direct I/O (O_DIRECT) takes the pages of user memory: by references (FOLL_GET), or by pins.",
        "bio_iov_iter_get_pages",
        ("foll_get", "foll_pin"),
        (("", "foll_get", ""), ("6.5", "foll_pin", "a7e689dd1c06")),
    ),
    Rule(
        "io_uring_gup",
        "How io_uring pins its fixed buffers: under mmap_lock, or by GUP-fast.",
        "io_pin_pages",
        ("slow", "fast"),
        (("", "slow", ""), ("6.10", "fast", "1943f96b3816")),
    ),
    Rule(
        "io_uring_files",
        "Of which files io_uring takes pages as fixed buffers: hugetlbfs; shmem too; whatever GUP gives.",
        "io_pin_pages",
        ("hugetlb", "hugetlb_shmem", "any"),
        (("", "hugetlb", ""), ("5.14", "hugetlb_shmem", "40dad765c045"), ("6.5", "any", "34ed8d0dcd69")),
        (("5.10.162", "hugetlb_shmem", "788d0824269b"),),
    ),
    Rule(
        "io_uring_ring",
        "Whether the pages of io_uring's rings count in the user's locked memory, too: until they were the memory"
        " cgroup's, and again since a ring is a region (8078486e1d53, too).",
        "io_create_region",
        ("charged", "free"),
        (("", "charged", ""), ("5.12", "free", "26bfa89e25f4"), ("6.14", "charged", "81a4058e0cd0")),
        (("5.10.162", "free", "788d0824269b"),),
    ),
    Rule(
        "io_uring_pinned_vm",
        "Of which processes io_uring counts fixed buffers in mm->pinned_vm: of all; or of those alone whose user pays,"
        ' which a process with CAP_IPC_LOCK does not make ("io_uring/rsrc: add huge page accounting for registered'
        ' buffers").',
        "io_buffer_account_pin",
        ("all", "user_pays"),
        (("", "all", ""), ("7.2", "user_pays", "")),
    ),
    Rule(
        "lru_batch",
        "How many fresh pages wait, each with one more reference, in the CPU's batch for the LRU.",
        "folio_add_lru",
        ("15", "31"),
        (("", "15", ""), ("6.9", "31", "9cecde80aae0")),
    ),
    Rule(
        "mremap_hugetlb",
        "Whether mremap() moves hugetlb mappings, or refuses (EINVAL).",
        "vma_to_resize",
        ("no", "yes"),
        (("", "no", ""), ("5.16", "yes", "550a7d60bd5e")),
    ),
    Rule(
        "mremap_several_vmas",
        "Whether mremap() moves a range of several VMAs in one go, or refuses (EFAULT).",
        "remap_move",
        ("no", "yes"),
        (("", "no", ""), ("6.17", "yes", "d23cb648e365")),
    ),
    Rule(
        "hugetlb_unmap_address",
        "Where an owner that finds no huge page to copy to takes its page from the other private mappings of the file:"
        " at its own address in each, so that one that mremap() has moved keeps the page, and the owner tries for ever;"
        ' or where each of them maps it ("mm/hugetlb: unmap the page where the other VMA maps it").',
        "unmap_ref_private",
        ("owner", "each_mapping"),
        (("", "owner", ""),),
        (("7.3.4", "each_mapping", ""),),
    ),
    Rule(
        "hugetlb_restores_reserve",
        "Whether an owner that gives up its private huge page gets the page's reserve back: no; at each unmapping, even"
        " while a child maps the page; or at the last one"
        ' ("hugetlb: only adjust reservation during unmapping if mapcount is 0", CVE-2026-89593; no hash known).',
        "__unmap_hugepage_range",
        ("no", "each_unmap", "last_unmap"),
        (("", "no", ""), ("6.9", "each_unmap", "df7a6d1f6405"), ("7.3", "last_unmap", "")),
        (("6.12.110", "last_unmap", ""),),
    ),
    Rule(
        "madv_dontneed_hugetlb",
        "Whether MADV_DONTNEED discards hugetlb pages, or refuses (EINVAL).",
        "madvise_dontneed_free",
        ("no", "yes"),
        (("", "no", ""), ("5.18", "yes", "90e7e7f5ef3f")),
    ),
    Rule(
        "dontneed_frees_tables",
        "Whether MADV_DONTNEED of all that a page table of base pages maps frees the table as well, so that a THP fits"
        " there again: where the kernel is configured so (CONFIG_PT_RECLAIM).",
        "zap_pte_range",
        ("no", "yes"),
        (("", "no", ""), ("6.14", "yes", "6375e95f381e")),
    ),
    Rule(
        "mprotect_unaccounts",
        "Whether private memory without pages of its own that becomes read-only is accounted no more, so that it is no"
        " longer like a part that has pages and is read-only, too (not in 6.1, and in 6.12).",
        "mprotect_fixup",
        ("no", "yes"),
        (("", "no", ""), ("6.7", "yes", "")),
    ),
    Rule(
        "vma_merges_anon",
        "Which VMAs that come to be alike become one where one of the two has no anonymous pages yet: those where that"
        " is the one that changed; or either, if fork() did not make the other.",
        "is_mergeable_anon_vma",
        ("neighbour_has", "either_has"),
        (("", "neighbour_has", ""), ("6.16", "either_has", "")),
    ),
    Rule(
        "dofork_hugetlb",
        "Whether MADV_DOFORK undoes MADV_DONTFORK for hugetlb, or is refused (EINVAL), as for all that is VM_SPECIAL"
        " (not yet in 6.18, and in 7.2; what lies between has not been read).",
        "madvise_vma_behavior",
        ("allowed", "refused"),
        (("", "allowed", ""), ("7.2", "refused", "")),
    ),
    Rule(
        "madv_populate",
        "Whether MADV_POPULATE_READ and MADV_POPULATE_WRITE exist.",
        "madvise_populate",
        ("no", "yes"),
        (("", "no", ""), ("5.14", "yes", "4ca9b3859dac")),
    ),
    Rule(
        "touch_pmd",
        "Whether GUP marks the huge entry that it follows dirty for any request (Huge Dirty COW, CVE-2017-1000405), or"
        " for writes alone.",
        "touch_pmd",
        ("any", "writes"),
        (("", "any", ""), ("4.15", "writes", "a8f97366452e")),
    ),
    Rule(
        "hugetlb_wp_reuse",
        "What a write to a read-only hugetlb page that is not exclusive judges reuse by: mappings alone, in every"
        " release, so that a child that holds the page by vmsplice() reads on in it; or references, too, which no"
        " release does: an owner could run out of huge pages.",
        "hugetlb_wp",
        ("mapcount", "references"),
        (("", "mapcount", ""),),
    ),
    Rule(
        "uffd_continue",
        "How UFFDIO_CONTINUE maps a page of shmem: it does not (EINVAL); dirty if the mapping is shared and writable;"
        " always dirty, so that a forced write that goes by FOLL_COW takes it for a private copy (CVE-2022-2590).",
        "mfill_atomic_install_pte",
        ("absent", "dirty_if_writable", "dirty"),
        (("", "absent", ""), ("5.14", "dirty_if_writable", "153132571f02"), ("5.16", "dirty", "9ae0f87d009c")),
    ),
    Rule(
        "numa_skips",
        "Which pages NUMA balancing's scan leaves accessible: in COW mappings those that are mapped more than once;"
        " there those with more than one reference (80d47f5de5e3); there those that are shared or may be pinned"
        " (d2136d749d76); pinned ones of any mapping, and THPs, too.",
        "folio_can_map_prot_numa",
        ("mapped_twice", "referenced", "shared_or_pinned", "any_pinned"),
        (
            ("", "mapped_twice", ""),
            ("5.17", "referenced", "80d47f5de5e3"),
            ("6.10", "shared_or_pinned", "d2136d749d76"),
            ("6.19", "any_pinned", "f66e2727ddfc"),
        ),
        (("5.10.102", "referenced", "80d47f5de5e3"),),
    ),
    Rule(
        "numa_write",
        "How a hinting fault knows that the entry was writable: the inaccessible entry has kept its write bit; or it is"
        " judged as mprotect() judges.",
        "do_numa_page",
        ("saved", "judged"),
        (("", "saved", ""), ("6.2", "judged", "6a56ccbcf6c6")),
    ),
    Rule(
        "numa_huge_fails",
        "What a hinting fault makes of the entry of a THP that cannot be moved because something else, such as a pin,"
        " holds it: read-only, so that, once the mapping is split, a write copies; or what it was.",
        "do_huge_pmd_numa_page",
        ("read_only", "as_it_was"),
        (("", "read_only", ""), ("5.14", "as_it_was", "c5b5a3dd2c1f")),
    ),
    Rule(
        "gup_protnone",
        "What GUP does at an entry that is inaccessible in an accessible mapping: it faults first, if not forced; or it"
        " follows, if not asked to honor hinting faults.",
        "gup_can_follow_protnone",
        ("faults", "follows"),
        (("", "faults", ""), ("6.5", "follows", "d74943a2f3cd")),
    ),
    Rule(
        "ksm_protects_exclusive",
        "Whether KSM looks who holds an exclusive page also where its entry is read-only and clean; without, it does so"
        " only where there is something to write-protect, and leaves a read-only pin of such a page behind.",
        "write_protect_page",
        ("no", "yes"),
        (("", "no", ""), ("5.19", "yes", "6c287605fd56")),
    ),
    Rule(
        "break_ksm",
        "How KSM takes back a merge, by MADV_UNMERGEABLE or because it failed: by a write fault, which leaves the page"
        " dirty and writable, or by unsharing.",
        "break_ksm",
        ("write", "unshare"),
        (("", "write", ""), ("6.2", "unshare", "6cce3314b928")),
    ),
    Rule(
        "thp_split_locks",
        "Whether splitting the huge entry of a THP waits for the folio lock, under which a write that judges reuse by"
        " mappings counts those of the pages and then that of the whole: without, a split in another process moves its"
        " mapping from the one to the other between the two, and is counted in neither (CVE-2020-29368).",
        "__split_huge_pmd",
        ("no", "yes"),
        (("", "no", ""), ("5.8", "yes", "c444eb564fb1")),
    ),
    Rule(
        "thp_split_zero_pages",
        "What becomes of the zero-filled pages of a THP that is split to base pages: they stay; or the zero page is"
        " mapped in their place.",
        "try_to_map_unused_to_zeropage",
        ("stay", "zero_page"),
        (("", "stay", ""), ("6.12", "zero_page", "b1f202060afe")),
    ),
    Rule(
        "madv_free_large",
        "What MADV_FREE does with a large folio that PTEs map: it splits it, if the page at hand is mapped once, or if"
        " the folio's first page is, and gives up the rest of that PMD's range where it cannot; or takes"
        " it whole where all of it is meant, and goes on.",
        "madvise_free_pte_range",
        ("splits", "splits_by_first", "whole"),
        (("", "splits", ""), ("6.5", "splits_by_first", "0e0e9bd5f7b9"), ("6.10", "whole", "dce7d10be4bb")),
        (("6.1.50", "splits_by_first", "0e0e9bd5f7b9"),),
    ),
    Rule(
        "lazyfree_held",
        "What reclaim does with a page freed by MADV_FREE that somebody holds: takes it away all the same, so that a"
        " pin of it is left behind; makes it an ordinary page again; or leaves it as it is, to be discarded once"
        " nobody holds it.",
        "try_to_unmap_one",
        ("discarded", "swap_backed", "kept"),
        (("", "discarded", ""), ("5.18", "swap_backed", "6c8e2a256915"), ("6.15", "kept", "faeb2831b517")),
        (("5.10.111", "swap_backed", "6c8e2a256915"),),
    ),
    Rule(
        "lazyfree_batch",
        "Which entries of a large folio freed by MADV_FREE reclaim unmaps together, and puts back with the rights of"
        " the first if it may not discard them: each by itself; all, so that read-only ones come back writable"
        " (CVE-2026-31398); those of equal rights.",
        "folio_unmap_pte_batch",
        ("single", "any_rights", "same_rights"),
        (("", "single", ""), ("6.15", "any_rights", "354dffd29575"), ("7.0", "same_rights", "29f40594a281")),
        (("6.18.20", "same_rights", "29f40594a281"),),
    ),
    Rule(
        "lazyfree_thp",
        "How reclaim discards a THP freed by MADV_FREE that a huge entry maps: it splits the entry first, and leaves a"
        " page table behind; or it takes the huge entry away, until \"mm/rmap: don't discard lazyfree THPs at PMD"
        ' level".',
        "try_to_unmap_one",
        ("split", "whole"),
        (("", "split", ""), ("6.11", "whole", "735ecdfaf4e8")),
        (("6.12.117", "split", ""), ("7.3.2", "split", "")),
    ),
    Rule(
        "pmd_modify_dirty",
        "Whether a THP's huge entry that was writable and dirty is still dirty after mprotect() or a NUMA scan: it is;"
        " or it is not, so that reclaim discards what was written after MADV_FREE.",
        "pmd_modify",
        ("kept", "lost"),
        (("", "kept", ""), ("6.6", "lost", "bb3aadf7d446"), ("7.3", "kept", "f7491d7c81db")),
        (("6.12.111", "kept", "f7491d7c81db"),),
    ),
)

BY_NAME = {rule.name: rule for rule in RULES}
