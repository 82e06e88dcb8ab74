"""hugetlb: reserves of private and shared mappings, and what happens when the pool (16 pages of 2 MiB) is empty."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.releases import releases
from pinhold.scenario.parse import parse
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario
from play import Play, row

POOL = 16


def play(text: str, release: str = "6.2") -> Play:
    """A played scenario after which the books balance."""
    played = Play(row(release), text)
    assert INVARIANTS[check_invariants(played.m)] == INVARIANTS[0]
    return played


FULL = "map P x hugetlb 2M\nwrite P x 0x11\nmap P z hugetlb 2M pages 7680\nfork P C\n"
"""The child shares the owner's page, and all other huge pages are reserved."""


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


def test_a_file_whose_mapping_fails_is_gone() -> None:
    """Ten pages are there for the file, and none for the reserve of its private mapping: all are free again."""
    played = play(f"map P x memfd_hugetlb 2M pages {units(10)}\nmap P y hugetlb 2M pages {units(POOL)}\n")
    assert played.errnos == [k.ENOMEM, 0]


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
    assert list(played.session.names.mms) == ["P"]


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


MOVES = ["mremap C x to y\n", "mremap P x to y\n"]


@pytest.mark.parametrize("move", MOVES)
def test_an_owner_takes_its_page_back_where_the_child_maps_it(move: str) -> None:
    """From 7.3.4 on, whoever has moved: the owner writes in place, and the child's page is gone."""
    owner, child = ("x", "y") if "C" in move else ("y", "x")
    played = play(f"{FULL}{move}write P {owner} 0x22\nread C {child}\n", "7.3.4")
    assert played.errnos[-2:] == [0, k.EFAULT]
    assert played.sites[-2] == ["hugetlb_unmap_children", "hugetlb_wp_reuse_mapcount"]


@pytest.mark.parametrize("release", ["6.1", "6.12", "6.18", "7.3.3"])
@pytest.mark.parametrize("move", MOVES)
def test_up_to_7_3_3_it_looks_at_its_own_address_and_tries_for_ever(release: str, move: str) -> None:
    """Nothing is mapped there after a move: the verdict names the loop, and no page is taken from the child."""
    region = "x" if "C" in move else "y"
    result = run_scenario(
        ModelTarget(release), parse(f"scenario t\n{FULL}{move}write P {region} 0x22\nread P {region}\n")
    )
    assert result.verdict.kind == "livelock"
    assert "hugetlb_wp: no huge page is free and nothing could be unmapped" in str(result.verdict.reason)


@pytest.mark.parametrize("release", releases())
def test_an_owner_whose_child_has_not_moved_takes_its_page_back(release: str) -> None:
    """The same address in both: every release finds it."""
    assert play(f"{FULL}write P x 0x22\n", release).errnos[-1] == 0


SHORT = (
    f"map P x memfd_hugetlb 2M pages {units(2)}\nmap P y of x\n{{before}}write P {{of}}[:512] 0x11\n"
    f"map P z hugetlb 2M pages {units(6)}\nfork P C\nwrite C z 0x22\nwrite P {{of}}[:512] 0x33\nunmap P z\n"
)
"""A file is mapped twice, and the owner takes its page, in one of the mappings, from its child; then there is room."""


def killed(release: str, before: str, of: str, mappings: str) -> str:
    """Which of the child's mappings of the file it dies of when it touches their first page, where it lost the page of
    the mapping `of`."""
    text = SHORT.format(before=before, of=of)
    played = play(text, release)
    assert "hugetlb_unmap_children" in played.sites[-2]
    assert played.state(of, process="C") == "none"
    return "".join(name for name in mappings if play(f"{text}read C {name}[:512]\n", release).errnos[-1] == k.EFAULT)


CUTS = [
    ("", "x"),
    ("mprotect P x[:512] read\nmprotect P x[:512] rw\n", "y"),
    ("unmap P x[512:]\n", "y"),
    ("unmap P x[512:]\nunmap P y[512:]\n", "x"),
]


@pytest.mark.parametrize("of", "xy")
@pytest.mark.parametrize(("before", "first"), CUTS)
def test_up_to_7_3_3_who_is_killed_is_the_mapping_that_is_found_first(before: str, first: str, of: str) -> None:
    """That is the older one, whichever had the page; one that is split is the youngest again.  From 7.3.4 on it is the
    one that had it."""
    for release in ("5.10", "6.18", "7.3.3"):
        assert killed(release, before, of, "xy") == first
    assert killed("7.3.4", before, of, "xy") == of


@pytest.mark.parametrize(
    ("before", "mappings", "first"),
    [
        ("mremap P x to v\n", "vy", "y"),
        ("mremap P x to w\nmremap P w to v\n", "vy", "y"),
        ("mremap P y to w\n", "xw", "x"),
        ("mremap P x to v\nmremap P y to w\n", "vw", "v"),
    ],
)
def test_a_mapping_that_has_moved_is_the_youngest(before: str, mappings: str, first: str) -> None:
    """However often."""
    assert [killed("6.18", before, of, mappings) for of in mappings] == [first, first]


def test_of_two_mappings_the_one_that_begins_earlier_in_the_file_is_found_first() -> None:
    """Even if it is the younger: what is left of x begins at the file's second page, and v has both."""
    before = "unmap P x[:512]\nmap P a anon\nunmap P y\nmap P b anon\nmap P v of x\n"
    text = SHORT.format(before=before, of="x").replace("x[:512] 0x", "x[512:] 0x")
    assert play(f"{text}read C x[512:]\n", "6.18").errnos[-1] == 0
    assert play(f"{text}read C v[512:]\n", "6.18").errnos[-1] == k.EFAULT


MOVING = "map P x hugetlb 2M pages {size}\nmremap P x[{first}:{end}] to y\n"


def moved(first: int, end: int, then: str, release: str = "6.12") -> Play:
    """Of four huge pages that are reserved, those from `first` to `end` are moved away."""
    text = MOVING.format(size=units(4), first=units(first), end=units(end))
    return play(f'vm_only "it loses a reserve"\n{text}{then}', release)


@pytest.mark.parametrize("release", releases()[1:])
def test_what_stays_of_a_moved_mapping_has_lost_its_reserve(release: str) -> None:
    """The part that moved has its own; what was reserved for the rest nobody can have, as long as the machine runs."""
    rest = units(POOL - 4)
    played = moved(1, 3, f"map P z hugetlb 2M pages {rest}\nwrite P y 0x11\nwrite P x[:512] 0x11\n", release)
    assert played.errnos[-2:] == [0, k.EFAULT]
    assert (played.m.hugetlb_lost[0], played.sites[1]) == (2, ["hugetlb_reserve_lost"])
    played = moved(1, 3, "exit P\n", release)
    assert (played.m.hugetlb_reserved[0], played.m.hugetlb_free[0]) == (2, POOL)


@pytest.mark.parametrize(("first", "end"), [(0, 4), (0, 3), (1, 4)])
def test_only_what_stays_loses(first: int, end: int) -> None:
    """A mapping that moves whole takes its reserve along, and gives it back when it goes."""
    played = moved(first, end, "unmap P y\n")
    assert played.m.hugetlb_lost[0] == played.m.hugetlb_reserved[0] == 4 - (end - first)


def test_a_childs_mapping_has_no_reserve_to_lose() -> None:
    """It moves a part of its own mapping, and the parent's is as it was."""
    text = f'vm_only "a part"\nmap P x hugetlb 2M pages {units(2)}\nfork P C\nmremap C x[512:] to y\n'
    played = play(f"{text}write P x 0x11\n", "6.12")
    assert (played.m.hugetlb_lost[0], played.errnos[-1]) == (0, 0)


OWNER_COMES_BACK = (
    "map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nmadvise P x dontneed\n"
    f"map P y hugetlb 2M pages {512 * (POOL - 1)}\nwrite P x 0x22\n"
)


@pytest.mark.parametrize(
    ("release", "error", "reserved"),
    [("6.12.109", 0, POOL - 2), ("6.12.110", k.EFAULT, POOL - 1), ("6.18", 0, POOL - 2), ("7.3", k.EFAULT, POOL - 1)],
)
def test_an_owner_has_its_reserve_back_too_early(release: str, error: int, reserved: int) -> None:
    """While the child still maps the page, the owner takes one that y has reserved; it is made up for when the child
    ends (6.9 to 7.2: the fix is of 7.3 and 6.12.110)."""
    played = play(OWNER_COMES_BACK, release)
    assert (played.errnos[-1], played.m.hugetlb_reserved[0]) == (error, reserved)
    assert play(f"{OWNER_COMES_BACK}exit C\n", release).m.hugetlb_reserved[0] == POOL - 1


def test_the_reserve_falls_below_nothing() -> None:
    """The owner gives its mapping up before the child: -1 page reserved until the child ends.  More than is free cannot
    be reserved meanwhile."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\nfork P C\nmadvise P x dontneed\nunmap P x\n"
    assert play(text, "6.18").m.hugetlb_reserved[0] == -1
    assert play(f"{text}exit C\n", "6.18").m.hugetlb_reserved[0] == 0
    assert play(text, "7.3").m.hugetlb_reserved[0] == 0
    more = f"map P y hugetlb 2M pages {units(POOL)}\n"
    assert play(text + more, "6.18").errnos[-1] == k.ENOMEM
    assert play(f"{text}exit C\n{more}", "6.18").errnos[-1] == 0


def test_a_pin_keeps_the_reserve_waiting() -> None:
    """The place is reserved again at once, the pool's page when the pin is let go."""
    text = "map P x hugetlb 2M\nwrite P x 0x11\npin P x as p\nmadvise P x dontneed\n"
    assert play(text, "7.3").m.hugetlb_reserved[0] == 0
    assert play(f"{text}unpin p\n", "7.3").m.hugetlb_reserved[0] == 1
