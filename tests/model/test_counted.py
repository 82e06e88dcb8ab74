"""What random steps on guests, compared count by count, showed to be otherwise than the specification had it."""

from __future__ import annotations

from pinhold.mm import flags as k
from play import Play, row


def test_a_moved_huge_page_is_as_soft_dirty_as_before() -> None:
    """mremap() makes soft-dirty what it moves, but for hugetlb: move_huge_pte()."""
    huge = Play(row("6.1"), "map P x hugetlb 2M pages 512\nread P x\nmremap P x to y\n", soft_dirty=1)
    base = Play(row("6.1"), "map P x anon\nwrite P x 0x01\nclear_softdirty P\nmremap P x to y\n", soft_dirty=1)
    assert [played.entry("y") & k.PTE_SOFT_DIRTY != 0 for played in (huge, base)] == [False, True]
