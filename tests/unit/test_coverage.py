"""What random scenarios have reached, and what they could."""

from __future__ import annotations

from collections import Counter

from pinhold.conform.campaign import NOTHING_NEW, Limits
from pinhold.conform.coverage import AREAS, Coverage, pairs, reachable, reached, share
from pinhold.conform.tally import Tally
from pinhold.conform.wanted import ABSENT, wanted
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

MODEL = ModelTarget("6.12")


def test_pairs_are_of_the_same_page() -> None:
    """Whichever process does them; what is done elsewhere comes between nothing."""
    text = """scenario x
map P a anon pages 4
write P a[0] 1
read P a[2:]
fork P C
madvise C a[0] dontneed
mremap P a[1] to b
write P b 1
vmsplice P b as p
unpin p
"""
    assert list(pairs(parse(text).steps)) == [
        ("map", "write"),
        ("map", "read"),
        ("map", "fork"),
        ("write", "fork"),
        ("read", "fork"),
        ("fork", "madvise dontneed"),
        ("fork", "mremap"),
        ("mremap", "write"),
        ("write", "vmsplice"),
        ("vmsplice", "unpin"),
    ]


def test_what_a_scenario_reaches() -> None:
    """Steps, kinds, advice, and decisions with the value that their rule has."""
    text = "scenario x\nobserve\nmap P a anon\nwrite P a 1\nfork P C\nwrite P a 2\nmadvise P a dontneed\n"
    result = run_scenario(MODEL, parse(text))
    found = reached(result.steps, result.steps)
    assert found.steps == Counter({"map": 1, "write": 2, "fork": 1, "madvise": 1})
    assert (found.kinds, found.advice) == (Counter(["anon"]), Counter(["dontneed"]))
    assert {"fork_shares", "wp_copy"} <= set(found.decisions)
    assert found.values["fork_copies_pinned=exclusive"] == 1


def test_what_a_target_has_not_is_not_reachable() -> None:
    """Kinds, advice and decisions of THPs and hugetlb pages, without them; limits; a rule's other values."""

    def there(config: dict[str, int]) -> Coverage:
        model = MODEL.configured(config)
        return reachable(model.info(), model, [wanted("mixed", model, disposable=True)])

    whole, small = there({}), there({"thp": 0, "hugetlb_2M": 0, "swap": 0})
    assert set(whole.kinds) - set(small.kinds) == {"thp", "hugezero", "hugetlb 2M", "memfd_hugetlb 2M"}
    assert set(whole.advice) - set(small.advice) == {"hugepage", "collapse", "pageout"}
    assert {"huge_zero_read", "hugetlb_wp_copy", "swapin_shared"} <= set(whole.decisions) - set(small.decisions)
    assert not set(ABSENT) & set(whole.steps)
    assert "ksm_merges" not in whole.decisions or "ksm" in whole.steps
    assert len({value.split("=")[0] for value in whole.values}) == len(whole.values)


def test_coverage_grows_until_nothing_is_missed() -> None:
    """What is added is new once; a share of everything is reached."""
    whole = reachable(MODEL.info(), MODEL, [wanted("mixed", MODEL, disposable=True)])
    got = Coverage()
    assert share(got, whole) == 0
    one = Coverage(steps=Counter(["map"]))
    assert (got.add(one), got.add(one)) == (True, False)
    assert got.steps["map"] == 2
    assert "map" not in got.missed(whole)["steps"]
    got.add(whole)
    assert share(got, whole) == 1
    assert not any(got.missed(whole).values())
    assert set(AREAS) == set(got.missed(whole))


def test_a_campaign_ends_when_all_is_covered_or_nothing_new_comes() -> None:
    """And not before, nor where nobody has asked for it."""
    whole = Coverage(steps=Counter(["map", "read"]))
    half = Tally(scenarios=5, coverage=Coverage(steps=Counter(["map"])), latest=5)
    until = Limits(1, covered=True)
    assert not until.enough(half, whole)
    assert until.enough(Tally(coverage=whole), whole)
    half.scenarios = 2 * half.latest + NOTHING_NEW
    assert until.enough(half, whole)
    assert not Limits(1).enough(half, whole)
