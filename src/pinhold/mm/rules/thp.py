"""Rules of THPs: splitting, and what a huge entry keeps."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class ThpRules:
    """Fields of the state."""

    rule_thp_split_locks = Switch(
        "Whether splitting the huge entry of a THP waits for the folio lock, under which a write that judges reuse by"
        " mappings counts those of the pages and then that of the whole.",
        "__split_huge_pmd",
        Value(
            "no",
            OLDEST,
            "it does not: a split in another process moves its mapping from the whole to the pages between the two"
            " counts, and is counted in neither (CVE-2020-29368)",
        ),
        Value("yes", Commit("c444eb564fb1", "5.8"), "it does"),
    )
    rule_thp_split_shared = Switch(
        "What of a THP is split that several processes map by huge entries.",
        "try_to_migrate_one",
        Value(
            "all",
            OLDEST,
            "all its huge entries, and the THP itself",
            again=Commit("939080834fef", "7.0"),
        ),
        Value(
            "one_entry",
            Commit("60fbb14396d5", "6.16"),
            "the huge entry that rmap finds first, and no more: the THP stays whole while something behind maps it",
        ),
    )
    rule_thp_split_zero_pages = Switch(
        "What becomes of the zero-filled pages of a THP that is split to base pages.",
        "try_to_map_unused_to_zeropage",
        Value("stay", OLDEST, "they stay"),
        Value(
            "zero_page",
            Commit("b1f202060afe", "6.12"),
            "a page of the THP that is split is zero-filled: the zero page is mapped instead",
        ),
    )
    rule_thp_split_dirty = Switch(
        "Whether the base-page entries are dirty that a dirty huge entry of a THP is split to.",
        "__split_huge_pmd_locked",
        Value("folio", OLDEST, "only the folio is dirty from here on, its entries are not"),
        Value(
            "entries",
            Commit("5436d6556937", "6.4"),
            "the entries stay dirty, and become soft-dirty where the kernel tracks it",
        ),
    )
    rule_thp_remap_dirty = Switch(
        "What of dirty entries comes back where a THP itself is split: all its entries are taken away meanwhile.",
        "remove_migration_pte",
        Value("folio", OLDEST, "the pages are dirty from here on, the entries are not"),
        Value("soft_dirty", Commit("2e3468778dbe", "6.1"), "the entries are dirty again, and soft-dirty"),
        Value(
            "exact",
            NoCommit("'mm/migrate: preserve exact soft-dirty state': its hash was not at hand", "6.9"),
            "the entries are as dirty and as soft-dirty as they were",
        ),
    )
    rule_pmd_modify_dirty = Switch(
        "Whether a THP's huge entry that was writable and dirty is still dirty after mprotect() or a NUMA scan.",
        "pmd_modify",
        Value("kept", OLDEST, "it is", again=Commit("f7491d7c81db", "7.3")),
        Value(
            "lost",
            Commit("bb3aadf7d446", "6.6"),
            "the huge entry was dirty and is no more: nothing tells now that the THP was written",
        ),
    )


SPLIT_ALL, SPLIT_ONE_ENTRY = ThpRules.rule_thp_split_shared.numbers
SPLIT_ZERO_PAGES_STAY, SPLIT_ZERO_PAGES_ZERO_PAGE = ThpRules.rule_thp_split_zero_pages.numbers
SPLIT_DIRTY_FOLIO, SPLIT_DIRTY_ENTRIES = ThpRules.rule_thp_split_dirty.numbers
REMAP_DIRTY_FOLIO, REMAP_SOFT_DIRTY, REMAP_DIRTY_EXACT = ThpRules.rule_thp_remap_dirty.numbers
PMD_DIRTY_KEPT, PMD_DIRTY_IS_LOST = ThpRules.rule_pmd_modify_dirty.numbers
