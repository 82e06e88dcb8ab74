"""Anonymous memory that is dirty itself (PG_dirty), beside its entries: MADV_FREE passes it over where it is shared."""

from __future__ import annotations

import pytest

from play import Play, row

SHARED = "map P x anon\nwrite P x 0x11\n{dirties}fork P C\nmadvise P x free\n"


@pytest.mark.parametrize("release", ["5.10", "6.18"])
@pytest.mark.parametrize(
    ("dirties", "stays"),
    [
        ("", False),
        ("process_vm_writev P x 0x22\n", True),
        ("poke P x 0x22\n", True),
        ("process_vm_readv P x as p\n", False),
        ("swapout P x\nwrite P x 0x22\n", True),
    ],
)
def test_a_shared_page_is_passed_over_that_is_dirty_itself(release: str, dirties: str, stays: bool) -> None:
    """Who wrote through a reference said so (set_page_dirty()), and so does what leaves the swap cache; a store by the
    process makes its entry dirty alone, which is made clean."""
    played = Play(row(release), SHARED.format(dirties=dirties))
    assert played.view().dirty is stays


def test_alone_it_is_made_clean() -> None:
    """Nobody else maps it."""
    played = Play(row("6.18"), "map P x anon\nwrite P x 0x11\nprocess_vm_writev P x 0x22\nmadvise P x free\n")
    assert played.view().dirty is False


def test_split_by_others_is_not_soft_dirty() -> None:
    """A THP is split under a process that has soft-dirty cleared: its entries were migration entries meanwhile.  One
    that splits its own huge entry makes the others soft-dirty, as they are dirty (5436d6556937, 6.4)."""
    begin = "map P x thp pages 512\nwrite P x 0x11\nclear_softdirty P\n"
    assert Play(row("6.18"), f"{begin}madvise P x[0] free\n").view(page=2).soft_dirty is False
    assert Play(row("6.18"), f"{begin}mprotect P x[0] read\n").view(page=2).soft_dirty is True
