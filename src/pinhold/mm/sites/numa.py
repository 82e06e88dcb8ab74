"""Decision sites of NUMA balancing."""

from __future__ import annotations

from pinhold.mm.rules.numa import NumaRules
from pinhold.mm.sites.site import by_value, site

NUMA_HINTS = site(
    "numa_hints",
    "change_prot_numa",
    "the scan makes the page inaccessible until its next access",
    NumaRules.rule_numa_skips,
)
NUMA_SKIPS = site(
    "numa_skips", "folio_can_map_prot_numa", "the scan leaves the page accessible", NumaRules.rule_numa_skips
)
NUMA_RESTORES = site(
    "numa_restores", "do_numa_page", "the hinting fault makes the page accessible again", NumaRules.rule_numa_write
)
NUMA_LEFT_READ_ONLY = by_value("numa_left_read_only", NumaRules.rule_numa_huge_fails, "read_only")
