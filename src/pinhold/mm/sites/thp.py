"""Decision sites of THPs."""

from __future__ import annotations

from pinhold.mm.rules.thp import ThpRules
from pinhold.mm.rules.wp import WpRules
from pinhold.mm.sites.site import by_value, site

HUGE_ZERO_READ = site(
    "huge_zero_read", "do_huge_pmd_anonymous_page", "a read of an untouched THP area maps the huge zero folio"
)
HUGE_ZERO_WP_SPLIT = by_value("huge_zero_wp_split", WpRules.rule_huge_zero_wp, "split")
HUGE_ZERO_WP_THP = by_value("huge_zero_wp_thp", WpRules.rule_huge_zero_wp, "thp")
HUGE_WP_REUSE_EXCLUSIVE = site(
    "huge_wp_reuse_exclusive",
    "do_huge_pmd_wp_page",
    "the THP is exclusive, so it is used as it is",
    WpRules.rule_anon_exclusive,
)
HUGE_WP_REUSE_MAPCOUNT = by_value("huge_wp_reuse_mapcount", WpRules.rule_huge_wp_reuse, "mapcount")
HUGE_WP_REUSE_REFCOUNT = by_value("huge_wp_reuse_refcount", WpRules.rule_huge_wp_reuse, "references")
HUGE_WP_SPLIT = site(
    "huge_wp_split",
    "do_huge_pmd_wp_page",
    "something else maps or holds the THP: its mapping is split and base pages are dealt with",
    WpRules.rule_huge_wp_reuse,
)
SHARE_REFUSED_PINNED = site(
    "share_refused_pinned",
    "folio_try_share_anon_rmap_pte",
    "the exclusive page may be pinned, so it stays mapped",
    WpRules.rule_anon_exclusive,
)
HUGE_WP_COUNTS_PAGES = site(
    "huge_wp_counts_pages",
    "page_trans_huge_mapcount",
    "the mappings of the THP's pages are counted, then that of the whole; a split may come between",
    ThpRules.rule_thp_split_locks,
)
THP_SPLIT_ONE_ENTRY = by_value("thp_split_one_entry", ThpRules.rule_thp_split_shared, "one_entry")
THP_SPLIT_ZERO_PAGE = by_value("thp_split_zero_page", ThpRules.rule_thp_split_zero_pages, "zero_page")
SPLIT_KEEPS_DIRTY = by_value("split_keeps_dirty", ThpRules.rule_thp_split_dirty, "entries")
REMAP_MAKES_SOFT_DIRTY = by_value("remap_makes_soft_dirty", ThpRules.rule_thp_remap_dirty, "soft_dirty")
PMD_DIRTY_LOST = by_value("pmd_dirty_lost", ThpRules.rule_pmd_modify_dirty, "lost")
