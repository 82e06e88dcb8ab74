"""System calls that change what VMAs are: only those whose flags become others are split, and with them the THPs."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from play import Play, row

RELEASES = ("5.10", "6.1", "6.12", "7.3")
THP = "map P x thp\nwrite P x 0x11\n"


def vmas(played: Play) -> list[tuple[int, int]]:
    """Start and end of P's VMAs, in pages from the region's first, in order."""
    m, (mm, start) = played.m, played.address()
    own = range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm)
    return sorted((m.vma_start[vma] - start, m.vma_end[vma] - start) for vma in own if m.vma_end[vma])


def huge(played: Play) -> bool:
    return played.entry() & k.PTE_PSE != 0


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "again",
    [
        "mprotect P x[1] rw",
        "madvise P x[1] hugepage",
        "madvise P x[1] dofork",
        "madvise P x[1] unmergeable",
        "madvise P x mergeable\nmadvise P x[1] mergeable",
        "madvise P x dontfork\nmadvise P x[1] dontfork",
    ],
)
def test_what_a_vma_is_already_splits_neither_it_nor_a_thp(release: str, again: str) -> None:
    """Every release asks whether the flags change before it splits: mprotect_fixup(), madvise_update_vma()."""
    played = Play(row(release), f"{THP}{again}\n")
    assert played.errnos[-1] == 0
    assert huge(played) and vmas(played) == [(0, 512)]


def test_nohugepage_again_splits_nothing() -> None:
    """The same for the advice that the mapping of a scenario's `anon` has from its start."""
    assert vmas(Play(row(), "map P x anon pages 4\nmadvise P x[1] nohugepage\n")) == [(0, 4)]


@pytest.mark.parametrize(
    "other",
    ["mprotect P x[1] read", "madvise P x[1] nohugepage", "madvise P x[1] dontfork", "madvise P x[1] mergeable"],
)
def test_what_a_vma_is_not_yet_splits_it_and_the_thp(other: str) -> None:
    """Where flags change, the part becomes a VMA of its own, and the THP across its ends is mapped by PTEs."""
    played = Play(row(), f"{THP}{other}\n")
    assert not huge(played) and vmas(played) == [(0, 1), (1, 2), (2, 512)]


def test_unmergeable_splits_where_pages_could_have_been_merged() -> None:
    """The part that is to be merged no more has other flags, its pages are broken, and the rest stays mergeable."""
    text = "map P x anon pages 3\nwrite P x 0x11\nksm P x[0] with P x[1]\nmadvise P x[1] unmergeable\n"
    played = Play(row(), text)
    m, (mm, start) = played.m, played.address()
    own = range(mm * m.vmas_per_mm, (mm + 1) * m.vmas_per_mm)
    mergeable = {m.vma_start[vma] - start for vma in own if m.vma_flags[vma] & k.VM_MERGEABLE}
    assert mergeable == {0} and played.view(page=1).kind == "anon" and played.view(page=0).kind == "ksm"


def test_mprotect_goes_as_far_as_the_first_hole() -> None:
    """VMA by VMA: what lies before the hole has its new rights when ENOMEM is told, what lies behind has not."""
    played = Play(row(), "map P x anon pages 3\nwrite P x 0x11\nunmap P x[1]\nmprotect P x read\n")
    assert played.errnos[-1] == k.ENOMEM
    assert [played.writable(page=page) for page in (0, 2)] == [False, True]


def test_madvise_goes_on_behind_a_hole() -> None:
    """ENOMEM is told at the end, and all that is mapped has taken the advice."""
    played = Play(row(), "map P x anon pages 3\nwrite P x 0x11\nunmap P x[1]\nmadvise P x dontfork\nfork P C\n")
    assert played.errnos[-2] == k.ENOMEM
    assert {played.state(page=page, process="C") for page in (0, 2)} == {"none"}
