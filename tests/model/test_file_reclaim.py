"""MADV_PAGEOUT of the pages of files: what stays in the page cache, what goes, and what a later fault finds."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from play import Play, row

WRITTEN = "map P x {kind} shared pages 4\nwrite P x 1\n"


@pytest.mark.parametrize(("kind", "swap", "away"), [("memfd", 1, True), ("memfd", 0, False), ("file", 1, False)])
def test_every_page_is_unmapped_and_some_go(kind: str, swap: int, away: bool) -> None:
    """Shmem goes where there is swap; a dirty page of an ordinary file waits for writeback."""
    played = Play(row(), f"{WRITTEN.format(kind=kind)}swapout P x\n", swap=swap)
    assert played.errnos[-1] == 0
    assert played.state(page=2) == "none"
    assert sum(played.m.cache_away) == (4 if away else 0)


@pytest.mark.parametrize("held", ["vmsplice P x[1] as p", "pin P x[1] as p write"])
def test_a_held_page_is_unmapped_and_stays(held: str) -> None:
    """Whoever holds it, and the next fault, have the same page."""
    played = Play(row(), f"{WRITTEN.format(kind='memfd')}{held}\nswapout P x\nread P x\n")
    assert played.view(page=1).pfn == next(played.session.held("p")).pfn
    assert sum(played.m.cache_away) == 0


def test_a_page_that_two_map_stays_mapped() -> None:
    """MADV_PAGEOUT leaves alone what somebody else maps, too."""
    played = Play(row(), f"{WRITTEN.format(kind='memfd')}fork P C\nwrite C x[0] 1\nswapout P x\n")
    assert played.errnos[-1] == k.EBUSY
    assert [played.state(page=page) for page in (0, 1)] == ["present", "none"]


@pytest.mark.parametrize("kind", ["memfd", "file"])
def test_what_comes_back_has_its_content(kind: str) -> None:
    """From swap, or from its device, where it was written back to."""
    text = f"{WRITTEN.format(kind=kind)}writeback P x\nswapout P x\nwrite P x[1] 2\nread P x\n"
    played = Play(row(), text)
    assert [played.view(page=page).byte for page in range(4)] == [1, 2, 1, 1]


def test_a_dirty_page_is_passed_over_by_fault_around_until_it_is_asked_for() -> None:
    """PG_reclaim, which it was given, is PG_readahead."""
    played = Play(row(), f"{WRITTEN.format(kind='file')}swapout P x\nread P x[1]\n")
    assert [played.state(page=page) for page in range(4)] == ["none", "present", "none", "none"]
    played = Play(row(), f"{WRITTEN.format(kind='file')}swapout P x\nread P x[1]\nmadvise P x dontneed\nread P x[3]\n")
    assert [played.state(page=page) for page in range(4)] == ["none", "present", "none", "present"]


@pytest.mark.parametrize(("held", "clears"), [("", "writeback P x"), ("pin P x as p write longterm\n", "unpin p")])
def test_the_mark_goes_when_the_page_is_written_back_or_dirtied(held: str, clears: str) -> None:
    """After either, fault-around maps the neighbours again."""
    text = f"{WRITTEN.format(kind='file')}{held}swapout P x\n"
    assert Play(row(), f"{text}read P x[1]\n").state(page=2) == "none"
    assert Play(row(), f"{text}{clears}\nread P x[1]\n").state(page=2) == "present"


@pytest.mark.parametrize(
    ("release", "held", "state"),
    [("6.1.27", "pin", "none"), ("6.1.28", "pin", "present"), ("6.1.28", "vmsplice", "none"), ("6.2", "pin", "none")],
)
def test_a_dirty_page_that_may_be_pinned_gets_no_mark(release: str, held: str, state: str) -> None:
    """Since 6.1.28, and by a pin alone: one that a pipe holds is marked, and so are those that nobody holds."""
    text = f"{WRITTEN.format(kind='file')}{held} P x[2] as p\nswapout P x\nread P x[1]\n"
    played = Play(row(release), text)
    assert [played.state(page=page) for page in range(4)] == ["none", "present", state, "none"]


def test_what_a_device_wrote_behind_the_file_system_is_lost() -> None:
    """The page was written back, so it is clean; reclaim drops it, and what is read again is what was written back.

    But for io_uring, whoever lets go of a page that was pinned for writing marks it dirty.
    """
    chosen = row("6.12", longterm_dirty_tracked="allowed")
    for user, byte in (("none", 2), ("io_uring", 1)):
        text = f"map P x file shared pages 1\nwrite P x 1\npin P x as p write longterm user {user}\nwriteback P x\n"
        played = Play(chosen, f"{text}device write p 2\nunpin p\nswapout P x\nread P x\n")
        assert played.view(page=0).byte == byte


def test_io_uring_refuses_a_file_to_whoever_pins_for_it() -> None:
    """As the step io_uring is refused, so is a pin whose user is io_uring (io_sqe_buffer_register(), 5.10.262)."""
    for release, errno in (("5.10.262", k.EOPNOTSUPP), ("6.12", k.EFAULT)):
        played = Play(row(release), "map P x file shared pages 1\npin P x as p write longterm user io_uring\n")
        assert played.errnos[-1] == errno
        assert not played.session.names.pins
