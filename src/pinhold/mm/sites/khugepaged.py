"""Decision sites of MADV_COLLAPSE."""

from __future__ import annotations

from pinhold.mm.rules.khugepaged import CollapseRules
from pinhold.mm.sites.site import by_value, site

COLLAPSE_COPIES = site(
    "collapse_copies", "__collapse_huge_page_copy", "the pages are copied to a THP, which takes their place"
)
COLLAPSE_HELD_KEPT = site(
    "collapse_held_kept",
    "__collapse_huge_page_isolate",
    "something else holds a page, so the pages stay as they are",
    CollapseRules.rule_madv_collapse_held,
)
COLLAPSE_READ_ONLY_KEPT = by_value("collapse_read_only_kept", CollapseRules.rule_madv_collapse, "writable")
COLLAPSE_STOPS_AT_GAP = by_value("collapse_stops_at_gap", CollapseRules.rule_madv_collapse_gap, "stops")
COLLAPSE_PART_REFUSED = by_value("collapse_part_refused", CollapseRules.rule_madv_collapse_part, "einval")
