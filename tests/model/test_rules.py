"""Each rule does under each value what the kernels with that value do, and the rows of the releases are theirs."""

from __future__ import annotations

import pytest

from pinhold.mm import releases, rules
from play import row
from rule_probes import OUTCOMES, PROBES

CASES = [(rule.name, value) for rule in rules.RULES for value in rule.names]


def values(release: str) -> dict[str, str]:
    """A release's row by the names of its values."""
    return {rule.name: rule.names[releases.row(release)[rule.name]] for rule in rules.RULES}


def test_every_rule_has_a_probe_for_each_of_its_values() -> None:
    """No switch without a test that turns it."""
    assert {name: set(outcomes) for name, outcomes in OUTCOMES.items()} == {
        rule.name: set(rule.names) for rule in rules.RULES
    }


@pytest.mark.parametrize(("rule", "value"), CASES, ids=[f"{rule}-{value}" for rule, value in CASES])
def test_a_rule_decides_as_the_kernels_with_that_value_do(rule: str, value: str) -> None:
    """On the row of 6.2 with this one switch at this value the rule's probe comes out as the kernel's source says."""
    assert PROBES[rule](row(**{rule: value})) == OUTCOMES[rule][value]


@pytest.mark.parametrize("rule", [rule.name for rule in rules.RULES])
def test_the_values_of_a_rule_can_be_told_apart(rule: str) -> None:
    """No two values of a switch have the same outcome."""
    outcomes = [repr(outcome) for outcome in OUTCOMES[rule].values()]
    assert len(set(outcomes)) == len(outcomes)


SINCE_5_10 = {
    "gup_unshares": ("none", "anon", "cow_longterm", "cow_longterm", "cow_longterm", "cow_longterm"),
    "unshare_breaks": ("none", "anon", "cow_mapping", "cow_mapping", "cow_mapping", "cow_mapping"),
    "anon_exclusive": ("no", "yes", "yes", "yes", "yes", "yes"),
    "wp_reuse": ("references", *["references_drained"] * 5),
    "hugetlb_wp_reuse": ("mapcount",) * 6,
    "wp_reuse_large": ("references", "references", "references", "never", "exclusive_mm", "exclusive_mm"),
    "huge_wp_reuse": ("mapcount", "references", "references", "references", "references", "references"),
    "huge_zero_wp": ("split", "split", "split", "split", "thp", "thp"),
    "huge_zero_special": ("no", "no", "no", "no", "yes", "yes"),
    "fork_copies_pinned": ("any", "exclusive", "exclusive", "exclusive", "exclusive", "exclusive"),
    "fork_copies_pinned_hugetlb": ("no", "yes", "yes", "yes", "yes", "yes"),
    "fork_copies_hugetlb_files": ("yes", "no", "no", "no", "no", "no"),
    "fork_hugetlb_copy_writable": ("always", "always", "always", "always", "vma_writable", "vma_writable"),
    "fork_skips_pud": ("no", "no", "no", "no", "by_chance", "by_chance"),
    "write_protect_seq": ("no", "yes", "yes", "yes", "yes", "yes"),
    "zero_page_pin_exempt": ("no", "no", "no", "yes", "yes", "yes"),
    "pincount_large": ("more_than_two_pages", "large", "large", "large", "large", "large"),
    "foll_force": ("foll_cow", "exclusive", "exclusive", "exclusive", "exclusive", "exclusive"),
    "hugetlb_force_write": ("unchecked", "refused", "refused", "refused", "supported", "supported"),
    "swapin_exclusive": ("counts_on_write", *["mark_or_references"] * 4, "mark"),
    "swapin_maps_writable": (
        "write_fault",
        "write_fault",
        "write_fault",
        "vma_writable",
        "vma_writable",
        "vma_writable",
    ),
    "swapout_skips_pinned": ("no", "yes", "yes", "yes", "yes", "yes"),
    "pageout_shared_large": ("gives_up", "gives_up", "gives_up", "goes_on", "goes_on", "goes_on"),
    "mprotect_upgrade": ("none", "exclusive_dirty", "exclusive", "exclusive", "exclusive", "exclusive"),
    "soft_dirty_skips_pinned": ("no", "yes", "yes", "yes", "yes", "yes"),
    "fault_flag_sanity": ("no", "no", "yes", "yes", "yes", "yes"),
    "gup_args": ("per_entry_point", *["per_entry_point_nofault"] * 2, *["is_valid_gup_args"] * 3),
    "longterm_dirty_tracked": ("allowed", "allowed", "allowed", "refused", "refused", "refused"),
    "io_uring_pinned_vm": ("all", "all", "all", "all", "all", "user_pays"),
    "lru_batch": ("15", "15", "15", "31", "31", "31"),
    "io_uring_ring": ("charged", "free", "free", "free", "charged", "charged"),
    "mremap_hugetlb": ("no", "yes", "yes", "yes", "yes", "yes"),
    "mremap_several_vmas": ("no", "no", "no", "no", "yes", "yes"),
    "hugetlb_unmap_address": ("owner",) * 6,
    "hugetlb_restores_reserve": ("no", "no", "no", "each_unmap", "each_unmap", "last_unmap"),
    "madv_dontneed_hugetlb": ("no", "yes", "yes", "yes", "yes", "yes"),
    "dontneed_frees_tables": ("no", "no", "no", "no", "yes", "yes"),
    "mprotect_unaccounts": ("no", "no", "no", "yes", "yes", "yes"),
    "vma_merges_anon": (*["neighbour_has"] * 4, "either_has", "either_has"),
    "dofork_hugetlb": ("allowed", "allowed", "allowed", "allowed", "allowed", "refused"),
    "madv_populate": ("no", "yes", "yes", "yes", "yes", "yes"),
    "uffd_continue": ("absent", *["dirty"] * 5),
    "numa_skips": ("mapped_twice", "referenced", "referenced", "shared_or_pinned", "shared_or_pinned", "any_pinned"),
    "numa_write": ("saved", "saved", "judged", "judged", "judged", "judged"),
    "numa_huge_fails": ("read_only", "as_it_was", "as_it_was", "as_it_was", "as_it_was", "as_it_was"),
    "gup_protnone": ("faults", "faults", "faults", "follows", "follows", "follows"),
    "touch_pmd": ("writes", "writes", "writes", "writes", "writes", "writes"),
    "ksm_protects_exclusive": ("no", "yes", "yes", "yes", "yes", "yes"),
    "thp_split_locks": ("yes",) * 6,
    "thp_split_zero_pages": ("stay", "stay", "stay", "zero_page", "zero_page", "zero_page"),
    "mapped_shared": ("page", "page", "page", "guess", "mm_ids", "mm_ids"),
    "madv_free_large": ("splits", "splits", "splits", "whole", "whole", "whole"),
    "lazyfree_held": ("discarded", "swap_backed", "swap_backed", "swap_backed", "kept", "kept"),
    "lazyfree_thp": ("split", "split", "split", "whole", "whole", "whole"),
    "pmd_modify_dirty": ("kept", "kept", "kept", "lost", "lost", "kept"),
    "lazyfree_batch": ("single", "single", "single", "single", "any_rights", "same_rights"),
    "break_ksm": ("write", "write", "unshare", "unshare", "unshare", "unshare"),
}
"""The values in 5.10, 6.1, 6.2, 6.12, 6.18 and 7.3, as read from their sources."""


@pytest.mark.parametrize("rule", sorted(SINCE_5_10))
def test_the_rows_of_the_releases_are_what_their_sources_say(rule: str) -> None:
    """5.10, 6.1, 6.2, 6.12, 6.18 and 7.3 have these values."""
    assert tuple(values(release)[rule] for release in ("5.10", "6.1", "6.2", "6.12", "6.18", "7.3")) == SINCE_5_10[rule]


def test_the_stable_rows_add_what_was_taken_back() -> None:
    """5.10.262 and 6.1.192 differ from 5.10 and 6.1 in the backports, and in nothing else."""

    def added(stable: str, mainline: str) -> dict[str, str]:
        before, after = values(mainline), values(stable)
        return {name: value for name, value in after.items() if before[name] != value}

    assert added("5.10.262", "5.10") == {
        "write_protect_seq": "yes",
        "swapout_skips_pinned": "yes",
        "soft_dirty_skips_pinned": "yes",
        "fork_copies_pinned": "anonymous",
        "io_uring_files": "hugetlb_shmem",
        "io_uring_ring": "free",
        "fork_skips_pud": "by_chance",
        "numa_skips": "referenced",
        "lazyfree_held": "swap_backed",
    }
    first = {"madv_free_large": "splits_by_first"}
    assert added("6.1.192", "6.1") == first | {"zero_page_pin_exempt": "yes", "fork_skips_pud": "by_chance"}
    assert added("6.1.166", "6.1") == first | {"zero_page_pin_exempt": "yes"}
    assert added("6.1.134", "6.1") == first | {"zero_page_pin_exempt": "slow_fails"}
    assert added("6.1.129", "6.1") == first
    assert added("6.1.49", "6.1") == {}
    assert added("6.12.117", "6.12") == {
        "fork_skips_pud": "by_chance",
        "lazyfree_thp": "split",
        "pmd_modify_dirty": "kept",
        "hugetlb_restores_reserve": "last_unmap",
    }
    assert added("6.18.44", "6.18") == {"lazyfree_batch": "same_rights"}
    assert added("6.18.15", "6.18") == {}
