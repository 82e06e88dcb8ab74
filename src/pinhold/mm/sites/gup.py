"""Decision sites of GUP."""

from __future__ import annotations

from pinhold.mm.rules.gup import GupRules
from pinhold.mm.rules.hugetlb import HugetlbRules
from pinhold.mm.sites.site import by_value, site

MUST_UNSHARE_ANON = site(
    "must_unshare_anon",
    "gup_must_unshare",
    "the anonymous page may be shared: unshare it before the pin",
    GupRules.rule_gup_unshares,
)
MUST_UNSHARE_COW_MAPPING = site(
    "must_unshare_cow_mapping",
    "gup_must_unshare",
    "a long-term pin in a COW mapping: break COW before the pin",
    GupRules.rule_gup_unshares,
)
MUST_UNSHARE_NO_VMA = site(
    "must_unshare_no_vma",
    "gup_must_unshare",
    "a long-term pin without a VMA: perhaps; the slow path decides",
    GupRules.rule_gup_unshares,
)
UNSHARE_NOT_LONGTERM = site(
    "unshare_not_longterm",
    "gup_must_unshare",
    "a short pin is a snapshot: the page is pinned as it is",
    GupRules.rule_gup_unshares,
)
UNSHARE_NOT_NEEDED_EXCLUSIVE = site(
    "unshare_not_needed_exclusive",
    "gup_must_unshare",
    "the anonymous page is exclusive: it is pinned as it is",
    GupRules.rule_gup_unshares,
)
UNSHARE_NOT_NEEDED_SHARED_MAPPING = site(
    "unshare_not_needed_shared_mapping",
    "gup_must_unshare",
    "not a COW mapping: the page is pinned as it is",
    GupRules.rule_gup_unshares,
)
UNSHARE_RULE_ABSENT = site(
    "unshare_rule_absent",
    "gup_must_unshare",
    "this kernel does not break COW here: the page is pinned as it is",
    GupRules.rule_gup_unshares,
)
FOLL_FORCE_FOLLOWS = site(
    "foll_force_follows",
    "can_follow_write_pte",
    "COW is broken, so the forced write goes through the read-only entry",
    GupRules.rule_foll_force,
)
GUP_ARGS_INVALID = site(
    "gup_args_invalid", "is_valid_gup_args", "the caller's flags are not allowed", GupRules.rule_gup_args
)
GUP_VMA_REFUSED = site(
    "gup_vma_refused",
    "check_vma_flags",
    "the mapping's rights do not allow the request",
    HugetlbRules.rule_hugetlb_force_write,
)
HUGETLB_TOUCHED = by_value("hugetlb_touched", HugetlbRules.rule_hugetlb_touch, "yes")
GUP_DIRTY_TRACKED_REFUSED = by_value("gup_dirty_tracked_refused", GupRules.rule_longterm_dirty_tracked, "refused")
FAST_PINNED = site("fast_pinned", "gup_fast", "pinned in the fast path")
FAST_FALLS_BACK = site("fast_falls_back", "gup_fast", "the fast path stops here; the slow path does the rest")
FAST_ENTRY_CHANGED = site("fast_entry_changed", "gup_fast_pte_range", "the entry changed while its folio was grabbed")
FAST_DIRTY_TRACKED_REFUSED = site(
    "fast_dirty_tracked_refused",
    "gup_fast_folio_allowed",
    "a file that may track dirtying: the slow path decides",
    GupRules.rule_longterm_dirty_tracked,
)
FAST_FORK_SEEN = by_value("fast_fork_seen", GupRules.rule_write_protect_seq, "yes")
FOLL_WRITE_DROPPED = by_value("foll_write_dropped", GupRules.rule_foll_force, "drops_write")
PIN_LEAVES_CLEAN = site(
    "pin_leaves_clean",
    "__gup_longterm_locked",
    "pinned for writing, and neither the entry nor the page is marked dirty",
    GupRules.rule_pin_touches,
)
TOUCH_PMD_READ = by_value("touch_pmd_read", GupRules.rule_touch_pmd, "any")
GUP_HONORS_NUMA_FAULT = site(
    "gup_honors_numa_fault",
    "gup_can_follow_protnone",
    "the request asks for hinting faults, so the page is faulted in first",
    GupRules.rule_gup_protnone,
)
