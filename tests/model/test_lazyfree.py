"""MADV_FREE: what reclaim discards, what it keeps, and the batch put back with wrong rights (CVE-2026-31398)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.lazyfree import folio_test_lazyfree
from pinhold.mm.madvise import MADV_DOFORK, MADV_DONTFORK, MADV_FREE, MADV_PAGEOUT
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE, PRIVATE_WRITES_UNSEEN
from pinhold.mm.task import FN_FORK, FN_MADVISE, FN_MUNMAP, FN_PAGEOUT, FN_UNPIN
from pinhold.mm.vmscan import PAGEOUT_UNMAP
from play import Play, row
from schedule import FLAT, HUGE, RW, Schedule

OWNER, OTHER, PINNER = range(3)
LONGTERM = k.FOLL_PIN | k.FOLL_LONGTERM | k.FOLL_WRITE
RELEASES = ["5.10.262", "6.1", "6.12", "6.18.44", "7.3"]


def freed(release: str, lines: str = "", kind: str = "anon") -> Play:
    """Memory that was written and advised MADV_FREE, then some steps, and MADV_PAGEOUT."""
    return Play(row(release), f"map P x {kind}\nwrite P x 0x11\nmadvise P x free\n{lines}madvise P x pageout\n")


@pytest.mark.parametrize("kind", ["anon", "thp"])
@pytest.mark.parametrize("release", RELEASES)
def test_what_was_not_written_again_is_discarded(release: str, kind: str) -> None:
    """A read changes nothing: the page goes, and the next read is of zeros."""
    played = freed(release, "read P x[0]\n", kind)
    assert played.entry() == 0
    assert "lazyfree_discarded" in played.sites[-1]
    assert freed(release, "madvise P x pageout\nread P x[0]\n", kind).view().byte == 0


@pytest.mark.parametrize("kind", ["anon", "thp"])
@pytest.mark.parametrize("release", RELEASES)
def test_what_was_written_again_stays(release: str, kind: str) -> None:
    """The first write after MADV_FREE needs no fault, and is known by the dirty entry."""
    played = freed(release, "write P x[0] 0x22\n", kind)
    assert played.view().byte == 0x22
    assert not folio_test_lazyfree(played.m, played.frame())
    assert "lazyfree_written_kept" in played.sites[-1]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("pin", ["io_uring P x as p", "vmsplice P x as p", "pin P x as p"])
def test_a_page_that_is_held_stays_until_it_is_let_go(release: str, pin: str) -> None:
    """Reclaim sees the references; up to 6.14 the page is an ordinary one from then on."""
    played = freed(release, f"{pin}\n")
    assert played.view().byte == 0x11
    kept = row(release)["lazyfree_held"] == 2
    assert folio_test_lazyfree(played.m, played.frame()) == kept


def test_what_a_device_may_have_written_stays() -> None:
    """A pin for writing marks its pages dirty when it is let go, a pin for reading does not."""
    for pin, stays in (("pin P x as p write fast", True), ("pin P x as p", False)):
        played = freed("6.18.44", f"{pin}\nunpin p\n")
        assert (played.entry() != 0) == stays


def test_swapped_pages_go_at_once() -> None:
    """MADV_FREE drops swap entries, and brings nothing back for it."""
    played = Play(row("6.12"), "map P x anon\nwrite P x 0x11\nswapout P x\nmadvise P x free\n")
    assert played.entry() == 0
    assert not any(played.m.swap_count)


def test_memory_that_is_not_anonymous_is_refused() -> None:
    """EINVAL for files, private or not, and for hugetlb."""
    for kind in ("memfd shared", "memfd private", "file shared", "hugetlb 2M"):
        assert Play(row("6.12"), f"map P x {kind}\nread P x\nmadvise P x free\n").errnos[-1] == k.EINVAL


def test_a_childs_page_stays() -> None:
    """The child has not advised anything: its entry is dirty, and MADV_PAGEOUT leaves shared pages alone."""
    played = Play(row("6.12"), "map P x anon\nwrite P x 0x11\nfork P C\nmadvise P x free\nmadvise P x pageout\n")
    assert played.view(process="C").byte == played.view().byte == 0x11


@pytest.mark.parametrize(("release", "large"), [("6.1", False), ("6.12", True), ("6.18.44", True)])
def test_a_part_of_a_thp(release: str, large: bool) -> None:
    """Only that part is lazyfree, so the THP is split; mapped by PTEs and meant whole it stays one since 6.10."""
    text = "map P x thp\nwrite P x 0x11\nmadvise P x[0:256] free\nmadvise P x pageout\n"
    played = Play(row(release), text)
    assert (played.state(page=0), played.state(page=256)) == ("none", "swapped")
    text = "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\nmadvise P x free\n"
    whole = Play(row(release), text)
    assert whole.m.folio_order[whole.frame()] == (9 if large else 0)


def half_shared(chosen: dict[str, int]) -> Schedule:
    """A THP of two pages, of which a child maps the second: the parent's entries are writable and read-only."""
    x = Schedule(chosen, replace(HUGE, swap=0))
    x.map(0, 0, 2, RW | k.VM_HUGEPAGE)
    x.write(OWNER, 0, 0, 1)
    advise(x, MADV_DONTFORK, 1)
    x.begin(OTHER, FN_FORK, 0, end=0, arg=1)
    assert x.finish(OTHER) == 1
    advise(x, MADV_DOFORK, 1)
    return x


def advise(x: Schedule, advice: int, end: int = 2) -> int:
    x.begin(OWNER, FN_MADVISE, 0, 0, end, advice)
    return x.finish(OWNER)


def child_keeps_a_reference(chosen: dict[str, int]) -> Schedule:
    """The child holds the second page by vmsplice() and unmaps; MADV_FREE and MADV_PAGEOUT in the parent."""
    x = half_shared(chosen)
    x.steps = 0
    x.begin_pin(PINNER, 0, k.FOLL_GET | k.WANT_FAST, 1, 1, 2)
    x.finish(PINNER)
    x.begin(OTHER, FN_MUNMAP, 1, 0, 2)
    x.finish(OTHER)
    advise(x, MADV_FREE)
    advise(x, MADV_PAGEOUT)
    return x


def test_a_read_only_page_comes_back_writable() -> None:
    """Put back with the rights of the batch's first entry, a page that the child still reads is written in place."""
    lost = child_keeps_a_reference(row("6.18"))
    assert lost.violated == PRIVATE_WRITES_UNSEEN
    print(f"{lost.steps} steps")
    for chosen in (row("6.12"), row("6.18.44"), row("6.18.44", lazyfree_batch="single")):
        kept = child_keeps_a_reference(chosen)
        assert kept.violated == 0
        kept.write(OWNER, 0, 1, 2)
        assert kept.violated == 0


def test_of_a_batch_all_stays_that_is_written_in_part() -> None:
    """One by one, the pages that were not written again go."""
    text = (
        "map P x thp\nwrite P x 0x11\nmadvise P x[0] dontfork\nmadvise P x[0] dofork\n"
        "madvise P x free\nwrite P x[1] 0x22\nmadvise P x pageout\n"
    )
    for batch, first in (("single", "none"), ("any_rights", "present"), ("same_rights", "present")):
        played = Play(row("6.18", lazyfree_batch=batch), text)
        assert (played.state(page=0), played.state(page=1)) == (first, "present")
        assert played.view(page=1).byte == 0x22


@pytest.mark.parametrize("held", ["discarded", "swap_backed", "kept"])
def test_a_pin_taken_before_reclaim_unmaps(held: str) -> None:
    """The pin comes when reclaim has chosen the page: unless references are counted then, it is left behind."""
    x = Schedule(row("6.12", lazyfree_held=held), FLAT)
    x.map(0, 0, 1)
    x.write(OWNER, 0, 0, 1)
    advise(x, MADV_FREE, 1)
    x.begin(OWNER, FN_MADVISE, 0, 0, 1, MADV_PAGEOUT)
    x.until(OWNER, FN_PAGEOUT, PAGEOUT_UNMAP)
    x.begin_pin(PINNER, 0, LONGTERM | k.WANT_FAST)
    assert x.finish(PINNER) == 1
    x.finish(OWNER)
    assert x.violated == (LONGTERM_PIN_RELIABLE if held == "discarded" else 0)
    x.begin(PINNER, FN_UNPIN, 0)
    x.finish(PINNER)


@pytest.mark.parametrize("step", ["mprotect P x read", "numa_hint P x"])
@pytest.mark.parametrize(
    ("release", "stays"),
    [("6.1", True), ("6.12.110", False), ("6.12.111", True), ("6.18", False), ("7.3", True)],
)
def test_a_written_thp_is_discarded_where_its_huge_entry_forgets(release: str, stays: bool, step: str) -> None:
    """mprotect() or a NUMA scan after the write: the data is lost from 6.6 until f7491d7c81db, nowhere else."""
    played = freed(release, f"write P x 0x22\n{step}\n", "thp")
    assert (played.state() == "present") == stays
    assert ("pmd_dirty_lost" in played.sites[4]) != stays


def test_base_pages_remember_that_they_were_written() -> None:
    """Only the huge entry forgets: pages that PTEs map stay, those of a THP, too."""
    for kind, lines in (
        ("anon", "write P x 0x22\nmprotect P x read\n"),
        ("thp", "write P x 0x22\nmprotect P x[0] read\nmprotect P x read\n"),
    ):
        assert freed("6.18", lines, kind).view().byte == 0x22
