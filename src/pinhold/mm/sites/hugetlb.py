"""Decision sites of hugetlb."""

from __future__ import annotations

from pinhold.mm.rules.hugetlb import HugetlbRules
from pinhold.mm.sites.site import by_value, site

HUGETLB_WP_REUSE_MAPCOUNT = by_value("hugetlb_wp_reuse_mapcount", HugetlbRules.rule_hugetlb_wp_reuse, "mapcount")
HUGETLB_WP_COPY = site("hugetlb_wp_copy", "hugetlb_wp", "the huge page is copied")
HUGETLB_FORCE_REFUSED = by_value("hugetlb_force_refused", HugetlbRules.rule_hugetlb_force_write, "refused")
HUGETLB_CACHE_EACH_PAGE = by_value("hugetlb_cache_each_page", HugetlbRules.rule_hugetlb_cache_refs, "each_page")
HUGETLB_UNMAP_CHILDREN = site(
    "hugetlb_unmap_children", "unmap_ref_private", "no huge page to copy to: the page is taken from the children"
)
HUGETLB_TRIES_AGAIN = site(
    "hugetlb_tries_again",
    "hugetlb_wp",
    "no huge page is free and nothing could be unmapped, so it tries again",
    HugetlbRules.rule_hugetlb_unmap_address,
)
HUGETLB_RESERVE_LOST = site(
    "hugetlb_reserve_lost",
    "clear_vma_resv_huge_pages",
    "a part of the mapping moves and takes the reserve of all of it along: what stays has none, and what was "
    "reserved for it is lost",
)
HUGETLB_WP_REUSE_EXCLUSIVE = site(
    "hugetlb_wp_reuse_exclusive",
    "hugetlb_wp",
    "the huge page is exclusive, so it is used as it is",
    HugetlbRules.rule_hugetlb_wp_reuse,
)
HUGETLB_WP_REUSE_REFCOUNT = by_value("hugetlb_wp_reuse_refcount", HugetlbRules.rule_hugetlb_wp_reuse, "references")
HUGETLB_RESERVE_EARLY = by_value("hugetlb_reserve_early", HugetlbRules.rule_hugetlb_restores_reserve, "each_unmap")
