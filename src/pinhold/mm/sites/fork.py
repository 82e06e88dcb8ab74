"""Decision sites of fork()."""

from __future__ import annotations

from pinhold.mm.rules.fork import ForkRules
from pinhold.mm.sites.site import by_value, site

FORK_SHARES = site(
    "fork_shares", "copy_present_ptes", "parent and child share the page read-only", ForkRules.rule_fork_copies_pinned
)
FORK_COPIES_PINNED = site(
    "fork_copies_pinned",
    "copy_present_page",
    "the page may be pinned: the child gets a copy at once",
    ForkRules.rule_fork_copies_pinned,
)
FORK_SPLITS_PINNED_PMD = site(
    "fork_splits_pinned_pmd",
    "copy_huge_pmd",
    "the THP may be pinned: its mapping is split and copied page by page",
    ForkRules.rule_fork_copies_pinned,
)
FORK_SKIPS_VMA = site(
    "fork_skips_vma", "vma_needs_copy", "the mapping has no anonymous pages: the child faults its pages in again"
)
FORK_SKIPS_PUD = by_value("fork_skips_pud", ForkRules.rule_fork_skips_pud, "by_chance")
