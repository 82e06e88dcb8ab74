"""Decision sites of MADV_FREE and what reclaim makes of it."""

from __future__ import annotations

from pinhold.mm.rules.lazyfree import LazyfreeRules
from pinhold.mm.sites.site import site

MADV_FREE_SPLITS = site(
    "madv_free_splits",
    "madvise_free_pte_range",
    "the large folio is split, so that its pages can be freed one by one",
    LazyfreeRules.rule_madv_free_large,
)
LAZYFREE_DISCARDED = site(
    "lazyfree_discarded", "try_to_unmap_one", "the page was not written since MADV_FREE: its content goes"
)
LAZYFREE_WRITTEN_KEPT = site(
    "lazyfree_written_kept", "try_to_unmap_one", "the page was written since MADV_FREE, so it stays"
)
LAZYFREE_HELD_KEPT = site(
    "lazyfree_held_kept",
    "try_to_unmap_one",
    "something else holds the page, so its content stays for now",
    LazyfreeRules.rule_lazyfree_held,
)
LAZYFREE_BATCHED = site(
    "lazyfree_batched",
    "folio_unmap_pte_batch",
    "several entries are unmapped together; if they are put back, then with the rights of the first",
    LazyfreeRules.rule_lazyfree_batch,
)
