"""The three notes of the seed's patch, on the kernel before it (6.1) and on the one with it (6.2)."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.sites import SITES
from play import Play, row, verdict

ZERO = "map P x zeropage\nread P x\n"
CACHE = "map P x memfd private\nread P x\n"
STALE = "write P x 0xff\nexpect p 0x00\nexpect P x 0xff\n"
RELIABLE = "write P x 0xff\nexpect p sees P x\n"


@pytest.mark.parametrize("fast", ["", " fast"])
@pytest.mark.parametrize("memory", [ZERO, CACHE])
@pytest.mark.parametrize("release", ["6.1", "6.2", "6.12", "6.18"])
def test_note_1_a_short_pin_of_zero_page_or_page_cache_is_a_snapshot(release: str, memory: str, fast: str) -> None:
    """Without FOLL_LONGTERM the page is pinned as it is, and the owner's next write goes elsewhere."""
    assert verdict(row(release), f"{memory}pin P x as p{fast}\n{STALE}") == "held"


@pytest.mark.parametrize("fast", ["", " fast"])
@pytest.mark.parametrize("memory", [ZERO, CACHE])
def test_a_long_term_pin_of_them_is_reliable_since_the_seed(memory: str, fast: str) -> None:
    """With FOLL_LONGTERM 6.1 goes stale and 6.2 breaks COW first."""
    pinned = f"{memory}pin P x as p longterm{fast}\n"
    assert verdict(row("6.1"), pinned + STALE) == "held"
    assert verdict(row("6.1"), pinned + RELIABLE) == "violated"
    assert verdict(row("6.2"), pinned + RELIABLE) == "held"


def test_note_2_gup_fast_says_perhaps_and_the_slow_path_decides() -> None:
    """Without a VMA a page-cache page might be in a COW mapping: the slow path looks, and unshares."""
    sites = Play(row("6.2"), f"{CACHE}pin P x as p longterm fast\n").sites[-1]
    assert sites.index("must_unshare_no_vma") < sites.index("fast_falls_back") < sites.index("must_unshare_cow_mapping")
    assert "unshare_copies" in sites
    assert "must_unshare_no_vma" not in Play(row("6.1"), f"{CACHE}pin P x as p longterm fast\n").sites[-1]


def test_note_2_a_shared_mapping_falls_back_once_and_is_pinned_as_it_is() -> None:
    """GUP-fast cannot know that the mapping is shared; the slow path does, and copies nothing."""
    played = Play(row("6.2"), "map P x memfd shared read pages 3\nread P x\npin P x as p longterm fast\n")
    sites = [SITES[site].name for site in played.m.trace.sites]
    assert sites == ["must_unshare_no_vma", "fast_falls_back", *["unshare_not_needed_shared_mapping"] * 3]
    assert played.m.pin_count[0] == 3
    assert played.m.run_page[0] == played.frame()
    assert played.view().kind == "file"


def test_note_2_a_writable_entry_of_a_shared_mapping_stays_in_the_fast_path() -> None:
    """Only read-only entries are asked about: what can be written is not to be copied."""
    played = Play(row("6.2"), "map P x memfd shared\nread P x\npin P x as p longterm fast\n")
    assert played.sites[-1] == ["fast_pinned"]


def test_note_2_an_exclusive_anonymous_page_stays_in_the_fast_path() -> None:
    """The mark is the page's: no VMA is needed."""
    text = "map P x anon\nwrite P x 0x11\nmprotect P x read\npin P x as p longterm fast\n"
    assert Play(row("6.2"), text).sites[-1] == ["unshare_not_needed_exclusive", "fast_pinned"]


VFIO = "map P x zeropage pages 8 read\nmemlock P 4\ncapability P ipc_lock {cap}\npin P x as p longterm user vfio\n"


def test_note_3_unsharing_zero_pages_is_what_vfio_newly_charges() -> None:
    """Eight zero pages under a limit of four: 6.1 charges none of them, 6.2 gets eight copies and gives up, ENOMEM."""
    assert Play(row("6.1"), VFIO.format(cap="off")).errnos[-1] == 0
    refused = Play(row("6.2"), VFIO.format(cap="off"))
    assert refused.errnos[-1] == k.ENOMEM
    assert refused.m.mm_locked_vm[0] == 0
    assert refused.m.pin_state[0] == k.PIN_FREE


def test_note_3_is_waived_by_cap_ipc_lock() -> None:
    """With CAP_IPC_LOCK the same map succeeds on 6.2, and is charged all the same."""
    played = Play(row("6.2"), VFIO.format(cap="on"))
    assert played.errnos[-1] == 0
    assert played.m.mm_locked_vm[0] == 8
