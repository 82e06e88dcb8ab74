"""What GUP asks about the page that it wants: which function asks, and of a huge entry for the head."""

from __future__ import annotations

import inspect

import pytest

from pinhold.mm import follow, gup_fast
from pinhold.mm.flags import NO_VMA
from pinhold.mm.releases import releases
from pinhold.mm.state import State
from play import Play, row, verdict

SINCE_5_19 = releases()[1:]
PATHS = ["longterm", "longterm fast"]

HUGE = "map P x thp\nwrite P x 0x01\nmprotect P x read\n"


@pytest.mark.parametrize("release", SINCE_5_19)
@pytest.mark.parametrize("path", PATHS)
def test_a_tail_of_an_exclusive_thp_is_pinned_by_the_mark_of_the_head(release: str, path: str) -> None:
    """Nothing is unshared, by either path, and the pin is reliable."""
    pinned = f"{HUGE}pin P x[5] as p {path}\n"
    sites = Play(row(release), pinned).sites[-1]
    assert "unshare_not_needed_exclusive" in sites
    assert not {"must_unshare_anon", "wp_reuse_exclusive", "huge_wp_reuse_exclusive"} & set(sites)
    assert verdict(row(release), f"{pinned}mprotect P x rw\nwrite P x 0x02\nexpect p sees P x[5]\n") == "held"


@pytest.mark.parametrize("release", SINCE_5_19)
def test_a_forced_write_to_a_tail_goes_by_the_mark_of_the_head(release: str) -> None:
    """The exclusive THP is written through its read-only huge entry, without a fault."""
    assert Play(row(release), f"{HUGE}poke P x[5] 0x02\n").sites[-1] == ["foll_force_follows"]


@pytest.mark.parametrize("release", SINCE_5_19)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_a_thp_that_ptes_map_is_asked_for_itself(release: str, path: str) -> None:
    """The head is exclusive, the page is shared with a child: it is unshared before the pin."""
    shared = "map P x thp\nwrite P x 0x01\nmadvise P x[0] dontfork\nfork P C\n"
    played = Play(row(release), f"{shared}pin P x[5] as p {path}\n")
    assert played.m.page_exclusive[played.frame()] == 1
    assert "must_unshare_anon" in played.sites[-1]
    assert verdict(row(release), f"{shared}pin P x[5] as p {path}\nwrite P x[5] 0x02\nexpect p sees P x[5]\n") == "held"


ASKED_BY = (
    ("memfd private", "follow_page_pte", "gup_fast_pte_range"),
    ("hugezero", "follow_huge_pmd", "gup_fast_pmd_leaf"),
    ("memfd_hugetlb 2M private", "__follow_hugetlb_must_fault", "gup_fast_pmd_leaf"),
    ("memfd_hugetlb 1G private", "__follow_hugetlb_must_fault", "gup_fast_pud_leaf"),
)
"""Memory -> the function that asks whether to unshare it, in the slow path and in the fast one."""


@pytest.mark.parametrize(("memory", "slow", "fast"), ASKED_BY)
def test_each_function_of_the_seed_asks_for_itself(
    memory: str, slow: str, fast: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow path's functions hand their VMA on to gup_must_unshare(), the fast path's have none."""
    asked: list[tuple[str, bool]] = []

    def noted(m: State, vma: int, flags: int, page: int) -> bool:
        asked.append((inspect.stack()[1].function, vma == NO_VMA))
        return must_unshare(m, vma, flags, page)

    must_unshare = follow.gup_must_unshare
    monkeypatch.setattr(follow, "gup_must_unshare", noted)
    monkeypatch.setattr(gup_fast, "gup_must_unshare", noted)
    played = Play(row("6.2"), f"map P x {memory}\nread P x\npin P x as p longterm fast\n")
    assert asked[:2] == [(fast, True), (slow, False)]
    assert "must_unshare_cow_mapping" in played.sites[-1]
