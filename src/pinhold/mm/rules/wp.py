"""Rules of write and unshare faults, and of fresh pages."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class WpRules:
    """Fields of the state."""

    rule_unshare_breaks = Switch(
        "What a FAULT_FLAG_UNSHARE fault replaces by an exclusive anonymous page.",
        "do_wp_page",
        Value("none", OLDEST, "nothing: there is no such fault"),
        Value(
            "anon",
            Commit("c89357e27f20", "5.19"),
            "shared anonymous pages alone: what is not anonymous stays as it is",
        ),
        Value("cow_mapping", Commit("8d6a0ac09a16", "6.2"), "whatever a COW mapping maps and is not exclusive"),
    )
    rule_anon_exclusive = Switch(
        "Whether anonymous pages carry PageAnonExclusive.",
        "do_wp_page",
        Value("no", OLDEST, "counts tell whether an anonymous page is one process's alone"),
        Value("yes", Commit("6c287605fd56", "5.19"), "an exclusive page is used as it is, whatever its counts"),
    )
    rule_wp_reuse = Switch(
        "What a write to a read-only anonymous page judges reuse by.",
        "do_wp_page",
        Value(
            "mapcount",
            OLDEST,
            "nobody else maps the page, so it is used as it is, whoever else holds it",
            "reuse_swap_page",
        ),
        Value(
            "references",
            Commit("09854ba94c6a", "5.9"),
            "a page with one reference is used as it is; one of the LRU batch or the swap cache makes the owner copy",
        ),
        Value(
            "references_drained",
            Commit("d4c470970d45", "5.18"),
            "a page with one reference beside those of the LRU batch and the swap cache is used as it is",
            "wp_can_reuse_anon_folio",
        ),
    )
    rule_wp_reuse_large = Switch(
        "When a page of a PTE-mapped large folio that is not exclusive is written in place.",
        "wp_can_reuse_anon_folio",
        Value("references", OLDEST, "if nothing else holds the folio, like a small one"),
        Value("never", Commit("cd197c3a2040", "6.9"), "never: it is copied"),
        Value(
            "exclusive_mm",
            Commit("1da190f4d0a6", "6.15"),
            "all of the large folio is mapped by this process alone, so its page is used as it is",
        ),
    )
    rule_huge_wp_reuse = Switch(
        "What a write to a read-only PMD-mapped THP judges reuse by.",
        "do_huge_pmd_wp_page",
        Value("mapcount", OLDEST, "nobody else maps the THP, so it is used as it is, whoever else holds it"),
        Value("references", Commit("3bff7e3f1f16", "5.18"), "nothing else holds the THP, so it is used as it is"),
    )
    rule_huge_zero_wp = Switch(
        "What a write (or unshare) of the huge zero folio gets.",
        "do_huge_pmd_wp_page",
        Value("split", OLDEST, "the huge zero mapping is split into mappings of the zero page"),
        Value("thp", Commit("1ced09e0331f", "6.13"), "the huge zero mapping is replaced by a THP"),
    )
    rule_fault_flag_sanity = Switch(
        "Whether faults refuse senseless flags.",
        "sanitize_fault_flags",
        Value("no", OLDEST, "the flags are taken as they are"),
        Value(
            "yes",
            Commit("cdc5021cda19", "6.2"),
            "WRITE with UNSHARE, and WRITE where neither VM_WRITE nor COW allows it, are SIGSEGV; UNSHARE outside COW"
            " mappings is a read",
        ),
    )
    rule_lru_batch = Switch(
        "How many fresh pages wait, each with one more reference, in the CPU's batch for the LRU.",
        "folio_add_lru",
        Value("15", OLDEST, "fifteen"),
        Value("31", Commit("9cecde80aae0", "6.9"), "thirty-one"),
    )


BREAKS_NONE, BREAKS_ANON, BREAKS_COW_MAPPING = WpRules.rule_unshare_breaks.numbers
WP_BY_MAPCOUNT, WP_BY_REFERENCES, WP_BY_REFERENCES_DRAINED = WpRules.rule_wp_reuse.numbers
LARGE_REUSE_REFERENCES, LARGE_REUSE_NEVER, LARGE_REUSE_EXCLUSIVE_MM = WpRules.rule_wp_reuse_large.numbers
HUGE_WP_BY_MAPCOUNT, HUGE_WP_BY_REFERENCES = WpRules.rule_huge_wp_reuse.numbers
HUGE_ZERO_BECOMES_SPLIT, HUGE_ZERO_BECOMES_THP = WpRules.rule_huge_zero_wp.numbers
LRU_BATCH_15, LRU_BATCH_31 = WpRules.rule_lru_batch.numbers
