"""GUP's flags: what each entry point refuses, release by release, and with which errno."""

from __future__ import annotations

from typing import Any

import pytest

from pinhold.mm import flags as k
from pinhold.mm.gup import (
    GET_USER_PAGES,
    GET_USER_PAGES_FAST,
    NO_PAGES,
    PIN_USER_PAGES,
    PIN_USER_PAGES_FAST,
    is_valid_gup_args,
)
from pinhold.mm.machine import create
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import TINY
from pinhold.mm.step import run
from pinhold.targets.model.target import CONFIG
from play import Play, row

RELEASES = ("5.10", "6.1", "6.2", "6.12", "6.18")
OLD = ("5.10", "6.1", "6.2")
ALL = (GET_USER_PAGES, GET_USER_PAGES_FAST, PIN_USER_PAGES, PIN_USER_PAGES_FAST)
GET = (GET_USER_PAGES, GET_USER_PAGES_FAST)
FAST = (GET_USER_PAGES_FAST, PIN_USER_PAGES_FAST)


def args(release: str, api: int, flags: int) -> int:
    """What the entry point says to these flags of a caller."""
    return is_valid_gup_args(create(TINY, row(release), CONFIG), api, flags)


def gup(played: Play, flags: int, pages: int = 1, region: str = "x", page: int = 0) -> int:
    """The result of one GUP by task 0 into pin 0, which is to be free."""
    mm, address = played.address(region, page)
    pin_start(played.m, 0, 0, mm, address, address + pages, flags, k.USER_NONE)
    return run(played.m, 0)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("api", ALL)
def test_sensible_flags_pass_everywhere(release: str, api: int) -> None:
    """WRITE and FORCE pass every entry point, LONGTERM those that pin."""
    assert args(release, api, k.FOLL_WRITE | k.FOLL_FORCE) == 0
    if api not in GET:
        assert args(release, api, k.FOLL_LONGTERM) == 0


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("api", GET)
def test_longterm_needs_pin(release: str, api: int) -> None:
    """get_* refuses FOLL_LONGTERM, and FOLL_PIN from outside, with EINVAL in every release."""
    assert args(release, api, k.FOLL_LONGTERM) == -k.EINVAL
    assert args(release, api, k.FOLL_PIN) == -k.EINVAL


@pytest.mark.parametrize("release", RELEASES)
def test_pin_and_get_exclude_each_other(release: str) -> None:
    """pin_* refuses FOLL_GET: EINVAL, but 0 pages of the slow ones since is_valid_gup_args()."""
    assert args(release, PIN_USER_PAGES_FAST, k.FOLL_GET) == -k.EINVAL
    assert args(release, PIN_USER_PAGES, k.FOLL_GET) == (-k.EINVAL if release in OLD else NO_PAGES)


@pytest.mark.parametrize("flag", [k.FOLL_TOUCH, k.FOLL_TRIED, k.FOLL_REMOTE, k.FOLL_UNLOCKABLE, k.FOLL_MADV_POPULATE])
@pytest.mark.parametrize("release", RELEASES)
def test_internal_flags_are_refused_since_6_3(release: str, flag: int) -> None:
    """Before, only the fast entry points noticed, which do not know them."""
    new = release not in OLD
    assert args(release, GET_USER_PAGES, flag) == (-k.EINVAL if new else 0)
    assert args(release, PIN_USER_PAGES, flag) == (NO_PAGES if new else 0)
    assert args(release, PIN_USER_PAGES_FAST, flag) == -k.EINVAL


@pytest.mark.parametrize("api", FAST)
def test_the_fast_walk_learnt_its_flags_one_by_one(api: int) -> None:
    """DUMP it never knew; NOFAULT since 5.16, HONOR_NUMA_FAULT only where that exists."""
    assert [args(release, api, k.FOLL_DUMP) for release in RELEASES] == [-k.EINVAL] * 5
    assert [args(release, api, k.FOLL_NOFAULT) for release in RELEASES] == [-k.EINVAL, 0, 0, 0, 0]
    assert [args(release, api, k.FOLL_HONOR_NUMA_FAULT) for release in RELEASES] == [-k.EINVAL] * 3 + [0, 0]


def test_longterm_and_peer_to_peer_exclude_each_other() -> None:
    """Since is_valid_gup_args()."""
    both = k.FOLL_LONGTERM | k.FOLL_PCI_P2PDMA
    assert args("6.12", PIN_USER_PAGES_FAST, both) == -k.EINVAL
    assert args("6.12", PIN_USER_PAGES_FAST, k.FOLL_PCI_P2PDMA) == 0


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_refused_leaves_nothing_behind(release: str) -> None:
    """A refused request holds no page and no slot; 0 pages are no error."""
    played = Play(row(release), "map P x anon\nwrite P x 0x11\n")
    result = gup(played, k.FOLL_PIN | k.WANT_FAST | k.FOLL_TOUCH)
    assert result == -k.EINVAL
    slow = gup(played, k.FOLL_PIN | k.FOLL_TOUCH)
    assert slow == (1 if release in OLD else 0)
    assert played.m.pin_state[0] == (k.PIN_LIVE if slow else k.PIN_FREE)


@pytest.mark.parametrize("release", RELEASES)
def test_fast_only_never_faults_and_never_fails(release: str) -> None:
    """*_fast_only takes what is mapped: 1 page of 2, then 0."""
    played = Play(row(release), "map P x anon pages 2\nwrite P x[0] 0x11\n")
    only = k.FOLL_GET | k.WANT_FAST | k.FOLL_FAST_ONLY
    assert gup(played, only, pages=1, page=1) == 0
    assert played.m.pin_state[0] == k.PIN_FREE
    assert gup(played, only, pages=2) == 1
    assert played.state(page=1) == "none"


def test_fast_only_with_bad_flags_is_an_error_only_since_6_3() -> None:
    """Up to 6.2 the result must not be negative."""
    for release in RELEASES:
        played = Play(row(release), "map P x anon\nwrite P x 0x11\n")
        result = gup(played, k.FOLL_GET | k.WANT_FAST | k.FOLL_FAST_ONLY | k.FOLL_DUMP)
        assert result == (0 if release in OLD else -k.EINVAL)


@pytest.mark.parametrize("flags", [k.FOLL_PIN, k.FOLL_PIN | k.FOLL_WRITE])
def test_nofault_gives_efault_instead_of_a_fault(flags: int) -> None:
    """A hole stays a hole; a page that is there is taken."""
    played = Play(row("6.2"), "map P x anon pages 2\nwrite P x[0] 0x11\n")
    assert gup(played, flags | k.FOLL_NOFAULT, page=1) == -k.EFAULT
    assert played.state(page=1) == "none"
    assert gup(played, flags | k.FOLL_NOFAULT) == 1


def test_nofault_does_not_unshare_either() -> None:
    """A page that would have to be unshared first is EFAULT."""
    played = Play(row("6.2"), "map P x memfd private\nread P x\n")
    assert gup(played, k.FOLL_PIN | k.FOLL_LONGTERM | k.FOLL_NOFAULT) == -k.EFAULT
    assert played.view().kind == "file"


@pytest.mark.parametrize("memory", ["anon", "zeropage", "thp", "hugezero"])
def test_a_core_dump_leaves_holes_and_zero_pages_out(memory: str) -> None:
    """FOLL_DUMP gives EFAULT for both, and faults nothing in."""
    touched = "read P x\n" if "zero" in memory else ""
    played = Play(row("6.2"), f"map P x {memory}\n{touched}")
    assert gup(played, k.FOLL_GET | k.FOLL_DUMP) == -k.EFAULT
    assert played.state() == ("present" if touched else "none")


def test_a_core_dump_reads_holes_of_a_file() -> None:
    """What a file has may not be in the page tables."""
    assert gup(Play(row("6.2"), "map P x memfd private\n"), k.FOLL_GET | k.FOLL_DUMP) == 1
    assert gup(Play(row("6.12"), "map P x hugetlb 2M\n"), k.FOLL_GET | k.FOLL_DUMP) == -k.EFAULT


REFUSED: list[tuple[str, int, str]] = [
    ("anon read", k.FOLL_WRITE, "writing needs VM_WRITE"),
    ("anon none", 0, "reading needs VM_READ"),
    ("memfd shared read", k.FOLL_WRITE | k.FOLL_FORCE, "FORCE writes in COW mappings only"),
    ("memfd private", k.FOLL_ANON, "FOLL_ANON wants anonymous mappings"),
]


@pytest.mark.parametrize(("mapping", "flags", "why"), REFUSED, ids=[why for _, _, why in REFUSED])
@pytest.mark.parametrize("release", RELEASES)
def test_check_vma_flags_refuses_with_efault(release: str, mapping: str, flags: int, why: str) -> None:
    """The mapping's rights are looked at first, in every release."""
    played = Play(row(release), f"map P x {mapping}\n")
    assert gup(played, k.FOLL_PIN | flags) == -k.EFAULT, why
    assert played.state() == "none"


def test_force_reads_where_reading_is_forbidden() -> None:
    """FOLL_FORCE needs VM_MAYREAD only."""
    assert gup(Play(row("6.2"), "map P x anon none\n"), k.FOLL_GET | k.FOLL_FORCE) == 1


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("memory", ["anon", "memfd private", "thp"])
def test_a_forced_write_breaks_cow_and_leaves_the_entry_read_only(release: str, memory: str) -> None:
    """The pin has a private page, which the process sees and still cannot write to."""
    played = Play(row(release), f"map P x {memory} read\nread P x\npin P x as p write force\nwrite P x 0xff\n")
    assert played.errnos[-2:] == [0, k.EFAULT]
    assert played.view().kind == "anon"
    assert played.m.run_page[0] == played.frame()


def outcome(release: str, mapping: str, pin: str) -> Any:
    """The errno of a pin of this mapping."""
    return Play(row(release), f"map P x {mapping}\npin P x as p {pin}\n").errnos[-1]


@pytest.mark.parametrize("fast", ["", " fast"])
def test_a_writable_long_term_pin_of_a_dirty_tracked_file_is_refused_since_6_5(fast: str) -> None:
    """Only of shared mappings of ordinary files, only for writing, only long-term."""
    new = ("6.12", "6.18")
    for release in RELEASES:
        refused = k.EFAULT if release in new else 0
        assert outcome(release, "file shared", f"write longterm{fast}") == refused
        assert outcome(release, "memfd shared", f"write longterm{fast}") == 0
        assert outcome(release, "file shared", f"write{fast}") == 0
        assert outcome(release, "file shared", f"longterm{fast}") == 0
        assert outcome(release, "file private", f"write longterm{fast}") == 0


def test_part_of_a_thp_is_pinned_by_its_pages() -> None:
    """Three pages of a THP are three references and three pins on its folio, and the mapping stays a PMD."""
    for fast in ("", " fast"):
        played = Play(row("6.2"), f"map P x thp\nwrite P x 0x11\npin P x[100:103] as p write{fast}\n")
        folio = played.frame()
        assert (played.m.folio_refcount[folio], played.m.folio_pincount[folio]) == (4, 3)
        assert (played.m.run_page[0], played.m.run_count[0]) == (folio + 100, 3)
        assert played.entry() & k.PTE_PSE


def test_a_hole_behind_some_pages_fails_the_pin_and_not_vmsplice() -> None:
    """A pin keeps nothing of a range that cannot be had whole; FOLL_GET keeps what it got."""
    played = Play(row("6.2"), "map P x anon pages 3\nwrite P x 0x11\nunmap P x[2]\npin P x as p\n")
    assert played.errnos[-1] == k.EFAULT
    assert played.m.folio_refcount[played.frame()] < 1024
    assert gup(played, k.FOLL_GET | k.WANT_FAST, pages=3) == 2
