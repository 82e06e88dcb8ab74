"""Decision sites of what is done to mappings."""

from __future__ import annotations

from pinhold.mm.rules.hugetlb import HugetlbRules
from pinhold.mm.rules.vma import VmaRules
from pinhold.mm.sites.site import by_value, site

MPROTECT_UPGRADES = site(
    "mprotect_upgrades",
    "can_change_pte_writable",
    "the entry is made writable without a fault",
    VmaRules.rule_mprotect_upgrade,
)
MPROTECT_STAYS_READ_ONLY = site(
    "mprotect_stays_read_only",
    "can_change_pte_writable",
    "the entry stays read-only until a write faults",
    VmaRules.rule_mprotect_upgrade,
)
MPROTECT_ROW_IS_DIRTY = by_value("mprotect_row_is_dirty", VmaRules.rule_mprotect_batch, "rows")
MREMAP_REALIGNS = by_value("mremap_realigns", VmaRules.rule_mremap_realigns, "yes")
MREMAP_MOVES_TABLE = site(
    "mremap_moves_table",
    "move_normal_pmd",
    "the page table is moved as it is, so that no entry of it becomes soft-dirty",
)
SOFT_DIRTY_PINNED_KEPT = by_value("soft_dirty_pinned_kept", VmaRules.rule_soft_dirty_skips_pinned, "yes")
DONTNEED_FREES_TABLE = by_value("dontneed_frees_table", VmaRules.rule_dontneed_frees_tables, "yes")
ZAP_LEAVES_BATCH = by_value("zap_leaves_batch", VmaRules.rule_zap_drains, "no")
READ_MAPS_DIRTY = by_value("read_maps_dirty", VmaRules.rule_read_fault_dirty, "yes")
UFFD_MAPS_DIRTY = site(
    "uffd_maps_dirty",
    "mfill_atomic_install_pte",
    "the page cache's page is mapped dirty, though this mapping cannot write to it",
    VmaRules.rule_uffd_continue,
)
WRITEBACK_CLEANS = site(
    "writeback_cleans",
    "folio_clear_dirty_for_io",
    "the page is written back: its shared mappings are write-protected, and its next write is to be noticed",
)
DOFORK_HUGETLB_REFUSED = by_value("dofork_hugetlb_refused", HugetlbRules.rule_dofork_hugetlb, "refused")
UFFD_PREPARES_ANON_VMA = site(
    "uffd_prepares_anon_vma",
    "uffd_mfill_lock",
    "the private mapping gets its anon_vma, so fork() copies its page table from here on",
    VmaRules.rule_uffd_prepares_first,
)
POPULATE_PASSED_A_HOLE = by_value("populate_passed_a_hole", VmaRules.rule_madv_populate, "each_vma")
