"""Rules of fork(): what is copied at once, what is shared, and what is left to the child's faults."""

from __future__ import annotations

from pinhold.mm.rules.switch import OLDEST, Commit, Switch, Value


class ForkRules:
    """Fields of the state."""

    rule_fork_copies_pinned = Switch(
        "Which pages that may be pinned fork() copies at once.",
        "copy_present_page",
        Value("none", OLDEST, "none: parent and child share the page read-only"),
        Value("any", Commit("70e806e4e645", "5.9"), "any in a COW mapping"),
        Value("anonymous", Commit("935a8b620210", "5.10.153"), "anonymous ones"),
        Value("exclusive", Commit("fb3d824d1a46", "5.19"), "exclusive anonymous ones"),
    )
    rule_fork_copies_hugetlb_files = Switch(
        "Whether fork() copies the entries of a hugetlb mapping without anonymous pages.",
        "vma_needs_copy",
        Value("yes", OLDEST, "the child gets the parent's entries"),
        Value("no", Commit("bcd51a3c679d", "6.0"), "the child faults its pages in again"),
    )
    rule_fork_copies_pinned_hugetlb = Switch(
        "Whether fork() copies pinned hugetlb pages at once, too.",
        "copy_hugetlb_page_range",
        Value("no", OLDEST, "a pinned hugetlb page is shared like any other"),
        Value("yes", Commit("4eae4efa2c29", "5.12"), "the child gets a copy of a pinned hugetlb page at once"),
    )
    rule_fork_hugetlb_copy_writable = Switch(
        "How fork() maps the copy of a pinned hugetlb page.",
        "hugetlb_install_folio",
        Value("always", OLDEST, "writable, even where the mapping is not"),
        Value(
            "vma_writable",
            Commit("d8fd84dd4ce7", "6.14"),
            "writable if the mapping is",
        ),
    )
    rule_fork_skips_pud = Switch(
        "Whether fork() may leave out a 1 GiB hugetlb page: it asks whether the table of the child's entry is shared,"
        " by a count that only tables of 2 MiB entries have; what is in its place is chance.",
        "copy_hugetlb_page_range",
        Value("no", OLDEST, "no 1 GiB page is left out"),
        Value(
            "by_chance",
            Commit("14967a9c7d24", "6.17"),
            "the child's page table is taken for a shared one: the page is left out, and the child reads zeros",
        ),
    )


FORK_NONE, FORK_ANY, FORK_ANONYMOUS, FORK_EXCLUSIVE = ForkRules.rule_fork_copies_pinned.numbers
COPIES_HUGETLB_FILES_YES, COPIES_HUGETLB_FILES_NO = ForkRules.rule_fork_copies_hugetlb_files.numbers
HUGETLB_COPY_ALWAYS, HUGETLB_COPY_VMA_WRITABLE = ForkRules.rule_fork_hugetlb_copy_writable.numbers
SKIPS_PUD_NO, SKIPS_PUD_BY_CHANCE = ForkRules.rule_fork_skips_pud.numbers
