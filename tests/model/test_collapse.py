"""MADV_COLLAPSE: what is copied into a THP, what stays, and what the caller is told; and that no pin loses its page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.gup_fast import FAST_GRAB
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.khugepaged import (
    COLLAPSE_ALLOC,
    COLLAPSE_RELOCK,
    COLLAPSE_REVALIDATE,
    COLLAPSE_SCAN,
    COLLAPSE_SWAPPED,
    COLLAPSE_WRITE,
)
from pinhold.mm.madvise import MADV_COLLAPSE, MADV_DONTNEED
from pinhold.mm.pgtable import pt_leaf_level
from pinhold.mm.step import run
from pinhold.mm.task import FN_ACCESS, FN_COLLAPSE, FN_FORK, FN_GUP_FAST, FN_MADVISE, FN_MUNMAP, FN_PAGEOUT, call
from pinhold.mm.trap import Unspecified
from pinhold.mm.vmscan import PAGEOUT_UNMAP, PAGEOUT_WRITE
from play import Play, row
from schedule import HUGE, RW, Schedule

RELEASES = ("6.1", "6.2", "6.12", "6.18", "7.3")
TOUCHED = "map P x anon pages 1024\nwrite P x[0] 0x11\nwrite P x[511] 0x22\nmadvise P x hugepage\n"
"""Two PMDs' worth of base pages that may be THPs; of the first two pages are written, of the second none."""

READ_ONLY = f"{TOUCHED}mprotect P x[:512] read\n"
SHARED = f"{TOUCHED}fork P C\n"
SWAPPED = "map P x anon pages 512\nwrite P x 0x11\nswapout P x[:2]\nmadvise P x hugepage\n"


def collapse(played: Play, start: int = 0, end: int = 512, region: str = "x", process: str = "P") -> int:
    """The errno of MADV_COLLAPSE of pages [start, end); the structural invariants hold afterwards."""
    mm, address = played.address(region, 0, process)
    call(played.m, 0, FN_MADVISE, mm, address + start, address + end, MADV_COLLAPSE, 0)
    result = run(played.m, 0)
    broken = check_invariants(played.m)
    assert broken == 0, INVARIANTS[broken]
    return -result


def is_thp(played: Play, page: int = 0, process: str = "P") -> bool:
    return played.entry("x", page, process) & k.PTE_PSE != 0


def byte(played: Play, page: int, process: str = "P") -> int:
    return played.m.page_content[played.frame("x", page, process)]


def told(text: str, start: int = 0, end: int = 512) -> dict[str, int]:
    """The errno in each release."""
    return {release: collapse(Play(row(release), text), start, end) for release in RELEASES}


def since(release: str, before: int, after: int) -> dict[str, int]:
    return {name: after if RELEASES.index(name) >= RELEASES.index(release) else before for name in RELEASES}


def test_there_is_none_before_6_1() -> None:
    """As any advice that a kernel does not know."""
    played = Play(row("5.10"), TOUCHED)
    assert collapse(played) == k.EINVAL
    assert not is_thp(played)


@pytest.mark.parametrize("release", RELEASES)
def test_base_pages_become_a_thp_that_holds_what_they_held(release: str) -> None:
    """What was not mapped is zeros; the THP is exclusive, dirty and writable; the old frames and their table are
    free."""
    played = Play(row(release), TOUCHED)
    old = played.frame("x", 0)
    tables = sum(played.m.table_used)
    assert collapse(played) == 0
    assert is_thp(played) and not is_thp(played, 512)
    assert [byte(played, page) for page in (0, 1, 511)] == [0x11, 0, 0x22]
    head = played.frame("x", 0)
    assert head != old and played.m.folio_refcount[old] == 0
    assert played.m.folio_refcount[head] == 1 and played.m.page_exclusive[head]
    assert played.entry() & k.PTE_DIRTY and played.writable()
    assert sum(played.m.table_used) == tables - 1


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_a_thp_already_stays_as_it_is(release: str) -> None:
    """A second call does nothing; nor is the huge zero folio copied."""
    played = Play(row(release), TOUCHED)
    assert collapse(played) == 0
    entry = played.entry()
    assert collapse(played) == 0
    assert played.entry() == entry
    zero = Play(row(release), "map P x hugezero\nread P x\n")
    entry = zero.entry()
    assert collapse(zero) == 0
    assert zero.entry() == entry


@pytest.mark.parametrize("release", RELEASES)
def test_a_thp_that_ptes_map_is_copied_like_base_pages(release: str) -> None:
    """Split in its table by mprotect() of a page, and put together anew."""
    played = Play(row(release), "map P x thp\nwrite P x 0x11\nmprotect P x[0] read\nmprotect P x[0] rw\n")
    old = played.frame("x", 0)
    assert not is_thp(played)
    assert collapse(played) == 0
    assert is_thp(played) and byte(played, 7) == 0x11
    assert played.m.folio_refcount[old] == 0


@pytest.mark.parametrize("pin", ["", " longterm", " write longterm", " write fast"])
def test_a_pinned_page_stays(pin: str) -> None:
    """EAGAIN, in 6.1 EINVAL up to 6.1.12; the pin's frame is its owner's still.  Once it is gone nothing hinders."""
    expected = since("6.2", k.EINVAL, k.EAGAIN)
    for release in (*RELEASES, "6.1.12", "6.1.13"):
        played = Play(row(release), f"{TOUCHED}pin P x[511] as p{pin}\nunpin p\n", stop=5)
        before = played.frame("x", 511)
        assert collapse(played) == expected.get(release, k.EINVAL if release == "6.1.12" else k.EAGAIN), release
        assert played.frame("x", 511) == before and not is_thp(played)
        played.play()
        assert collapse(played) == 0, release
        assert is_thp(played)


@pytest.mark.parametrize("release", RELEASES)
def test_the_range_goes_on_behind_what_is_held(release: str) -> None:
    """The second PMD is collapsed though a page of the first is pinned, and the call fails all the same."""
    text = f"{TOUCHED}write P x[512] 0x33\npin P x[0] as p\n"
    played = Play(row(release), text)
    assert collapse(played, 0, 1024) != 0
    assert not is_thp(played, 0) and is_thp(played, 512)


def test_read_only_memory_is_collapsed_since_6_18() -> None:
    """Up to then one page has to be mapped writable: after fork() none is."""
    assert told(READ_ONLY) == since("6.18", k.EINVAL, 0)
    assert told(SHARED) == since("6.18", k.EINVAL, 0)
    assert told(f"{SHARED}write P x[0] 0x33\n") == since("6.18", 0, 0)


@pytest.mark.parametrize("release", RELEASES)
def test_shared_pages_are_copied_and_stay_the_childs(release: str) -> None:
    """Neither sees the other's later writes."""
    played = Play(row(release), f"{SHARED}write P x[0] 0x33\nwrite C x[511] 0x44\nwrite P x[511] 0x55\n", stop=6)
    assert collapse(played) == 0
    assert is_thp(played) and not is_thp(played, process="C")
    played.play()
    assert [byte(played, page) for page in (0, 511)] == [0x33, 0x55]
    assert [byte(played, page, "C") for page in (0, 511)] == [0x11, 0x44]


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_swapped_out_comes_in_first(release: str) -> None:
    """A fault for each, and then they are copied."""
    played = Play(row(release), SWAPPED)
    assert played.state("x", 1) == "swapped"
    assert collapse(played) == 0
    assert is_thp(played) and byte(played, 1) == 0x11


BACK = "{write}madvise P x[:2] pageout\nread P x\nmadvise P x[:2] pageout\nmadvise P x hugepage\n"
"""The first two pages went to the device, came back, and were reclaimed as they were: the device alone has them."""


@pytest.mark.parametrize("release", RELEASES)
def test_a_disk_is_not_waited_for(release: str) -> None:
    """One page is read by each try, which is EAGAIN; what is in the swap cache is mapped.  zram is read at once."""
    write = "map P x anon pages 512\nwrite P x 0x11\n"
    played = Play(row(release), BACK.format(write=write), swap_sync=0)
    tries = [collapse(played) for _ in range(3)]
    assert tries == [k.EAGAIN, k.EAGAIN, 0]
    assert is_thp(played) and byte(played, 0) == byte(played, 1) == 0x11
    assert collapse(Play(row(release), BACK.format(write=write), swap_sync=1)) == 0


def test_zeros_are_not_read_from_a_disk_since_6_12() -> None:
    """They were noted, not written (0ca0c24e3211)."""
    write = "map P x anon pages 512\nread P x\nwrite P x 0x00\n"
    for release, first in (("6.2", k.EAGAIN), ("6.12", 0), ("6.18", 0)):
        assert collapse(Play(row(release), BACK.format(write=write), swap_sync=0)) == first


def test_the_range_goes_on_behind_what_a_disk_has() -> None:
    """The second PMD's pages are all there."""
    write = "map P x anon pages 1024\nwrite P x 0x11\n"
    played = Play(row("6.18"), BACK.format(write=write), swap_sync=0)
    assert collapse(played, 0, 1024) == k.EAGAIN
    assert (played.state("x"), is_thp(played, 512)) == ("swapped", True)


@pytest.mark.parametrize("release", ["6.18", "7.3"])
@pytest.mark.parametrize(("other", "result"), [(4, k.EAGAIN), (600, 0)])
def test_a_ksm_page_is_collapsed_where_one_entry_maps_it(release: str, other: int, result: int) -> None:
    """Where two entries of the PMD do, it is locked already when the second is looked at: EAGAIN.  A child's mapping,
    and that of another PMD, are no matter."""
    text = "map P x anon pages 1024\nwrite P x[3] 0x22\nwrite P x[{}] 0x22\nksm P x with P x\nmadvise P x hugepage\n"
    played = Play(row(release), f"{text.format(other)}fork P C\n")
    assert played.frame("x", 3) == played.frame("x", other)
    assert collapse(played) == result
    assert is_thp(played) is (result == 0)


def test_memory_that_cannot_be_thps_is_refused() -> None:
    """MADV_NOHUGEPAGE, no whole PMD, no page yet, zero pages alone, hugetlb: EINVAL in each release; holes ENOMEM."""
    for text, end, errno in (
        ("map P x anon pages 512\nwrite P x 0x11\n", 512, k.EINVAL),
        ("map P x anon pages 511\nwrite P x 0x11\nmadvise P x hugepage\n", 511, k.EINVAL),
        ("map P x anon pages 512\nmadvise P x hugepage\n", 512, k.EINVAL),
        ("map P x anon pages 512\nread P x\nmadvise P x hugepage\n", 512, k.EINVAL),
        ("map P x hugetlb 2M\nwrite P x 0x11\n", 512, k.EINVAL),
        (f"{TOUCHED}unmap P x[512:]\n", 1024, k.ENOMEM),
    ):
        assert set(told(text, 0, end).values()) == {errno}, text


def test_a_pmd_that_maps_nothing_ends_the_call_up_to_6_18() -> None:
    """The third PMD is collapsed by kernels that go on; all fail.  Not so where the table is there and empty."""
    text = "map P x anon pages 1536\nwrite P x[0] 0x11\nwrite P x[1024] 0x11\nmadvise P x hugepage\n"
    for release in RELEASES:
        played = Play(row(release), text)
        assert collapse(played, 0, 1536) == k.EINVAL
        assert [is_thp(played, page) for page in (0, 1024)] == [True, release == "7.3"], release


def test_less_than_a_pmd_is_nothing_or_less() -> None:
    """A part that begins or ends with a PMD is nothing to collapse; in its midst it is an error up to 6.18."""
    assert told(TOUCHED, 1, 2) == since("7.3", k.EINVAL, 0)
    assert told(TOUCHED, 0, 1) == told(TOUCHED, 1, 512) == since("6.1", 0, 0)


def test_file_memory_is_not_specified() -> None:
    """The kernel collapses the page cache; the machine has no large pages there, and says so."""
    with pytest.raises(Unspecified, match="MADV_COLLAPSE"):
        collapse(Play(row("6.18"), "map P x memfd pages 512\nwrite P x 0x11\n"))


COLLAPSER, OTHER, THIRD = range(3)


def two_pages(
    chosen: dict[str, int], config: dict[str, int] | None = None, *, end: int = 2, **geometry: int
) -> Schedule:
    """A mapping of which two base pages are written, and a task that begins to collapse it."""
    x = Schedule(chosen, replace(HUGE, **({"swap": 4, "mms": 2} | geometry)), **(config or {}))
    x.map(0, 0, end, RW | k.VM_NOHUGEPAGE)
    x.write(OTHER, 0, 0, 1)
    x.write(OTHER, 0, 1, 2)
    x.m.vma_flags[0] &= ~k.VM_NOHUGEPAGE
    x.begin(COLLAPSER, FN_MADVISE, 0, 0, end, MADV_COLLAPSE)
    return x


def test_no_memory_for_a_thp() -> None:
    """ENOMEM, and the pages stay."""
    x = two_pages(row("6.18"), pages=3)
    assert x.finish(COLLAPSER) == -k.ENOMEM
    assert x.read(OTHER, 0, 0) == 0


STAGES = (COLLAPSE_SCAN, COLLAPSE_ALLOC, COLLAPSE_REVALIDATE, COLLAPSE_WRITE)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fast", [0, k.WANT_FAST])
def test_a_pin_that_comes_between_makes_it_fail(release: str, stage: int, fast: int) -> None:
    """Whichever way it is taken and between whichever steps: the pages stay, and the pin's frame is its owner's."""
    x = two_pages(row(release))
    x.until(COLLAPSER, FN_COLLAPSE, stage)
    x.begin_pin(OTHER, 0, k.FOLL_PIN | k.FOLL_LONGTERM | k.FOLL_WRITE | fast)
    assert x.finish(OTHER) >= 0
    assert x.finish(COLLAPSER) == (-k.EINVAL if release == "6.1" else -k.EAGAIN)
    assert pt_leaf_level(x.m, 0, 0) == 0
    assert x.violated == 0
    assert x.write(OTHER, 0, 0, 3) >= 0
    assert x.violated == 0


def test_gup_fast_in_the_middle_of_its_walk_is_let_finish() -> None:
    """Nothing is copied while it may hold a page; it gets its pin, and the pages stay."""
    x = two_pages(row("6.12"))
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_WRITE)
    x.begin_pin(OTHER, 0, k.FOLL_PIN | k.FOLL_WRITE | k.WANT_FAST)
    x.until(OTHER, FN_GUP_FAST, FAST_GRAB)
    assert x.step(COLLAPSER) == k.BLOCKED
    assert x.finish(OTHER) >= 0
    assert x.finish(COLLAPSER) == -k.EAGAIN
    assert x.violated == 0


def test_a_pin_after_it_has_the_thp() -> None:
    """The new frame, by either way."""
    for fast in (0, k.WANT_FAST):
        x = two_pages(row("6.12"))
        assert x.finish(COLLAPSER) == 0
        x.begin_pin(OTHER, 0, k.FOLL_PIN | k.FOLL_LONGTERM | fast)
        assert x.finish(OTHER) >= 0
        assert x.m.folio_order[x.m.run_page[0]] == 1
        x.write(OTHER, 0, 0, 3)
        assert x.violated == 0


@pytest.mark.parametrize("stage", STAGES)
def test_memory_that_goes_meanwhile_is_not_collapsed(stage: int) -> None:
    """Unmapped, or discarded, between any two steps: EINVAL, and the THP that was allocated is free again."""
    for function, flags in ((FN_MUNMAP, 0), (FN_MADVISE, MADV_DONTNEED)):
        x = two_pages(row("6.18"))
        x.until(COLLAPSER, FN_COLLAPSE, stage)
        x.begin(OTHER, function, 0, 0, 2, flags)
        if x.finish(OTHER) == k.BLOCKED:
            continue
        result = x.finish(COLLAPSER)
        assert result == -k.EINVAL, function
        assert not any(x.m.folio_order)


def test_a_page_that_is_paged_out_meanwhile_is_not_collapsed() -> None:
    """After the pages came in, and before mmap_lock is held for writing: a swap entry ends the attempt with EINVAL."""
    x = two_pages(row("6.18"))
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_WRITE)
    x.begin(OTHER, FN_PAGEOUT, 0, 0, 1)
    assert x.finish(OTHER) == 0
    assert x.finish(COLLAPSER) == -k.EINVAL
    assert x.read(OTHER, 0, 0) == 0


def test_a_page_in_swap_is_faulted_in_under_the_lock() -> None:
    """The call waits at its fault with mmap_lock held for reading, and copies what came in, which nobody holds."""
    x = two_pages(row("6.18"), lru_batch_size=3)
    x.begin(OTHER, FN_PAGEOUT, 0, 0, 1)
    assert x.finish(OTHER) == 0
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_REVALIDATE)
    x.step(COLLAPSER)
    assert x.m.act_pc[x.m.task_stack[COLLAPSER] + 1] == COLLAPSE_SWAPPED
    x.begin(OTHER, FN_MUNMAP, 0, 0, 2)
    assert x.step(OTHER) == k.BLOCKED
    assert x.finish(COLLAPSER) == 0
    assert x.finish(OTHER) == 0


def test_a_page_in_swap_that_reclaim_has_locked_is_not_waited_for() -> None:
    """It is in the swap cache and unmapped, and on its way to the device: EAGAIN, as soon as the call meets it."""
    x = two_pages(row("6.18"), {"swap_sync": 0})
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_REVALIDATE)
    x.begin(OTHER, FN_PAGEOUT, 0, 0, 1)
    x.until(OTHER, FN_PAGEOUT, PAGEOUT_WRITE)
    assert x.finish(COLLAPSER) == -k.EAGAIN
    assert x.finish(OTHER) == 0
    assert x.violated == 0


def test_a_fork_between_makes_the_pages_shared_and_they_are_copied() -> None:
    """Since 6.18; a 6.12 that finds no page writable any more lets them be.  Parent and child stay apart."""
    for release, result in (("6.12", -k.EINVAL), ("6.18", 0)):
        x = two_pages(row(release))
        x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_WRITE)
        x.begin(OTHER, FN_FORK, 0, end=0, arg=1)
        assert x.finish(OTHER) == 1
        assert x.finish(COLLAPSER) == result
        x.begin(THIRD, FN_ACCESS, 0, 0, 1, k.FAULT_FLAG_WRITE, 7)
        assert x.finish(THIRD) >= 0
        assert x.violated == 0


def test_what_came_in_from_swap_leaves_the_batch_and_the_swap_cache() -> None:
    """Read from the device anew, it would wait in the CPU's batch, and count as held; nothing of it is left over."""
    for sync in (0, 1):
        x = two_pages(row("6.18"), {"swap_sync": sync}, lru_batch_size=3)
        x.begin(OTHER, FN_PAGEOUT, 0, 0, 1)
        assert x.finish(OTHER) == 0
        assert x.finish(COLLAPSER) == 0
        assert not any(flags & k.FOLIO_SWAPCACHE for flags in x.m.folio_flags)
        assert x.m.lru_batch[0] == 0


def test_a_page_that_reclaim_has_locked_stays() -> None:
    """It may be tried again, which 6.1 says of a locked page, and not of one that is held."""
    x = two_pages(row("6.1"))
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_SCAN)
    x.begin(OTHER, FN_PAGEOUT, 0, 0, 1)
    x.until(OTHER, FN_PAGEOUT, PAGEOUT_UNMAP)
    assert x.finish(COLLAPSER) == -k.EAGAIN
    assert x.finish(OTHER) == 0


def test_a_vma_that_goes_between_two_pmds_is_an_error() -> None:
    """The first PMD is collapsed by then."""
    x = two_pages(row("6.18"), end=4)
    x.until(COLLAPSER, FN_COLLAPSE, COLLAPSE_RELOCK)
    x.begin(OTHER, FN_MUNMAP, 0, 2, 4)
    assert x.finish(OTHER) == 0
    assert x.finish(COLLAPSER) == -k.EINVAL
    assert pt_leaf_level(x.m, 0, 0) == 1
