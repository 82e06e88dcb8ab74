"""Thirty mistakes that somebody could make who reads the kernel in a hurry: each one line of mm/, all over it."""

from __future__ import annotations

import random

from planted import Mutant

MUTANTS: tuple[Mutant, ...] = (
    # The first touch of a page, and copy-on-write
    Mutant(
        "fault-around-fallocated",
        "memory:do_fault_around",
        "if page == NO_PAGE or m.folio_flags[page_folio(m, page)] & (FOLIO_FALLOCATED | FOLIO_READAHEAD):",
        "if page == NO_PAGE or m.folio_flags[page_folio(m, page)] & FOLIO_READAHEAD:",
        "a page that is in the page cache can be mapped: whether it is uptodate is forgotten",
        "6.12.117",
    ),
    Mutant(
        "swap-cache-page-is-copied",
        "wp:wp_can_reuse_anon_folio",
        "if m.folio_refcount[folio] > 1 + folio_test_swapcache(m, folio) or m.folio_flags[folio] & FOLIO_LOCKED:",
        "if m.folio_refcount[folio] > 1 or m.folio_flags[folio] & FOLIO_LOCKED:",
        "another commit's rule: a page that is still in the swap cache has a second reference, so a write copies it",
        "6.12.117",
    ),
    Mutant(
        "huge-zero-page-splits",
        "huge_memory:do_huge_pmd_wp_page",
        "if m.rule_huge_zero_wp == HUGE_ZERO_BECOMES_THP:",
        "if m.rule_huge_zero_wp != HUGE_ZERO_BECOMES_THP:",
        "another commit's rule: a write to the huge zero page splits its mapping",
        "6.18.15",
    ),
    Mutant(
        "ksm-page-of-one",
        "wp:wp_can_reuse",
        "if folio_test_ksm(m, folio):",
        "if folio_test_ksm(m, folio) and m.page_mapcount[page] > 1:",
        "a KSM page that only one process maps any more is its own again",
        "6.12.117",
    ),
    # fork()
    Mutant(
        "dontfork-leaves-a-hole-mapped",
        "fork:fork_begin",
        "if m.vma_end[vma] and not m.vma_flags[vma] & VM_DONTCOPY:",
        "if m.vma_end[vma]:",
        "MADV_DONTFORK gives the child an empty mapping (which is MADV_WIPEONFORK)",
        "6.12.117",
    ),
    Mutant(
        "limits-are-not-inherited",
        "fork:fork_begin",
        "m.mm_memlock[child] = m.mm_memlock[mm]",
        "m.mm_memlock[child] = -1",
        "a child has no RLIMIT_MEMLOCK of its parent's",
        "6.18.15",
    ),
    Mutant(
        "fork-keeps-swap-exclusive",
        "fork:copy_pte",
        "m.pte[slot] = entry & ~SWP_EXCLUSIVE",
        "m.pte[slot] = entry",
        "the child's swap entry loses the exclusive mark, the parent's keeps it",
        "6.12.117",
    ),
    Mutant(
        "fork-copies-the-head",
        "fork:copy_pte",
        "copy_present_page(m, dst_vma, dst, pte_pfn(entry), m.act_new[act])",
        "copy_present_page(m, dst_vma, dst, page_folio(m, pte_pfn(entry)), m.act_new[act])",
        "head instead of tail: what is copied of a pinned large folio is its first page",
        "6.1.192",
    ),
    # GUP, slow and fast, and unsharing
    Mutant(
        "unshares-what-is-not-shared",
        "follow:gup_must_unshare",
        "if is_cow_mapping(m.vma_flags[vma]):",
        "if not m.vma_flags[vma] & VM_SHARED:",
        "a mapping without VM_SHARED is private: MAP_SHARED of a file that was opened for reading is forgotten",
        "6.12.117",
    ),
    Mutant(
        "forced-write-to-shared",
        "follow:can_follow_write",
        "follows = follows and folio_test_anon(m, page_folio(m, page)) and page_anon_exclusive(m, page)",
        "follows = follows and folio_test_anon(m, page_folio(m, page))",
        "FOLL_FORCE may write to any anonymous page of a private mapping (CVE-2022-2590's room)",
        "6.12.117",
    ),
    Mutant(
        "slow-gup-takes-the-head",
        "gup:grab_entry",
        "page = pte_pfn(m.pte[slot]) + offset",
        "page = pte_pfn(m.pte[slot])",
        "head instead of tail: GUP of the middle of a huge page takes its first page",
        "6.12.117",
    ),
    Mutant(
        "fast-gup-trusts-huge-entries",
        "gup_fast:gup_fast_leaf_allowed",
        "return gup_fast_pmd_leaf(m, entry, flags)",
        "return True",
        "a THP that a PMD maps is one process's alone: GUP-fast need not ask whether to unshare it",
        "6.12.117",
    ),
    Mutant(
        "direct-io-takes-references",
        "users:direct_io_flags",
        "pins = m.rule_direct_io == DIRECT_IO_BY_FOLL_PIN",
        "pins = False",
        "another commit's rule: direct I/O takes its pages by FOLL_GET, which does not unshare",
        "6.12.117",
    ),
    Mutant(
        "vmsplice-all-or-nothing",
        "pinning:pin_taken",
        "if m.pin_count[pin] == 0 or (err < 0 and m.pin_flags[pin] & FOLL_PIN):",
        "if m.pin_count[pin] == 0 or err < 0:",
        "a request that fails part of the way keeps nothing, whoever makes it",
        "6.18.15",
    ),
    Mutant(
        "every-file-tracks-dirtying",
        "vma:vma_needs_dirty_tracking",
        "return m.file_kind[m.vma_file[vma]] == FILE_PAGECACHE",
        "return True",
        "every file system wants to hear of the first write to a page",
        "6.18.15",
    ),
    # Who pays
    Mutant(
        "io-uring-pays-by-the-page",
        "pin:pin_folio_pages",
        "total += 1 << m.folio_order[folio]",
        "total += m.run_count[run]",
        "io_uring charges the pages that it pinned, not all of a huge page that it touches",
        "6.18.15",
    ),
    Mutant(
        "io-uring-ring-is-free",
        "pin:memlock_charge_after",
        "if over_limit(m, mm, m.user_locked_vm[0] + charge + ring):",
        "if over_limit(m, mm, m.user_locked_vm[0] + charge):",
        "another commit's rule: the ring itself is not counted in locked memory",
        "6.18.15",
    ),
    # mprotect(), mremap(), and what VMAs are merged to
    Mutant(
        "mprotect-makes-any-anon-writable",
        "mprotect:can_change_writable",
        "return folio_test_anon(m, page_folio(m, pte_pfn(entry))) and page_anon_exclusive(m, pte_pfn(entry))",
        "return folio_test_anon(m, page_folio(m, pte_pfn(entry)))",
        "mprotect() may make any anonymous page of a private mapping writable at once",
        "6.12.117",
    ),
    Mutant(
        "mprotect-of-the-same-rights",
        "mprotect:mprotect_fixup",
        "if flags == m.vma_flags[vma]:",
        "if flags == 0:",
        "mprotect() goes through its range, and splits THPs at its ends, though the rights are the same",
        "6.12.117",
    ),
    # madvise(), what is taken away, and reclaim
    Mutant(
        "lazyfree-is-kept-if-read",
        "lazyfree:unmap_lazyfree",
        "if flags & PTE_DIRTY:",
        "if flags & CLEARED:",
        "a page that was given up by MADV_FREE is kept if it was touched since: accessed instead of dirty",
        "6.12.117",
    ),
    Mutant(
        "dontneed-keeps-page-tables",
        "zap:zap_empty_pte_tables",
        "if not m.rule_dontneed_frees_tables or not m.config_pt_reclaim or m.levels == 1:",
        "if m.rule_dontneed_frees_tables or not m.config_pt_reclaim or m.levels == 1:",
        "another commit's rule: page tables go with the mapping, and not with what MADV_DONTNEED takes away",
        "6.18.15",
    ),
    Mutant(
        "populate-without-rights",
        "gup:check_vma",
        "return -EINVAL if check_vma_flags(m, vma, flags) else 0",
        "return check_vma_flags(m, vma, flags)",
        "MADV_POPULATE_* fails as GUP does where there are no rights",
        "6.12.117",
    ),
    Mutant(
        "pageout-of-shared-pages",
        "vmscan:pageout_next",
        "if folio_mapcount(m, page) != 1:",
        "if folio_mapcount(m, page) < 1:",
        "MADV_PAGEOUT takes pages that others map, too",
        "6.18.15",
    ),
    Mutant(
        "swap-forgets-exclusive",
        "vmscan:try_to_unmap_pte",
        "flags = SWP_EXCLUSIVE if exclusive else 0",
        "flags = 0",
        "a swap entry does not keep that its page was exclusive (before 5.19)",
        "6.18.15",
    ),
    Mutant(
        "pageout-takes-pinned-pages",
        "vmscan:swapout_pinned",
        "if not m.rule_swapout_skips_pinned or not folio_maybe_dma_pinned(m, folio):",
        "if m.rule_swapout_skips_pinned or not folio_maybe_dma_pinned(m, folio):",
        "another commit's rule: a pin does not keep a page mapped, it only keeps the frame",
        "5.10.262",
    ),
    # THPs and their counts
    Mutant(
        "split-marks-the-head",
        "rmap:split_entire_mapping",
        "m.page_exclusive[page] = exclusive",
        "m.page_exclusive[page] = exclusive if page == folio else 0",
        "head instead of tail: a THP's exclusive mark stays at its first page when its PMD is split",
        "6.12.117",
    ),
    Mutant(
        "shared-by-two-is-known",
        "rmap:large_mapcount_add",
        "if m.folio_large_mapcount[folio] != count:",
        "if m.folio_large_mapcount[folio] < count:",
        "a large folio is marked as shared when a third process maps it: two have a slot each",
        "6.18.15",
    ),
    # hugetlb's reservations
    Mutant(
        "shared-hugetlb-reserves-again",
        "hugetlb:hugetlb_reserve",
        "if cache_lookup(m, file, index) != NO_PAGE:",
        "if False:",
        "each mapping of a hugetlb file reserves all its pages, also those that the file has",
        "6.12.117",
    ),
    # userfaultfd
    Mutant(
        "continue-forgets-the-anon-vma",
        "userfaultfd:uffdio_continue",
        "if err == 0 and prepares and not m.vma_flags[vma] & VM_SHARED:",
        "if err == 0 and prepares and m.vma_flags[vma] & VM_SHARED:",
        "UFFDIO_CONTINUE maps pages of a file, and so a private mapping has nothing for fork() to copy",
        "6.12.117",
    ),
    Mutant(
        "continue-tells-the-first-error",
        "userfaultfd:uffdio_continue",
        "-EAGAIN if err and m.act_arg[act] else err",
        "err",
        "UFFDIO_CONTINUE says why it stopped, though it has done a part",
        "6.18.15",
    ),
)
"""Seven of the thirty that were chosen first are MISSED, and others stand in for them; one more was no mistake: what it
planted is what kernels do."""

MISSED: tuple[Mutant, ...] = (
    Mutant(
        "large-reuse-of-the-last-page",
        "wp:wp_can_reuse_large_anon_folio",
        "folio_mapcount(m, folio) <= 1:",
        "folio_mapcount(m, folio) < 1:",
        "the last page of a large folio that is still mapped can be written to in place, as a small one",
        "6.18.15",
    ),
    Mutant(
        "fork-copies-any-pinned",
        "fork:must_copy_pinned",
        "m.rule_fork_copies_pinned == FORK_EXCLUSIVE and not page_anon_exclusive(m, page)",
        "m.rule_fork_copies_pinned == FORK_EXCLUSIVE and not folio_test_anon(m, page_folio(m, page))",
        "another commit's rule: fork() copies every anonymous page that may be pinned, exclusive or not",
        "6.18.15",
    ),
    Mutant(
        "mremap-forgets-swap-entries",
        "mremap:move_entry",
        "entry |= PTE_SOFT_DIRTY if pte_present(entry) else SWP_SOFT_DIRTY",
        "entry |= PTE_SOFT_DIRTY if pte_present(entry) else 0",
        "what mremap() moves comes out soft-dirty if it is present",
        "6.12.117",
    ),
    Mutant(
        "vmas-merge-if-either-is-fresh",
        "vma:is_mergeable_anon_vma",
        "return other == 0 and own > 0 and m.rule_vma_merges_anon == MERGES_IF_EITHER_HAS",
        "return other == 0 and own > 0",
        "another commit's rule: VMAs merge if either of them has no anonymous memory yet",
        "6.12.117",
    ),
    Mutant(
        "pageout-gives-up",
        "vmscan:pageout_next",
        "if m.rule_pageout_shared_large == PAGEOUT_GIVES_UP:",
        "if m.rule_pageout_shared_large != PAGEOUT_GIVES_UP:",
        "another commit's rule: MADV_PAGEOUT leaves the rest of a page table where a large folio stays",
        "6.12.117",
    ),
    Mutant(
        "sharers-by-this-page",
        "rmap:folio_maybe_mapped_shared",
        "return m.page_mapcount[folio] > 1",
        "return m.page_mapcount[page] > 1",
        "tail instead of head: the guess who shares a large folio looks at the page at hand",
        "6.12.117",
    ),
    Mutant(
        "split-loses-the-reserve",
        "mmap:vma_split",
        "m.vma_reserve[upper] = m.vma_reserve[vma] >> units",
        "m.vma_reserve[upper] = 0",
        "the reserve of a hugetlb mapping that is cut in two stays with its beginning",
        "6.12.117",
    ),
)
"""Mistakes that random steps did not find in tens of thousands: each takes a chain of steps on one page that comes up
too seldom."""

TEN = tuple(mutant.name for mutant in random.Random(12).sample(MUTANTS, 10))
"""Drawn by lot, and looked for on real kernels, too: `planted.py NAME conform --on vm:6.12`."""
