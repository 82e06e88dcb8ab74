"""KSM: what merges, who keeps what, and the pins that a merge leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.folio import folio_test_ksm
from pinhold.mm.ksm import KSM_MERGE, KSM_MERGE_PROTECT, KSM_MERGE_REPLACE, KSM_UPGRADE_PROTECT
from pinhold.mm.madvise import MADV_MERGEABLE, MADV_UNMERGEABLE
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE
from pinhold.mm.releases import releases
from pinhold.mm.task import FN_ACCESS, FN_FORK, FN_KSM_MERGE, FN_MADVISE, FN_MREMAP
from play import Play, row
from schedule import FLAT, Schedule

KSMD, PINNER, WRITER = range(3)
MOVABLE = replace(FLAT, bits=2)
"""Four pages of address space."""
LONGTERM = k.FOLL_PIN | k.FOLL_LONGTERM
READ_PINS = [LONGTERM, LONGTERM | k.WANT_FAST]


def two_pages(chosen: dict[str, int], *written: int) -> Schedule:
    """A mergeable mapping of two pages, of which these are written with zeros."""
    x = Schedule(chosen)
    x.map(0, 0, 2)
    for addr in written:
        x.write(WRITER, 0, addr, 0)
    advise(x, MADV_MERGEABLE)
    x.steps = 0
    return x


def advise(x: Schedule, advice: int) -> int:
    x.begin(WRITER, FN_MADVISE, 0, 0, 2, advice)
    return x.finish(WRITER)


def begin_merge(x: Schedule, addr: int, other: int, mm: int = 0) -> None:
    x.begin(KSMD, FN_KSM_MERGE, 0, addr, other, 0, mm)


def merge(x: Schedule, addr: int, other: int, mm: int = 0) -> bool:
    begin_merge(x, addr, other, mm)
    return x.finish(KSMD) == 0


def entry(x: Schedule, addr: int, mm: int = 0) -> int:
    return x.m.pte[(x.m.mm_pgd[mm] << x.m.bits) + addr]


def page(x: Schedule, addr: int, mm: int = 0) -> int:
    return entry(x, addr, mm) >> k.PFN_SHIFT


def test_two_equal_pages_become_one_that_is_copied_by_the_first_write() -> None:
    """Both entries are read-only on one KSM page; each write copies, also when nobody else is left."""
    x = two_pages(row("6.12"), 0, 1)
    assert merge(x, 0, 1)
    assert page(x, 0) == page(x, 1)
    assert folio_test_ksm(x.m, page(x, 0))
    assert not (entry(x, 0) | entry(x, 1)) & (k.PTE_RW | k.PTE_DIRTY)
    for addr in (0, 1):
        before = page(x, addr)
        x.write(WRITER, 0, addr, 5)
        assert page(x, addr) != before
        assert not folio_test_ksm(x.m, page(x, addr))
    assert x.violated == 0


def test_a_third_page_joins_and_a_forked_one_is_shared_as_it_is() -> None:
    """A page merges into a KSM page that exists, whichever is named first; what fork() shares is one page already."""
    x = two_pages(row("6.12"), 0, 1)
    x.begin(WRITER, FN_FORK, 0, end=0, arg=1)
    assert x.finish(WRITER) == 1
    assert not merge(x, 0, 0, mm=1)
    assert merge(x, 0, 1)
    shared = page(x, 0)
    assert merge(x, 0, 1, mm=1)
    assert page(x, 1, mm=1) == shared
    assert x.m.page_mapcount[shared] == 4
    assert x.violated == 0


def test_pages_that_differ_or_are_not_advised_stay_apart() -> None:
    """Nothing is write-protected where there is nothing to merge."""
    x = two_pages(row("6.12"), 0, 1)
    x.write(WRITER, 0, 1, 7)
    assert not merge(x, 0, 1)
    x.write(WRITER, 0, 1, 0)
    advise(x, MADV_UNMERGEABLE)
    assert not merge(x, 0, 1)
    assert entry(x, 0) & entry(x, 1) & k.PTE_RW


@pytest.mark.parametrize("flags", [LONGTERM | k.FOLL_WRITE, LONGTERM | k.FOLL_WRITE | k.WANT_FAST])
@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.3"])
def test_a_page_pinned_for_writing_is_never_merged(release: str, flags: int) -> None:
    """Its entry is writable, so that KSM looks at the references, on every kernel."""
    x = two_pages(row(release), 0, 1)
    x.begin_pin(PINNER, 0, flags)
    x.finish(PINNER)
    assert not merge(x, 0, 1)
    assert not merge(x, 1, 0)
    assert x.violated == 0


@pytest.mark.parametrize("flags", READ_PINS)
@pytest.mark.parametrize("replaced", [True, False])
def test_a_pin_of_a_clean_read_only_page_is_left_behind(replaced: bool, flags: int) -> None:
    """Unshared for the pin, the page is read-only and clean: without a look at exclusive pages KSM replaces it, or
    makes it the KSM page, which the owner's next write leaves."""

    def play(chosen: dict[str, int]) -> tuple[bool, Schedule]:
        x = two_pages(chosen, 1)
        x.begin_pin(PINNER, 0, flags)
        x.finish(PINNER)
        merged = merge(x, 1, 0) if replaced else merge(x, 0, 1)
        if not replaced:
            x.write(WRITER, 0, 0, 5)
        return merged, x

    merged, lost = play(row("6.12", ksm_protects_exclusive="no"))
    assert merged
    assert lost.violated == LONGTERM_PIN_RELIABLE
    print(f"{lost.steps} steps")
    merged, kept = play(row("6.12"))
    assert not merged
    assert kept.violated == 0


def protect_then_pin(chosen: dict[str, int], flags: int) -> tuple[int, Schedule]:
    """KSM has write-protected the page and not replaced it yet: a whole pin; KSM goes on."""
    x = two_pages(chosen, 0, 1)
    begin_merge(x, 1, 0)
    x.until(KSMD, FN_KSM_MERGE, KSM_MERGE_REPLACE)
    x.begin_pin(PINNER, 0, flags)
    x.finish(PINNER)
    return x.finish(KSMD), x


@pytest.mark.parametrize("flags", READ_PINS)
def test_a_read_only_pin_between_protecting_and_replacing(flags: int) -> None:
    """KSM has looked already; unless GUP unshares what is not exclusive, its pin is of a page that goes."""
    merged, lost = protect_then_pin(row("6.12", gup_unshares="none"), flags)
    assert merged == 0
    assert lost.violated == LONGTERM_PIN_RELIABLE
    print(f"{lost.steps} steps")
    merged, kept = protect_then_pin(row("6.12"), flags)
    assert merged == -k.EFAULT
    assert kept.m.pin_state[0] == k.PIN_LIVE
    assert kept.violated == 0


@pytest.mark.parametrize("release", ["5.10", "6.12"])
@pytest.mark.parametrize("flags", [LONGTERM | k.FOLL_WRITE, LONGTERM | k.FOLL_WRITE | k.WANT_FAST])
def test_a_pin_for_writing_between_protecting_and_replacing(release: str, flags: int) -> None:
    """It copies (KSM has the page locked), and KSM finds another entry than the one that it protected."""
    merged, x = protect_then_pin(row(release), flags)
    assert merged == -k.EFAULT
    assert x.m.pin_state[0] == k.PIN_LIVE
    assert x.violated == 0


@pytest.mark.parametrize("release", ["5.10", "6.12"])
def test_gup_fast_around_the_protecting(release: str) -> None:
    """GUP-fast has read the entry when KSM protects it: it either is counted by then, or finds the entry changed."""
    for grabbed in (False, True):
        x = two_pages(row(release), 0, 1)
        begin_merge(x, 1, 0)
        x.until(KSMD, FN_KSM_MERGE, KSM_MERGE_PROTECT)
        x.begin_pin(PINNER, 0, LONGTERM | k.FOLL_WRITE | k.WANT_FAST)
        while x.m.act_page[4 * PINNER + x.m.task_depth[PINNER] - 1] == k.NO_PAGE:
            x.step(PINNER)
        if grabbed:
            x.step(PINNER)
        x.step(KSMD)
        x.finish(PINNER)
        assert x.finish(KSMD) == -k.EFAULT
        assert x.m.pin_state[0] == k.PIN_LIVE
        assert x.violated == 0


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_a_merge_that_fails_half_way_is_taken_back(release: str) -> None:
    """The first page is a KSM page when the second turns out to differ: its process gets its own page again."""
    x = two_pages(row(release), 0, 1)
    begin_merge(x, 0, 1)
    x.until(KSMD, FN_KSM_MERGE, KSM_UPGRADE_PROTECT)
    x.until(KSMD, FN_KSM_MERGE, KSM_MERGE)
    assert folio_test_ksm(x.m, page(x, 0))
    x.write(WRITER, 0, 1, 7)
    assert x.finish(KSMD) == -k.EFAULT
    assert not folio_test_ksm(x.m, page(x, 0))
    assert bool(entry(x, 0) & k.PTE_RW) == (release == "6.1")
    assert x.violated == 0


def test_unmerging_gives_everybody_a_page_of_its_own() -> None:
    """MADV_UNMERGEABLE breaks what was merged, and no more is merged after it."""
    x = two_pages(row("6.12"), 0, 1)
    assert merge(x, 0, 1)
    assert advise(x, MADV_UNMERGEABLE) == 0
    assert page(x, 0) != page(x, 1)
    assert x.m.page_exclusive[page(x, 0)] and x.m.page_exclusive[page(x, 1)]
    assert not merge(x, 0, 1)
    assert x.violated == 0


MERGED = "map P x anon pages 3\nwrite P x 0x11\nksm P x[0] with P x[1]\nksm P x[0] with P x[2]\n"


@pytest.mark.parametrize(("release", "left"), [("5.10", False), ("6.1", True), ("6.2", False), ("6.12", False)])
def test_unmerging_leaves_what_break_ksm_does_not_see(release: str, left: bool) -> None:
    """Where follow_page() finds no inaccessible page MADV_UNMERGEABLE leaves those, and says that it succeeded."""
    played = Play(row(release), f"{MERGED}mprotect P x[1:3] none\nmadvise P x unmergeable\n")
    assert played.errnos[-1] == 0
    assert [played.view("x", page).kind for page in range(3)] == ["anon", *["ksm" if left else "anon"] * 2]
    assert (played.frame("x", 1) == played.frame("x", 2)) is left


@pytest.mark.parametrize("release", releases())
def test_mremap_takes_merged_pages_apart_first(release: str) -> None:
    """Every page has its own frame at the new place, and may be merged there again."""
    played = Play(row(release), f"{MERGED}mremap P x to y\n")
    assert played.errnos[-1] == 0
    assert len({played.frame("y", n) for n in range(3)}) == 3
    assert {played.view("y", n).kind for n in range(3)} == {"anon"}
    played = Play(row(release), f"{MERGED}mremap P x to y\nksm P y[0] with P y[1]\n")
    assert played.frame("y") == played.frame("y", 1)


def test_mremap_of_a_part_takes_that_part_alone_apart() -> None:
    """The page that moves is copied; the two that stay are one still."""
    played = Play(row("6.12"), f"{MERGED}mremap P x[2] to y\n")
    assert played.frame() == played.frame(page=1) != played.frame("y")
    assert played.view().kind == "ksm"


@pytest.mark.parametrize(("release", "writable"), [("6.1", True), ("6.12", False)])
def test_mremap_takes_apart_as_the_release_breaks_ksm(release: str, writable: bool) -> None:
    """By a write fault, which leaves the page writable, or by unsharing."""
    assert Play(row(release), f"{MERGED}mremap P x to y\n").writable("y") == writable


def test_mremap_of_several_mappings_breaks_each_before_it_moves() -> None:
    """From 6.17 on: a KSM page of the second mapping is broken when the first one is at its new place already."""
    played = Play(row("6.18"), f"{MERGED}mprotect P x[0] read\nmremap P x to y\n")
    assert len({played.frame("y", n) for n in range(3)}) == 3


def test_mremap_holds_mmap_lock_while_it_takes_pages_apart() -> None:
    """Between the faults nobody else can fault; the books balance after every step."""
    x = Schedule(row("6.12"), MOVABLE)
    x.map(0, 0, 2)
    for addr in range(2):
        x.write(WRITER, 0, addr, 0)
    advise(x, MADV_MERGEABLE)
    assert merge(x, 0, 1)
    x.begin(WRITER, FN_MREMAP, 0, 0, 2, arg=2)
    assert x.step(WRITER) == k.AGAIN
    x.begin(PINNER, FN_ACCESS, 0, 0, 1, k.FAULT_FLAG_WRITE, 2)
    assert x.finish(PINNER) == k.BLOCKED
    assert x.finish(WRITER) == 0
    assert page(x, 2) != page(x, 3)


def test_mremap_waits_for_gup_fast_that_comes_between_two_faults() -> None:
    """It walks with interrupts off, and the tables that mremap() empties stay until it is out."""
    x = Schedule(row("6.12"), MOVABLE)
    x.map(0, 0, 2)
    for addr in range(2):
        x.write(WRITER, 0, addr, 0)
    advise(x, MADV_MERGEABLE)
    assert merge(x, 0, 1)
    x.begin(WRITER, FN_MREMAP, 0, 0, 2, arg=2)
    x.step(WRITER)
    x.begin_pin(PINNER, 0, k.FOLL_PIN | k.WANT_FAST)
    while not x.m.task_irqs_off[PINNER]:
        x.step(PINNER)
    assert x.finish(WRITER) == k.BLOCKED
    while x.m.task_irqs_off[PINNER]:
        x.step(PINNER)
    assert x.finish(WRITER) == 0
