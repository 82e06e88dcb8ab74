"""Each rule does under each value what the kernels with that value do.  What a release has: test_evidence.py."""

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
        "io_uring_files": "hugetlb_shmem_one_file",
        "io_uring_ring": "free",
        "fork_skips_pud": "by_chance",
        "numa_skips": "referenced",
        "lazyfree_held": "swap_backed",
    }
    early = {"madv_collapse_held": "eagain"}
    files = {"io_uring_files": "hugetlb_shmem_one_file"}
    pinned = {"reclaim_skips_pinned": "yes"}
    first = early | files | pinned | {"madv_free_large": "splits_by_first"}
    assert added("6.1.192", "6.1") == first | {"zero_page_pin_exempt": "yes", "fork_skips_pud": "by_chance"}
    assert added("6.1.166", "6.1") == first | {"zero_page_pin_exempt": "yes"}
    assert added("6.1.134", "6.1") == first | {"zero_page_pin_exempt": "slow_fails"}
    assert added("6.1.129", "6.1") == first
    assert added("6.1.49", "6.1") == added("6.1.28", "6.1") == early | files | pinned
    assert added("6.1.27", "6.1") == early | files
    assert added("6.1.15", "6.1") == early
    assert added("6.1.12", "6.1") == {}
    assert added("6.12.117", "6.12") == {
        "fork_skips_pud": "by_chance",
        "lazyfree_thp": "split",
        "pmd_modify_dirty": "kept",
        "hugetlb_restores_reserve": "last_unmap",
    }
    assert added("6.18.44", "6.18") == {"lazyfree_batch": "same_rights", "thp_split_shared": "all"}
    assert added("6.18.15", "6.18") == {}
