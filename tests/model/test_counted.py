"""What random steps on guests, compared count by count, showed to be otherwise than the specification had it."""

from __future__ import annotations

from pinhold.mm import flags as k
from pinhold.mm.file import FOLIO_CLEAN
from play import Play, row


def test_a_moved_huge_page_is_as_soft_dirty_as_before() -> None:
    """mremap() makes soft-dirty what it moves, but for hugetlb: move_huge_pte()."""
    huge = Play(row("6.1"), "map P x hugetlb 2M pages 512\nread P x\nmremap P x to y\n", soft_dirty=1)
    base = Play(row("6.1"), "map P x anon\nwrite P x 0x01\nclear_softdirty P\nmremap P x to y\n", soft_dirty=1)
    assert [played.entry("y") & k.PTE_SOFT_DIRTY != 0 for played in (huge, base)] == [False, True]


def test_the_copy_of_a_pinned_huge_page_is_soft_dirty() -> None:
    """fork() makes it writable up to 6.13, where the mapping is not, and dirty, and so soft-dirty: make_huge_pte()."""
    text = "map P x hugetlb 2M pages 512\nwrite P x 0x01\nio_uring P x as p\nmprotect P x read\nfork P C\n"
    entry = Play(row("6.12"), text, soft_dirty=1).entry(process="C")
    assert all(entry & bit for bit in (k.PTE_RW, k.PTE_DIRTY, k.PTE_SOFT_DIRTY))


def test_a_pinned_page_that_cannot_be_unmapped_is_dirty() -> None:
    """Reclaim of a page in the swap cache takes the entry's dirty bit to the folio before it finds the page pinned, and
    puts the entry back: try_to_unmap_one()."""
    begin = "map P x anon\nwrite P x 0x01\nswapout P x\nswapin P x\nclear_softdirty P\npin P x as p write longterm\n"
    dirty = {end: Play(row("6.12"), begin + end, soft_dirty=1) for end in ("", "swapout P x\n")}
    assert [each.m.folio_dirty[each.frame()] != FOLIO_CLEAN for each in dirty.values()] == [False, True]
    assert all(each.entry() & k.PTE_DIRTY for each in dirty.values())


def test_what_a_pin_that_fails_got_is_dirty() -> None:
    """Who asked lets go of it as of a whole pin: unpin_user_pages_dirty_lock(), for all users but io_uring."""
    hole = "map P x anon pages 2\nmadvise P x dontneed\nunmap P x[1]\n"
    pins = ("pin P x as p write\n", "pin P x as p write longterm user io_uring\n", "pin P x as p\n")
    played = [Play(row("6.12"), hole + pin) for pin in pins]
    assert [each.errnos[-1] for each in played] == [k.EFAULT] * 3
    assert [each.m.folio_dirty[each.frame()] != FOLIO_CLEAN for each in played[:2]] == [True, False]


def test_a_huge_page_that_is_split_is_dirty_if_its_entry_was() -> None:
    """Also where the pages become folios of their own: __split_huge_pmd_locked()."""
    text = "map P x thp\nwrite P x 0x00\nwrite P x[0] 0x01\nksm P x with P x\n"
    played = Play(row("6.12"), text, ksm=1)
    assert played.m.folio_dirty[played.frame()] != FOLIO_CLEAN
