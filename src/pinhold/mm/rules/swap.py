"""Rules of swap: what reclaim takes, and how a page comes back."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class SwapRules:
    """Fields of the state."""

    rule_swapin_exclusive = Switch(
        "When a page from swap is its process's alone.",
        "do_swap_page",
        Value("counts_on_write", OLDEST, "by map and swap counts, and only for a write"),
        Value(
            "mark_or_references",
            Commit("1493a1913e34", "5.19"),
            "by the mark in the swap entry, if it is a fresh page, or by a reference count of one",
        ),
        Value(
            "mark",
            NoCommit("read in 7.3, and not yet in 7.2.12; its hash was not at hand", "7.3"),
            "by the mark in the swap entry alone, and every page comes through the swap cache",
        ),
    )
    rule_swapin_maps_writable = Switch(
        "When an exclusive page from swap is mapped writable at once.",
        "do_swap_page",
        Value("write_fault", OLDEST, "for a write fault"),
        Value("vma_writable", Commit("c18160dba5ff", "6.11"), "whenever the VMA is writable"),
    )
    rule_swapout_skips_pinned = Switch(
        "Whether reclaim leaves pages alone that may be pinned.",
        "shrink_folio_list",
        Value("no", OLDEST, "a pinned page goes into the swap cache like any other"),
        Value("yes", Commit("feb889fb40fa", "5.11"), "the page may be pinned, so it is not swapped out"),
    )
    rule_reclaim_skips_pinned = Switch(
        "What reclaim does with a page of a file that may be pinned, when it has unmapped it.",
        "shrink_folio_list",
        Value("no", OLDEST, "the same as with any other that it cannot free: a dirty one is marked, and waits"),
        Value(
            "yes",
            Commit("d824ec2a1546", "6.4"),
            "the page may be pinned, so it stays in the page cache as it is, without a mark",
        ),
    )
    rule_swap_large = Switch(
        "How large folios go to swap and come back: whole, all their pages have to be mapped in a row, and the first"
        " fault that finds them in the swap cache maps all.",
        "do_swap_page",
        Value("split", OLDEST, "they are split before they go"),
        Value(
            "whole_in_clusters",
            Commit("508758960b8d", "6.11"),
            "whole, for a device whose slots are kept in clusters, which one that rotates is not",
        ),
        Value("whole", Commit("7277433096f6", "6.14"), "whole, for every device"),
    )
    rule_swap_zero_filled = Switch(
        "What the swap device gets of a folio that is all zeros.",
        "swap_writepage",
        Value("written", OLDEST, "it is written like any other"),
        Value(
            "noted",
            Commit("0ca0c24e3211", "6.12"),
            "nothing: that it was zeros is noted, so it is free at once, and its pages come back one by one",
        ),
    )
    rule_mapped_shared = Switch(
        "By what MADV_PAGEOUT, MADV_FREE and NUMA balancing judge whether another process maps a large folio, too.",
        "folio_maybe_mapped_shared",
        Value("page", OLDEST, "by the mappings of the page at hand, or of the first of a THP that a PMD maps"),
        Value(
            "guess",
            Commit("eefb9b2725e3", "6.10"),
            "by a guess from the number of all mappings and the first page's",
        ),
        Value("mm_ids", Commit("6af8cb80d3a9", "6.15"), "by who is known to map it"),
    )
    rule_pageout_shared_large = Switch(
        "What MADV_PAGEOUT does at a PTE-mapped large folio that has to stay.",
        "madvise_cold_or_pageout_pte_range",
        Value("gives_up", OLDEST, "it gives up the rest of that PMD's range"),
        Value("goes_on", Commit("3931b871c494", "6.10"), "it goes on behind it"),
    )
    rule_readahead_mark = Switch(
        "Which page of an ordinary file (ext4) is marked, when pages around it are read at once, and not mapped by"
        " fault-around: as many pages before the end of what, as reading runs ahead.",
        "page_cache_ra_order",
        Value("end_of_file", OLDEST, "of what is read, which may end with the file", "do_page_cache_ra"),
        Value("end_of_window", Commit("7ac67301e82f", "6.16"), "of the window, wherever the file ends"),
    )


SWAPIN_BY_COUNTS_ON_WRITE, SWAPIN_BY_MARK_OR_REFERENCES, SWAPIN_BY_MARK = SwapRules.rule_swapin_exclusive.numbers
SWAPIN_WRITABLE_FOR_WRITE_FAULT, SWAPIN_WRITABLE_IF_VMA_WRITABLE = SwapRules.rule_swapin_maps_writable.numbers
SWAP_SPLIT, SWAP_WHOLE_IN_CLUSTERS, SWAP_WHOLE = SwapRules.rule_swap_large.numbers
ZERO_FILLED_WRITTEN, ZERO_FILLED_NOTED = SwapRules.rule_swap_zero_filled.numbers
SHARED_BY_PAGE, SHARED_BY_GUESS, SHARED_BY_MM_IDS = SwapRules.rule_mapped_shared.numbers
MARK_BEFORE_END_OF_FILE, MARK_BEFORE_END_OF_WINDOW = SwapRules.rule_readahead_mark.numbers
PAGEOUT_GIVES_UP, PAGEOUT_GOES_ON = SwapRules.rule_pageout_shared_large.numbers
