"""A THP that is split: who mapped a zero-filled page of it maps the zero page, from 6.12 on."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.huge_memory import split_folio
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.releases import releases
from play import Play, row

SPARSE = "map P x thp\nwrite P x[0] 0x11\nwrite P x[300] 0x22\n"
"""A THP of which two pages were written."""

BY_PTES = f"{SPARSE}mprotect P x[0] read\nmprotect P x[0] rw\n"


def play(release: str, text: str, **config: int) -> Play:
    """A played scenario after which the books balance."""
    played = Play(row(release), text, **config)
    assert INVARIANTS[check_invariants(played.m)] == INVARIANTS[0]
    return played


SPLITS = {
    "MADV_FREE of a part": ("6.12", f"{SPARSE}madvise P x[8:16] free\n"),
    "MADV_FREE of a part, by PTEs": ("6.12", f"{BY_PTES}madvise P x[8:16] free\n"),
    "page-out of a part": ("6.18", f"{BY_PTES}madvise P x[8:16] pageout\n"),
    "page-out to a disk that rotates": ("6.12", f"{BY_PTES}madvise P x[8:] pageout\n"),
}


@pytest.mark.parametrize("split", SPLITS)
def test_whatever_splits_maps_the_zero_page(split: str) -> None:
    """The written pages are kept (or paged out); all others are read-only mappings of the zero page, and free."""
    release, text = SPLITS[split]
    played = play(release, text, swap_clusters=0)
    assert "thp_split_zero_page" in played.sites[-1]
    assert "pageout_shared_kept" not in played.sites[-1]
    assert played.view(page=0).byte == 0x11
    for page in (1, 8, 12, 299, 511):
        assert (played.view(page=page).kind, played.writable(page=page)) == ("zero", False)
    assert sum(map(bool, played.m.folio_refcount)) <= 3
    before = play("6.2", text)
    assert before.view(page=1).kind == "anon"


@pytest.mark.parametrize("release", releases())
def test_the_next_write_copies(release: str) -> None:
    """Zero page or not, what is written is seen, by the writer alone."""
    played = play(release, f"{SPARSE}madvise P x[8:16] free\nwrite P x[20] 0x33\nread P x[21]\n")
    assert (played.errnos, played.view(page=20).byte, played.view(page=21).byte) == ([0] * 6, 0x33, 0)
    assert played.m.page_content[k.ZERO_PFN] == 0


@pytest.mark.parametrize("release", releases())
def test_zeros_that_were_stored_are_zeros(release: str) -> None:
    """The content is looked at, not who stored it."""
    played = play(release, "map P x thp\nwrite P x 0x11\nwrite P x[3] 0x00\nmadvise P x[8:16] free\n")
    zero = release not in ("5.10", "6.1", "6.2")
    assert (played.view(page=3).kind == "zero", played.view(page=4).kind) == (zero, "anon")


def test_every_process_that_maps_the_page_maps_the_zero_page() -> None:
    """The parent's page-out splits a THP that its child maps a part of: the child's mappings change, too."""
    # No more mappings than pages, and one of the first page: 6.12 takes such a folio for one process's alone.
    parts = "unmap C x[:299]\nunmap C x[509:]\nunmap P x[302:]\n"
    shared = f"{BY_PTES}fork P C\n{parts}madvise P x[1:4] pageout\n"
    played = play("6.12", shared, swap_clusters=0)
    assert [played.view(page=page, process=who).kind for who in "PC" for page in (299, 300)] == [
        "zero",
        "anon",
        "zero",
        "anon",
    ]
    assert played.frame(page=300) == played.frame(page=300, process="C")


@pytest.mark.parametrize("cleared", [True, False])
def test_the_soft_dirty_bit_comes_along(cleared: bool) -> None:
    """What was soft-dirty is so on the zero page, and what was clean is not."""
    clear = "clear_softdirty P\n" if cleared else ""
    played = play("6.12", f"{SPARSE}{clear}madvise P x[8:16] free\n")
    assert bool(played.entry(page=100) & k.PTE_SOFT_DIRTY) == (not cleared)


def test_an_inaccessible_mapping_stays_so() -> None:
    """The zero page is mapped with the rights of the VMA."""
    played = play("6.12", f"{SPARSE}mprotect P x[64:128] none\nmadvise P x[8:16] free\n")
    assert played.view(page=100).kind == "zero"
    assert played.entry(page=100) & (k.PTE_PRESENT | k.PTE_PROTNONE) == k.PTE_PROTNONE


def test_a_folio_that_is_held_is_not_split() -> None:
    """Somebody's reference keeps all of it as it is."""
    played = play("6.12", f"{BY_PTES}vmsplice P x[100] as p\nmadvise P x[8:16] free\n")
    assert (played.view(page=100).kind, played.m.folio_order[played.frame()]) == ("anon", 9)


def test_a_search_without_content_has_no_zero_filled_pages() -> None:
    """Where stores are left out, every page may have been written."""
    played = Play(row("6.12"), f"{BY_PTES}", stop=None)
    played.m.set_constant("content_unknown", 1)
    assert split_folio(played.m, played.frame())
    assert {played.view(page=page).kind for page in (0, 1, 300, 511)} == {"anon"}


EMPTIED = "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontneed\nmadvise P x{} dontneed\nwrite P x 0x22\n"


def huge(release: str, text: str, **config: int) -> bool:
    """Whether a huge entry maps the region in the end."""
    return play(release, text, **config).entry() & k.PTE_PSE != 0


@pytest.mark.parametrize("release", releases())
def test_an_emptied_page_table_is_freed(release: str) -> None:
    """From 6.14 on, where the kernel is configured so, MADV_DONTNEED of its whole range: a THP fits there again."""
    frees = release in ("6.18", "7.3")
    assert huge(release, EMPTIED.format("")) == frees
    assert huge(release, EMPTIED.format(""), pt_reclaim=0) is False
    assert huge(release, EMPTIED.format("[1:]")) is False


def test_a_page_table_that_others_use_stays() -> None:
    """What has another right is another VMA, which no single MADV_DONTNEED covers whole; a THP would not fit either."""
    text = "map P x thp\nwrite P x 0x11\nmprotect P x[3] read\nmadvise P x dontneed\n"
    assert "dontneed_frees_table" not in play("6.18", text).sites[-1]


def test_swap_entries_go_with_the_table() -> None:
    """They are discarded like pages, and leave it empty."""
    text = "map P x thp\nwrite P x 0x11\nswapout P x[0]\nmadvise P x dontneed\n"
    assert "dontneed_frees_table" in play("6.18", text).sites[-1]
