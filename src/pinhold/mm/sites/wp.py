"""Decision sites of faults."""

from __future__ import annotations

from pinhold.mm.rules.wp import WpRules
from pinhold.mm.sites.site import by_value, site

ANON_READ_ZERO_PAGE = site(
    "anon_read_zero_page", "do_anonymous_page", "a read of untouched anonymous memory maps the shared zero page"
)
FAULT_SANITY_CLEARED = site(
    "fault_sanity_cleared",
    "sanitize_fault_flags",
    "unsharing outside a COW mapping is an ordinary read",
    WpRules.rule_fault_flag_sanity,
)
FAULT_SANITY_SIGSEGV = site(
    "fault_sanity_sigsegv",
    "sanitize_fault_flags",
    "the fault's flags make no sense here: SIGSEGV",
    WpRules.rule_fault_flag_sanity,
)
UNSHARE_NOT_ANON = site(
    "unshare_not_anon",
    "do_wp_page",
    "the page is not anonymous, so unsharing leaves it as it is",
    WpRules.rule_unshare_breaks,
)
UNSHARE_COPIES = site(
    "unshare_copies",
    "do_wp_page",
    "unsharing replaces the page by an exclusive anonymous copy",
    WpRules.rule_unshare_breaks,
)
WP_COPY = site("wp_copy", "do_wp_page", "the write gets an exclusive anonymous copy")
WP_REUSE_EXCLUSIVE = site(
    "wp_reuse_exclusive", "do_wp_page", "the page is exclusive, so it is used as it is", WpRules.rule_anon_exclusive
)
WP_REUSE_REFCOUNT = site(
    "wp_reuse_refcount",
    "wp_can_reuse_anon_folio",
    "nothing else holds the page, so it is used as it is",
    WpRules.rule_wp_reuse,
)
WP_REUSE_LARGE = by_value("wp_reuse_large", WpRules.rule_wp_reuse_large, "exclusive_mm")
WP_SHARED = site("wp_shared", "do_wp_page", "a shared mapping: the page is made writable")
WP_REUSE_MAPCOUNT = by_value("wp_reuse_mapcount", WpRules.rule_wp_reuse, "mapcount")
KSM_NEVER_REUSED = site("ksm_never_reused", "do_wp_page", "a KSM page is copied, whoever else has it")
