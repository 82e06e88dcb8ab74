"""Rules of KSM."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, NoCommit, Switch, Value


class KsmRules:
    """Fields of the state."""

    rule_ksm_protects_exclusive = Switch(
        "Whether KSM looks who holds an exclusive page also where its entry is read-only and clean.",
        "write_protect_page",
        Value("no", OLDEST, "the entry is read-only and clean already, so KSM does not look who holds the page"),
        Value("yes", Commit("6c287605fd56", "5.19"), "it looks who holds every exclusive page"),
    )
    rule_break_ksm = Switch(
        "How KSM takes back a merge, by MADV_UNMERGEABLE or because it failed.",
        "break_ksm",
        Value("write", OLDEST, "by a write fault, which leaves the page dirty and writable"),
        Value("unshare", Commit("6cce3314b928", "6.2"), "by unsharing"),
    )
    rule_ksm_protnone = Switch(
        "Whether KSM finds a page again that is mapped inaccessible (PROT_NONE).",
        "get_mergeable_page",
        Value("found", OLDEST, "it finds the page", again=Commit("d74943a2f3cd", "6.5")),
        Value(
            "passed_over",
            Commit("474098edac26", "6.1"),
            "it finds none there: nothing is merged with it, and searches that meet it end",
        ),
    )
    rule_ksm_checksum = Switch(
        "Whether ksmd still knows the checksum of a page that was merged, or merged in vain, and was copied.",
        "remove_rmap_item_from_tree",
        Value("kept", OLDEST, "it knows it: a page with the same content again is merged in the next scan"),
        Value(
            "forgotten",
            NoCommit("'ksm: add linear_page_index into ksm_rmap_item': its hash was not at hand", "7.3"),
            "the place of the checksum was taken meanwhile: the next scan only looks at the page",
        ),
    )
    rule_ksm_search = Switch(
        "Whether ksmd looks for a KSM page to merge a page into before it asks whether the page has changed.",
        "cmp_and_merge_page",
        Value(
            "first", OLDEST, "ksmd looks for a KSM page of the same content first, whether or not the page has changed"
        ),
        Value("after_checksum", Commit("d58a361b0350", "6.11"), "ksmd passes over a page that has changed"),
    )


BREAK_KSM_BY_WRITE, BREAK_KSM_BY_UNSHARE = KsmRules.rule_break_ksm.numbers
PROTNONE_FOUND, PROTNONE_PASSED_OVER = KsmRules.rule_ksm_protnone.numbers
CHECKSUM_KEPT, CHECKSUM_FORGOTTEN = KsmRules.rule_ksm_checksum.numbers
SEARCH_FIRST, SEARCH_AFTER_CHECKSUM = KsmRules.rule_ksm_search.numbers
