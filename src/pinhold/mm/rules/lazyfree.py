"""Rules of MADV_FREE and of what reclaim does with the pages."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class LazyfreeRules:
    """Fields of the state."""

    rule_madv_free_large = Switch(
        "What MADV_FREE does with a large folio that PTEs map.",
        "madvise_free_pte_range",
        Value(
            "splits",
            OLDEST,
            "it splits the folio if the page at hand is mapped once, and else gives up the rest of that PMD's range",
        ),
        Value(
            "splits_by_first",
            Commit("0e0e9bd5f7b9", "6.5"),
            "it splits the folio if its first page is mapped once, and else gives up the rest of that PMD's range",
        ),
        Value(
            "whole", Commit("dce7d10be4bb", "6.10"), "it takes the folio whole where all of it is meant, and goes on"
        ),
    )
    rule_lazyfree_held = Switch(
        "What reclaim does with a page freed by MADV_FREE that somebody holds.",
        "try_to_unmap_one",
        Value("discarded", OLDEST, "it takes the page away all the same, so that a pin of it is left behind"),
        Value("swap_backed", Commit("6c8e2a256915", "5.18"), "it makes it an ordinary page again"),
        Value("kept", Commit("faeb2831b517", "6.15"), "it leaves it, to be discarded once nobody holds it"),
    )
    rule_lazyfree_batch = Switch(
        "Which entries of a large folio freed by MADV_FREE reclaim unmaps together, and puts back with the rights of"
        " the first if it may not discard them.",
        "folio_unmap_pte_batch",
        Value("single", OLDEST, "each by itself"),
        Value(
            "any_rights",
            Commit("354dffd29575", "6.15"),
            "all together, so that read-only ones come back writable (CVE-2026-31398)",
        ),
        Value("same_rights", Commit("29f40594a281", "7.0"), "those of equal rights together"),
    )
    rule_lazyfree_thp = Switch(
        "How reclaim discards a THP freed by MADV_FREE that a huge entry maps.",
        "shrink_folio_list",
        Value("split_folio", OLDEST, "it splits the THP first; one that is held stays as it is"),
        Value("split", Commit("820c4e2e6f51", "5.18"), "it splits the entry first, and leaves a page table behind"),
        Value("whole", Commit("735ecdfaf4e8", "6.11"), "it takes the huge entry away (try_to_unmap_one())"),
    )


FREE_SPLITS, FREE_SPLITS_BY_FIRST, FREE_WHOLE = LazyfreeRules.rule_madv_free_large.numbers
HELD_DISCARDED, HELD_SWAP_BACKED, HELD_KEPT = LazyfreeRules.rule_lazyfree_held.numbers
BATCH_SINGLE, BATCH_ANY_RIGHTS, BATCH_SAME_RIGHTS = LazyfreeRules.rule_lazyfree_batch.numbers
LAZYFREE_THP_SPLIT_FOLIO, LAZYFREE_THP_SPLIT, LAZYFREE_THP_WHOLE = LazyfreeRules.rule_lazyfree_thp.numbers
