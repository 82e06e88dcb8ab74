"""Decision sites of KSM."""

from __future__ import annotations

from pinhold.mm.rules.ksm import KsmRules
from pinhold.mm.sites.site import by_value, site

KSM_HELD_KEPT = site("ksm_held_kept", "write_protect_page", "somebody holds the page, so KSM leaves it alone")
KSM_PROTECTS = site("ksm_protects", "write_protect_page", "nobody holds the page, so KSM write-protects it")
KSM_PROTECTS_UNSEEN = by_value("ksm_protects_unseen", KsmRules.rule_ksm_protects_exclusive, "no")
KSM_PASSES_OVER = by_value("ksm_passes_over", KsmRules.rule_ksm_protnone, "passed_over")
KSM_FORGETS_CHECKSUM = by_value("ksm_forgets_checksum", KsmRules.rule_ksm_checksum, "forgotten")
KSM_SEARCHES_FIRST = by_value("ksm_searches_first", KsmRules.rule_ksm_search, "first")
KSM_MERGES = site("ksm_merges", "replace_page", "the contents are equal, so the KSM page takes the page's place")
