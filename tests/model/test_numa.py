"""NUMA balancing: what its scan and its hinting faults do to pages that are pinned, shared, or neither."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.follow import gup_can_follow_protnone
from pinhold.mm.madvise import MADV_DONTNEED
from pinhold.mm.pgtable import pt_leaf
from pinhold.mm.properties import LONGTERM_PIN_RELIABLE
from pinhold.mm.state import Geometry
from pinhold.mm.task import FN_MADVISE, FN_MPROTECT, FN_MUNMAP, FN_PROT_NUMA
from play import Play, row
from schedule import FLAT, HUGE, RW, Schedule

PROCESS, DRIVER = 0, 1
WRITE_PIN = k.FOLL_PIN | k.FOLL_WRITE | k.FOLL_LONGTERM


def pinned_and_scanned(chosen: dict[str, int], geometry: Geometry = HUGE) -> Schedule:
    """A written page, huge where there are huge pages, is pinned long-term; the scan passes."""
    x = Schedule(chosen, geometry)
    end = 1 << geometry.bits if geometry.levels > 1 else 1
    x.map(0, 0, end, RW | k.VM_HUGEPAGE)
    assert x.write(PROCESS, 0, 0, 1) == 0
    x.steps = 0
    x.begin_pin(DRIVER, 0, WRITE_PIN)
    assert x.finish(DRIVER) == 1
    x.begin(PROCESS, FN_PROT_NUMA, 0, 0, end)
    assert x.finish(PROCESS) == 0
    return x


def inaccessible(x: Schedule) -> bool:
    return x.m.pte[pt_leaf(x.m, 0, 0)[0]] & (k.PTE_PRESENT | k.PTE_PROTNONE) == k.PTE_PROTNONE


def split(x: Schedule, how: int) -> None:
    """The second half of the THP gets other rights, goes, or is discarded: the first one is mapped by a PTE."""
    x.begin(PROCESS, how, 0, 1, 2, MADV_DONTNEED if how == FN_MADVISE else k.VM_READ)
    assert x.finish(PROCESS) == 0


@pytest.mark.parametrize("how", [FN_MPROTECT, FN_MUNMAP, FN_MADVISE])
@pytest.mark.parametrize(
    ("chosen", "violated"),
    [
        (row("5.10"), LONGTERM_PIN_RELIABLE),
        (row("5.10", numa_huge_fails="as_it_was"), 0),
        (row("5.10", numa_skips="any_pinned"), 0),
        (row("6.2"), 0),
        (row("6.2", numa_huge_fails="read_only"), 0),
    ],
)
def test_a_pinned_thp_that_cannot_move(chosen: dict[str, int], violated: int, how: int) -> None:
    """Its entry stays read-only; once it is split, 5.10's next write sees that something holds the page, and copies.

    Where the page is marked exclusive (5.19), the write does not look.
    """
    x = pinned_and_scanned(chosen)
    assert x.read(PROCESS, 0, 0) == 0
    split(x, how)
    assert x.write(PROCESS, 0, 0, 2) == 0
    print(f"{x.steps} steps")
    assert x.violated == violated


def test_without_a_split_it_is_written_in_place() -> None:
    """5.10 judges the reuse of a THP by its mappings alone."""
    x = pinned_and_scanned(row("5.10"))
    assert x.read(PROCESS, 0, 0) == 0
    assert x.write(PROCESS, 0, 0, 2) == 0
    assert x.violated == 0


def test_a_pinned_base_page_is_restored() -> None:
    """The hinting fault gives a base page its write permission back, whoever holds it, and it is written in place."""
    x = pinned_and_scanned(row("5.10", numa_skips="mapped_twice"), FLAT)
    assert inaccessible(x)
    assert x.write(PROCESS, 0, 0, 2) == 0
    assert x.violated == 0


@pytest.mark.parametrize("skips", ["referenced", "shared_or_pinned", "any_pinned"])
def test_a_pinned_base_page_is_not_scanned(skips: str) -> None:
    """Since 80d47f5de5e3 it stays as it is."""
    assert not inaccessible(pinned_and_scanned(row("5.10", numa_skips=skips), FLAT))


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12"])
def test_what_the_scan_leaves_alone(release: str) -> None:
    """The zero page, what is not accessible, a file that is only read, a dirty page of a file, hugetlb, a KSM page."""
    for text in (
        "map P x zeropage\nread P x\n",
        "map P x anon\nwrite P x 0x11\nmprotect P x none\n",
        "map P x memfd private read\nread P x\n",
        "map P x file shared\nwrite P x 0x11\n",
        "map P x hugetlb 2M\nwrite P x 0x11\n",
        "map P x anon pages 2\nwrite P x 0x11\nksm P x[0] with P x[1]\nwrite P x[1] 0x12\n",
    ):
        played = Play(row(release), f"{text}drain\n", stop=None)
        before = played.entry()
        again = Play(row(release), f"{text}drain\nnuma_hint P x\n")
        assert again.entry() == before, text


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.2", "6.12", "7.3"])
def test_a_page_is_what_it_was(release: str) -> None:
    """After scan and access a written page is writable again, a shared one read-only still."""
    played = Play(row(release), "map P x anon\nwrite P x 0x11\ndrain\nnuma_hint P x\nread P x\n")
    assert "numa_hints" in played.sites[-2]
    assert "numa_restores" in played.sites[-1]
    assert played.writable()
    shared = Play(row(release), "map P x memfd private\nread P x\ndrain\nnuma_hint P x\nread P x\n")
    assert not shared.writable()


def test_who_asks_for_hinting_faults() -> None:
    """Since 6.6 FOLL_HONOR_NUMA_FAULT does, where the mapping is accessible; before, whoever does not force."""
    for protection, old, new in ((RW, False, False), (0, False, True)):
        for rule, follows in (("faults", old), ("follows", new)):
            x = Schedule(row("6.2", gup_protnone=rule))
            x.map(0, 0, 1, protection)
            assert gup_can_follow_protnone(x.m, 0, k.FOLL_HONOR_NUMA_FAULT) == follows
    x = Schedule(row("6.2"))
    x.map(0, 0, 1)
    assert gup_can_follow_protnone(x.m, 0, k.FOLL_FORCE)
