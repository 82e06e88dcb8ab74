"""CVE-2020-29374 and its kin: a page that a child still holds is taken for the parent's alone, and written in place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinhold.mm import flags as k
from pinhold.mm.properties import PRIVATE_WRITES_UNSEEN
from pinhold.mm.task import FN_FORK, FN_MUNMAP
from play import row
from schedule import FLAT, HUGE, RW, Schedule

PARENT, CHILD = 0, 1
HUGETLB = replace(HUGE, hugetlb=(2, 0), tables=6)


def memory(kind: str, chosen: dict[str, int]) -> tuple[Schedule, int]:
    """A machine with one mapping of the kind, and the end of its first page."""
    if kind == "anon":
        x, end = Schedule(chosen, FLAT), 1
        x.map(0, 0, end)
    elif kind == "thp":
        x, end = Schedule(chosen, HUGE), 2
        x.map(0, 0, end, RW | k.VM_HUGEPAGE)
    else:
        x, end = Schedule(chosen, HUGETLB), 2
        x.map(0, 0, end, RW | k.VM_HUGETLB, x.file(k.FILE_HUGETLB, 1), 1)
    return x, end


CASES = [
    ("anon", {"wp_reuse": "mapcount"}),
    ("thp", {"huge_wp_reuse": "mapcount"}),
    ("hugetlb", {}),
]
CURED = [
    ("anon", {"wp_reuse": "references"}),
    ("anon", {}),
    ("thp", {}),
    ("hugetlb", {"hugetlb_wp_reuse": "references"}),
]


def child_reads_on(kind: str, chosen: dict[str, int], holder: str) -> Schedule:
    """The holder takes the page as vmsplice() does and unmaps it, after a fork(); the other one writes."""
    x, end = memory(kind, chosen)
    x.write(PARENT, 0, 0, 1)
    x.begin(PARENT, FN_FORK, 0, end=0, arg=1)
    assert x.finish(PARENT) == 1
    mm = ("parent", "child").index(holder)
    x.begin_pin(CHILD, 0, k.FOLL_GET | k.WANT_FAST, mm)
    assert x.finish(CHILD) == 1
    x.begin(CHILD, FN_MUNMAP, mm, 0, end)
    assert x.finish(CHILD) == 0
    assert x.write(PARENT, 1 - mm, 0, 2) == 0
    print(f"{kind}: {x.steps} steps")
    return x


@pytest.mark.parametrize("holder", ["child", "parent"])
@pytest.mark.parametrize(("kind", "bad"), CASES)
def test_reuse_by_mapcount_shows_a_private_write(kind: str, bad: dict[str, str], holder: str) -> None:
    """Who let go of the mapping but not of the page reads what the other one writes later."""
    x = child_reads_on(kind, row("6.2", **bad), holder)
    assert x.violated == PRIVATE_WRITES_UNSEEN
    page = x.m.run_page[0]
    assert x.m.page_content[page if page < x.m.nr_pages else x.m.nr_pages + (page >> x.m.hugetlb_shift) - 1] == 2


@pytest.mark.parametrize("holder", ["child", "parent"])
@pytest.mark.parametrize(("kind", "good"), CURED)
def test_reuse_by_references_does_not(kind: str, good: dict[str, str], holder: str) -> None:
    """The reference keeps the page from being written in place."""
    assert child_reads_on(kind, row("6.2", **good), holder).violated == 0


def test_an_exclusive_huge_page_is_written_in_place_whoever_holds_it() -> None:
    """Judged by references an owner would else copy away from its own pins."""
    x, end = memory("hugetlb", row("6.2", hugetlb_wp_reuse="references"))
    x.write(PARENT, 0, 0, 1)
    x.begin_pin(CHILD, 0, k.FOLL_PIN | k.FOLL_LONGTERM | k.FOLL_WRITE)
    assert x.finish(CHILD) == 1
    slot = x.m.mm_pgd[0] << x.m.bits
    x.m.pte[slot] &= ~k.PTE_RW
    assert x.write(PARENT, 0, 0, 2) == 0
    assert x.violated == 0
    assert end == 2
