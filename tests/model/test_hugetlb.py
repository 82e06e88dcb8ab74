"""hugetlb: reserves of private and shared mappings, and what happens when the pool (16 pages of 2 MiB) is empty."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.releases import releases
from pinhold.scenario.parse import parse
from pinhold.targets.model import ModelTarget
from pinhold.targets.runner import run_scenario
from play import Play, row

POOL = 16


def play(text: str, release: str = "6.2") -> Play:
    """A played scenario after which the books balance."""
    played = Play(row(release), text)
    assert INVARIANTS[check_invariants(played.m)] == INVARIANTS[0]
    return played


def units(count: int) -> int:
    """Base pages of so many huge pages."""
    return 512 * count


def test_mmap_reserves_and_munmap_gives_back() -> None:
    """A private mapping that does not fit is refused; what was never touched is free again after munmap()."""
    played = play(f"map P x hugetlb 2M pages {units(10)}\nmap P y hugetlb 2M pages {units(7)}\n")
    assert played.errnos == [0, k.ENOMEM]
    assert played.m.hugetlb_reserved[0] == 10
    played = play(f"map P x hugetlb 2M pages {units(10)}\nwrite P x[:1024] 0x11\nunmap P x[512:{units(5)}]\n")
    assert (played.m.hugetlb_reserved[0], played.m.hugetlb_free[0]) == (5, POOL - 1)


def test_a_shared_mapping_reserves_for_its_file() -> None:
    """What one process reserved the child may use; the reserve goes with the file."""
    text = f"map P x hugetlb 2M shared pages {units(POOL)}\nmap P y hugetlb 2M\n"
    played = play(text)
    assert played.errnos == [0, k.ENOMEM]
    played = play(f"map P x hugetlb 2M shared pages {units(4)}\nfork P C\nwrite C x[:512] 0x11\n")
    assert (played.errnos[-1], played.m.hugetlb_reserved[0]) == (0, 3)
    assert play(f"map P x hugetlb 2M shared pages {units(4)}\nunmap P x\n").m.hugetlb_reserved[0] == 0


def test_a_reserve_is_for_its_own_place() -> None:
    """A page discarded before 6.9 has lost its reserve, even where other places of the mapping still have theirs."""
    hole = f"map P x hugetlb 2M pages {units(2)}\nwrite P x[:512] 0x11\nmadvise P x[:512] dontneed\n"
    rest = f"map P y hugetlb 2M pages {units(POOL - 1)}\nwrite P x[:512] 0x22\n"
    assert play(hole + rest).errnos[-2:] == [0, k.EFAULT]
    assert play(hole + rest, "6.12").errnos[-2:] == [k.ENOMEM, 0]


def test_a_private_read_allocates() -> None:
    """There is no huge zero page of hugetlb: the first read gets an exclusive page, read-only."""
    played = play("map P x hugetlb 2M\nread P x\n")
    assert (played.view().exclusive, played.writable(), played.m.hugetlb_free[0]) == (True, False, POOL - 1)


SHARED = f"map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nmap P y hugetlb 2M pages {units(POOL - 1)}\n"


def test_the_owner_takes_its_page_back_from_the_child() -> None:
    """Nothing is left to copy to: the page is unmapped from the child, reused by the owner, and the child killed."""
    played = play(f"{SHARED}write P x 0xff\nread C x\n")
    assert "hugetlb_unmap_children" in played.sites[-2]
    assert played.errnos[-2:] == [0, k.EFAULT]
    assert played.state(process="C") == "none"


def test_the_child_is_killed_for_good() -> None:
    """Pages that come free later do not help it: it must not see zeros where its data was."""
    assert play(f"{SHARED}write P x 0xff\nunmap P y\nread C x\n").errnos[-1] == k.EFAULT


def test_a_child_without_a_free_page_is_killed_and_the_owner_keeps_its_page() -> None:
    """Only the owner may take pages away."""
    played = play(f"{SHARED}write C x 0xff\n")
    assert played.errnos[-1] == k.EFAULT
    assert played.state() == "present"


def test_the_owners_copy_does_not_use_its_reserve_twice() -> None:
    """With a free page outside all reserves the owner copies."""
    played = play("map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nwrite P x 0xff\n")
    assert played.frame() != played.frame(process="C")
    assert (played.m.hugetlb_free[0], played.m.hugetlb_reserved[0]) == (POOL - 2, 0)


def test_fork_of_a_pinned_page_fails_without_a_free_page() -> None:
    """The child's copy is not reserved: ENOMEM, and no child."""
    pinned = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p write\n"
    played = play(f"{pinned}map P y hugetlb 2M pages {units(POOL - 1)}\nfork P C\n")
    assert played.errnos[-1] == k.ENOMEM
    assert list(played.session.mms) == ["P"]


def test_the_private_mapping_of_a_file_uses_its_reserve_to_copy() -> None:
    """The page cache's page was not the mapping's: the reserve is still there."""
    played = play("map P x memfd_hugetlb 2M private\nread P x\nwrite P x 0xff\n")
    assert (played.view().kind, played.m.hugetlb_reserved[0], played.m.hugetlb_free[0]) == ("hugetlb", 0, POOL - 2)


@pytest.mark.parametrize("step", ["unmap P x[:256]", "mprotect P x[:256] read"])
def test_a_huge_page_is_not_cut(step: str) -> None:
    """The language itself refuses ranges that are no multiples of the huge page."""
    with pytest.raises(ValueError, match="huge"):
        play(f"map P x hugetlb 2M\n{step}\n")


MUTEX = """\
scenario hugetlb faults on one page come one after the other
small levels 2 hugetlb 4
map P x memfd_hugetlb 2M
write P x 0x01
fork P C
start cpu write P x 0x02
advance cpu steps 2
exit C
start driver pin P x as p longterm
advance driver steps 6
advance cpu
settle
write P x 0x03
expect p sees P x
expect sound
"""


@pytest.mark.parametrize("release", releases())
def test_faults_on_one_page_come_one_after_the_other(release: str) -> None:
    """An unshare waits for a write's copy in another thread (hugetlb_fault_mutex_table), and so does not pin the page
    that the copy replaces; without an unshare, before 5.19, the other thread's pin is of the old page."""
    kind = "violated" if release == "5.10" else "held"
    assert run_scenario(ModelTarget(release), parse(MUTEX)).verdict.kind == kind
