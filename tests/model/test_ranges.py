"""mmap and its kin on ranges with holes, parts and several VMAs: what is done and which errno is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.pgtable import pt_leaf
from pinhold.mm.task import FN_MREMAP
from play import Play, row
from schedule import HUGE, RW, Schedule

HOLE = "map P x anon pages 4\nwrite P x 0x11\nunmap P x[2]\n"


def states(played: Play, pages: int = 4) -> list[str]:
    """The states of x's first pages."""
    return [played.state(page=page) for page in range(pages)]


def test_madv_dontneed_passes_over_a_hole_and_tells() -> None:
    """Both sides are discarded, and the result is ENOMEM."""
    played = Play(row("6.2"), f"{HOLE}madvise P x dontneed\n")
    assert (played.errnos[-1], states(played)) == (k.ENOMEM, ["none"] * 4)


def test_madv_pageout_passes_over_a_hole_and_tells() -> None:
    """Both sides are swapped out."""
    played = Play(row("6.2"), f"{HOLE}madvise P x pageout\n")
    assert (played.errnos[-1], states(played)) == (k.ENOMEM, ["swapped", "swapped", "none", "swapped"])


def test_populate_stops_at_a_hole() -> None:
    """What lies before is populated, ENOMEM for the rest."""
    played = Play(row("6.12"), "map P x anon pages 4\nunmap P x[2]\nmadvise P x populate_write\n")
    assert (played.errnos[-1], states(played)) == (k.ENOMEM, ["present", "present", "none", "none"])


def test_populate_passes_over_a_hole_up_to_6_9() -> None:
    """Both sides are populated, from a hole on as well, and the result is ENOMEM."""
    played = Play(row("6.2"), "map P x anon pages 5\nunmap P x[0]\nunmap P x[2]\nmadvise P x populate_write\n")
    assert (played.errnos[-1], states(played)) == (k.ENOMEM, ["none", "present", "none", "present"])


def test_what_populating_finds_behind_a_hole_comes_before_the_hole() -> None:
    """Up to 6.9 the errno is that of the mapping without rights, not ENOMEM."""
    text = "map P x anon pages 3\nunmap P x[1]\nmprotect P x[2] read\nmadvise P x populate_write\n"
    assert Play(row("6.2"), text).errnos[-1] == k.EINVAL
    assert Play(row("6.12"), text).errnos[-1] == k.ENOMEM


def test_populate_refuses_rights_with_einval() -> None:
    """A mapping that cannot be written to cannot be populated for writing."""
    assert Play(row("6.2"), "map P x anon read\nmadvise P x populate_write\n").errnos[-1] == k.EINVAL
    assert Play(row("6.2"), "map P x anon read\nmadvise P x populate_read\n").errnos[-1] == 0


def test_hugetlb_is_not_paged_out() -> None:
    """EINVAL, in every release."""
    for release in ("5.10", "6.1", "6.18"):
        assert Play(row(release), "map P x hugetlb 2M\nwrite P x 0x11\nmadvise P x pageout\n").errnos[-1] == k.EINVAL


def test_hugetlb_takes_the_advice_of_thps_silently() -> None:
    """MADV_HUGEPAGE and MADV_NOHUGEPAGE only set flags."""
    text = "map P x hugetlb 2M\nmadvise P x hugepage\nmadvise P x nohugepage\n"
    assert Play(row("6.2"), text).errnos == [0, 0, 0]


def test_mprotect_goes_as_far_as_the_hole() -> None:
    """ENOMEM, and what lies before has the new rights."""
    played = Play(row("6.2"), f"{HOLE}mprotect P x read\nwrite P x[0] 0xff\nwrite P x[3] 0xff\n")
    assert played.errnos[-3:] == [k.ENOMEM, k.EFAULT, 0]


MOVE = "map P x anon pages 4\nwrite P x 0x11\n"


def test_mremap_takes_what_was_split_and_merged_again_as_one() -> None:
    """After mprotect() there and back the kernel has one VMA."""
    for release in ("5.10", "6.2", "6.18"):
        played = Play(row(release), f"{MOVE}mprotect P x[1] read\nmprotect P x[1] rw\nmremap P x to y\n")
        assert played.errnos[-1] == 0
        assert [played.state("y", page) for page in range(4)] == ["present"] * 4


def test_mremap_over_a_hole() -> None:
    """EFAULT up to 6.16; since 6.17 the hole moves along."""
    text = f"{MOVE}unmap P x[2]\nmremap P x to y\n"
    assert Play(row("6.12"), text).errnos[-1] == k.EFAULT
    played = Play(row("6.18"), text)
    assert played.errnos[-1] == 0
    assert [played.state("y", page) for page in range(4)] == ["present", "present", "none", "present"]


@pytest.mark.parametrize("to", [4, 5])
def test_mremap_moves_hugetlb_behind_other_memory(to: int) -> None:
    """Since 6.17 several mappings move, each by itself: what comes before hugetlb has moved when that is EINVAL, as it
    would not be aligned there.  Linux: vma_multi_allowed(), check_prep_vma()."""
    x = Schedule(row("6.18"), replace(HUGE, levels=3, tables=9, hugetlb=(2, 0), vmas_per_mm=3))
    x.map(0, 0, 2)
    x.map(0, 2, 4, RW | k.VM_HUGETLB, x.file(k.FILE_HUGETLB, 1), 1)
    for addr in (0, 2):
        x.write(0, 0, addr, 1)
    x.begin(0, FN_MREMAP, 0, 0, 4, arg=to)
    assert x.finish(0) == (0 if to % 2 == 0 else -k.EINVAL)
    assert x.m.pte[pt_leaf(x.m, 0, to)[0]]
    slot, level = pt_leaf(x.m, 0, to + 2 if to % 2 == 0 else 2)
    assert level == 1 and x.m.pte[slot]


def test_mremap_of_a_hole_is_efault() -> None:
    """The range has to begin in a mapping."""
    assert Play(row("6.18"), f"{MOVE}unmap P x[0]\nmremap P x to y\n").errnos[-1] == k.EFAULT


def test_mremap_of_part_of_a_thp_keeps_the_folio() -> None:
    """The moved half is mapped by PTEs to the same frames, still exclusive."""
    played = Play(row("6.2"), "map P x thp\nwrite P x 0x11\nmremap P x[256:] to y\n")
    assert played.frame("y") == played.frame() + 256
    assert played.view("y").exclusive
    assert played.m.folio_order[played.frame()] == 9


@pytest.mark.parametrize("memory", ["anon", "thp", "anon swapped"])
def test_mremap_leaves_everything_soft_dirty(memory: str) -> None:
    """What was clean before is soft-dirty at its new place, a swap entry too; without tracking nothing is."""
    kind, _, swapped = memory.partition(" ")
    swapout = "swapout P x\n" if swapped else ""
    text = f"map P x {kind}\nwrite P x 0x11\n{swapout}clear_softdirty P\nmremap P x to y\n"
    bit = k.SWP_SOFT_DIRTY if swapped else k.PTE_SOFT_DIRTY
    played = Play(row("6.12"), text, stop=-1)
    assert not played.entry() & bit
    assert played.play().entry("y") & bit
    assert not Play(row("6.12"), text, soft_dirty=0).entry("y") & bit


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_reclaim_leaves_a_shared_page_alone(release: str) -> None:
    """Only what one process maps once is paged out."""
    played = Play(row(release), "map P x anon\nwrite P x 0x11\nfork P C\nmadvise P x pageout\n")
    assert played.state() == "present"


def test_v5_10_swaps_a_pinned_page_out_and_the_pin_goes_stale() -> None:
    """feb889fb40fa (5.11, and 5.10.9) leaves it alone."""
    text = "map P x anon\nwrite P x 0x11\npin P x as p write longterm\nmadvise P x pageout\n"
    assert Play(row("5.10"), text).state() == "swapped"
    assert Play(row("5.10.9"), text).state() == "present"


def test_clearing_soft_dirty_write_protects_a_pinned_thp() -> None:
    """Only base pages are asked whether they are pinned."""
    text = "map P x thp\nwrite P x 0x11\npin P x as p write longterm\nclear_softdirty P\n"
    assert not Play(row("6.2"), text).writable()
