"""A THP that several processes map by huge entries is split at once, or one huge entry an attempt: 60fbb14396d5."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.folio import folio_get
from pinhold.mm.huge_memory import split_huge_page
from play import Play, row

THP = "map P a anon\nmap P c thp\nwrite P a 3\nwrite P c[0:4] 3\nfork P C\n"
TWO_THPS = "map P a anon\nmap P c thp pages 1024\nwrite P a 3\nwrite P c[{0}:{1}] 3\nfork P C\n"
LOWER = TWO_THPS.format(0, 4)
UPPER = TWO_THPS.format(512, 516)
KSMD = "madvise P a mergeable\nksm P c with P c\n"
KSMD_UPPER = "madvise P a mergeable\nksm P c[512:] with P c[512:]\n"

SHARED_BY = {
    "two": (THP + KSMD, 1),
    "three": (THP + "fork C D\n" + KSMD, 2),
    "none, the child maps its pages, behind": (THP + "write C c[9] 9\n" + KSMD, 1),
    "none, the parent maps its pages, before": (THP + "write P c[9] 9\n" + KSMD, 0),
    "two, a third maps its pages, behind": (THP + "fork P D\nwrite D c[9] 9\n" + KSMD, 2),
    "two, a third maps its pages, between": (THP + "fork P D\nwrite C c[9] 9\n" + KSMD, 1),
}
"""Who maps the THP by a huge entry; how often a split fails where rmap stops at the first of them."""

ORDER = {
    "the parent's was split and merged, and is the youngest": (
        LOWER + "mprotect P c[600:610] read\nmprotect P c[600:610] rw\nwrite P c[9] 9\n" + KSMD,
        0,
        1,
    ),
    "the child's was so after it": (
        LOWER
        + "mprotect P c[600:610] read\nmprotect P c[600:610] rw\n"
        + "mprotect C c[600:610] read\nmprotect C c[600:610] rw\nwrite P c[9] 9\n"
        + KSMD,
        0,
        0,
    ),
    "the parent's begins behind the child's": (UPPER + "mprotect P c[600] read\n" + KSMD_UPPER, 512, 1),
    "the parent's was split at the THP after the child's": (
        UPPER + "mprotect C c[0:512] read\nwrite C c[521] 9\n" + KSMD_UPPER,
        512,
        0,
    ),
}
"""Whose mapping is found first; the page of c at which the THP is; how often its split fails."""


def ksm_page(release: str, text: str, first: int = 0) -> int:
    """Which page of the THP at c[first] ksmd made its page: it goes on with the next one where the split fails.  The
    child's entries tell the pages, for it asks for no merging."""
    played = Play(row(release), text)
    pages = [played.frame("c", first + i, "C") for i in range(4)]
    merged = {played.frame("c", first + i) for i in range(4)} | {played.frame("a")}
    assert len(merged) == 1
    return pages.index(merged.pop())


@pytest.mark.parametrize("who", SHARED_BY)
def test_each_attempt_splits_one_huge_entry(who: str) -> None:
    """The THP is split as soon as nothing is left behind the one that rmap finds first."""
    text, failures = SHARED_BY[who]
    assert ksm_page("6.18.15", text) == failures


@pytest.mark.parametrize("who", SHARED_BY)
@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "6.18.44", "7.3"])
def test_elsewhere_it_is_split_at_once(release: str, who: str) -> None:
    """Whoever maps it."""
    assert ksm_page(release, SHARED_BY[who][0]) == 0


@pytest.mark.parametrize("order", ORDER)
def test_rmap_finds_mappings_by_where_they_begin_and_then_by_age(order: str) -> None:
    """A mapping that was split or merged is as old as that."""
    text, first, failures = ORDER[order]
    assert ksm_page("6.18.15", text, first) == failures


def test_a_mapping_that_moved_is_the_youngest() -> None:
    """The parent maps pages, the child the whole; the parent's mapping has come behind the child's."""
    text = "map P a anon\nmap P c thp\nwrite P a 3\nwrite P c[0:4] 3\nfork P C\n"
    ends = "write P {0}[9] 9\nmadvise P a mergeable\nksm P {0} with P {0}\n"
    for moves, region, failures in (("", "c", 0), ("mremap P c to d\n", "d", 1)):
        played = Play(row("6.18.15"), text + moves + ends.format(region))
        assert played.frame(region) == played.frame("c", failures, "C")


def test_a_split_that_fails_splits_one_entry() -> None:
    """The parent's entries are those of pages then, dirty as before, and the child's is a huge one still; the next
    attempt does the rest."""
    played = Play(row("6.18.15"), THP)
    m, page = played.m, played.frame("c")
    dirty = played.entry("c") & k.PTE_DIRTY
    folio_get(m, page)
    assert not split_huge_page(m, page)
    assert m.folio_order[page] > 0
    assert not played.entry("c") & k.PTE_PSE
    assert played.entry("c") & k.PTE_DIRTY == dirty != 0
    assert played.entry("c", process="C") & k.PTE_PSE
    assert split_huge_page(m, page)
    assert m.folio_order[page] == 0
