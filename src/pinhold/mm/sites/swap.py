"""Decision sites of swap."""

from __future__ import annotations

from pinhold.mm.rules.swap import SwapRules
from pinhold.mm.sites.site import by_value, site

SWAPIN_EXCLUSIVE = site(
    "swapin_exclusive",
    "do_swap_page",
    "the page from swap belongs to this process alone",
    SwapRules.rule_swapin_exclusive,
)
SWAPIN_SHARED = site(
    "swapin_shared", "do_swap_page", "the page from swap may be shared", SwapRules.rule_swapin_exclusive
)
SWAPOUT_PINNED_KEPT = by_value("swapout_pinned_kept", SwapRules.rule_swapout_skips_pinned, "yes")
RECLAIM_PINNED_STAYS = by_value("reclaim_pinned_stays", SwapRules.rule_reclaim_skips_pinned, "yes")
SWAPOUT_ZERO_FILLED = by_value("swapout_zero_filled", SwapRules.rule_swap_zero_filled, "noted")
PAGEOUT_SHARED_KEPT = site(
    "pageout_shared_kept",
    "madvise_cold_or_pageout_pte_range",
    "the page is shared or held, so it is not paged out",
    SwapRules.rule_pageout_shared_large,
)
READAHEAD_MARKED = site(
    "readahead_marked",
    "page_cache_ra_order",
    "the page is marked when it is read ahead, so fault-around passes it over",
    SwapRules.rule_readahead_mark,
)
FILE_PAGE_EVICTED = site(
    "file_page_evicted", "shrink_folio_list", "nobody else holds the file's page, and it goes from the page cache"
)
FILE_PAGE_STAYS = site(
    "file_page_stays", "shrink_folio_list", "the file's page is unmapped, and stays in the page cache"
)
