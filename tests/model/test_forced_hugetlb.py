"""Forced writes to hugetlb mappings that may not be written, where soft-dirty is tracked."""

from __future__ import annotations

import pytest

from pinhold.targets.base import Livelock
from play import Play, row

BEFORE = "map P x hugetlb 2M {prot} pages 512\nclear_softdirty P\npoke P x 0x11\n"


@pytest.mark.parametrize("prot", ["none", "read"])
@pytest.mark.parametrize("release", ["6.18", "7.3"])
def test_what_is_mapped_after_soft_dirty_was_cleared_is_never_followed(release: str, prot: str) -> None:
    """The fault leaves the entry clean (052ccfbcc6cd, 6.14), and GUP waits for a soft-dirty one."""
    with pytest.raises(Livelock, match="__get_user_pages and handle_mm_fault go round"):
        Play(row(release), BEFORE.format(prot=prot))


def test_without_tracking_it_ends() -> None:
    """A kernel without soft-dirty is not concerned."""
    assert Play(row("7.3"), BEFORE.format(prot="read"), soft_dirty=0).errnos[-1] == 0


def test_what_was_written_before_stays_soft_dirty() -> None:
    """The first forced write marks the entry as it follows it (FOLL_TOUCH); clearing passes hugetlb over."""
    text = "map P x hugetlb 2M read pages 512\npoke P x 0x11\nclear_softdirty P\npoke P x 0x22\n"
    played = Play(row("7.3"), text)
    assert played.errnos[-1] == 0
    assert played.view().byte == 0x22
