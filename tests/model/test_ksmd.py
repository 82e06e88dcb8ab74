"""ksmd as a whole: which pages it merges, whose frame stays, and what keeps pages apart."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm import ksmd
from pinhold.mm.invariants import INVARIANT_OK, check_invariants
from pinhold.mm.releases import releases
from pinhold.targets.model.sight import anon_page
from play import Play, row

SAME = "map P x anon pages 4\nwrite P x 1\n"
ALL = "ksm P x with P x\n"


def frames(played: Play, region: str = "x", pages: int = 4, process: str = "P") -> list[int]:
    return [played.frame(region, page, process) for page in range(pages)]


def around(release: str, before: str, last: str = ALL) -> tuple[list[int], list[int], Play]:
    """The frames of x's pages before the last step and behind it."""
    played = Play(row(release), before + last, stop=before.count("\n"))
    old = frames(played)
    played.play()
    assert check_invariants(played.m) == INVARIANT_OK
    return old, frames(played), played


@pytest.mark.parametrize("release", releases())
def test_all_that_is_advised_and_alike_becomes_one(release: str) -> None:
    """Also what the step does not name, of any process; what nobody advised stays, and so does other content."""
    text = (
        "map P x anon pages 4\nmap P y anon\nmap P z anon\nwrite P x 1\nwrite P y 1\nwrite P z 1\nwrite P x[2] 2\n"
        "madvise P y mergeable\nfork P C\nwrite C x[0] 1\nksm P x[0] with P x[0]\n"
    )
    played = Play(row(release), text)
    assert played.frame("x") == played.frame("y")
    assert played.view("x").kind == "ksm"
    assert {played.view(region, page).kind for region, page in (("x", 1), ("x", 2), ("z", 0))} == {"anon"}
    played = Play(row(release), f"{text}ksm P x with C x\n")
    assert {played.frame("x"), played.frame("x", 1), played.frame("x", 0, "C")} == {played.frame("y")}
    assert played.view("x", 2).kind == "anon"


@pytest.mark.parametrize("release", releases())
def test_the_second_in_scan_order_keeps_its_frame(release: str) -> None:
    """The first waits in the unstable tree, the second becomes the KSM page, and the others join it."""
    old, new, _ = around(release, SAME)
    assert new == [old[1]] * 4


def test_whoever_is_named_first_makes_no_difference() -> None:
    """The order is ksmd's, and not the step's."""
    old, new, _ = around("6.12", SAME, "ksm P x[3] with P x[0]\n")
    assert new == [old[3], old[1], old[2], old[3]]


@pytest.mark.parametrize(("first", "keeps"), [("P", "C"), ("C", "P")])
def test_processes_are_scanned_in_the_order_in_which_they_entered(first: str, keeps: str) -> None:
    """Each has one page; the page of the process that was advised last stays."""
    text = f"map P x anon\nfork P C\nwrite P x 1\nwrite C x 1\nmadvise {first} x mergeable\nksm P x with C x\n"
    played = Play(row("6.12"), text, stop=5)
    kept = played.frame(process=keeps)
    played.play()
    assert played.frame() == played.frame(process="C") == kept


def test_a_forked_process_has_entered_behind_its_parent() -> None:
    """A child of a process that was advised, before a third that is advised later."""
    text = (
        "map P x anon\nfork P A\nmadvise P x mergeable\nfork P B\nwrite A x 1\nwrite B x 1\nmadvise A x mergeable\n"
        "ksm B x with A x\n"
    )
    played = Play(row("6.12"), text, stop=7)
    kept = played.frame(process="A")
    played.play()
    assert played.frame(process="B") == played.frame(process="A") == kept


@pytest.mark.parametrize(("release", "first"), [("6.1", 3), ("6.12", 2), ("7.3", 2)])
def test_a_search_ends_at_a_page_that_was_split_to_the_zero_page(release: str, first: int) -> None:
    """x[0], of zeros, is the root of the unstable tree.  x[2] is like x[1], and the THP is split.  Where x[0] becomes
    the zero page then, x[3] finds nothing, and in the next scan x[2] is the first to be merged."""
    old, new, _ = around(release, "map P x thp\nwrite P x[1:4] 1\n")
    assert new[1:] == [old[first]] * 3


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.3"])
def test_a_page_that_is_gone_stops_nobody_whose_way_leads_elsewhere(release: str) -> None:
    """With x[2], the third content, x[1] is the root and x[0] below it: x[4] finds x[1] in the same scan."""
    played = Play(row(release), f"map P x thp\nwrite P x[1:5] 1\nwrite P x[2] 2\n{ALL}", stop=3)
    old = frames(played, pages=5)
    played.play()
    assert frames(played, pages=5)[1:] == [old[4], old[2], old[4], old[4]]


@pytest.mark.parametrize(("release", "merged"), [("5.10", True), ("6.1", False), ("6.12", True)])
def test_a_search_ends_at_an_inaccessible_page(release: str, merged: bool) -> None:
    """Where ksmd passes over such a page: one of other content, met first, keeps all others apart."""
    text = "map P n anon none\nmap P x anon pages 2\npoke P n 1\nwrite P x 2\nmadvise P n mergeable\n"
    played = Play(row(release), f"{text}{ALL}")
    assert (played.frame("x", 0) == played.frame("x", 1)) is merged


@pytest.mark.parametrize("release", releases())
def test_a_ksm_page_that_is_there_takes_the_others(release: str) -> None:
    """Whichever comes first in the scan: x[0], of other content before."""
    before = f"{SAME}write P x[0] 2\n{ALL}write P x[0] 1\n"
    old, new, _ = around(release, before)
    assert old[0] != old[1]
    assert new == [old[1]] * 4


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.3"])
def test_the_first_page_pinned_keeps_all_apart(release: str) -> None:
    """It waits in the unstable tree and cannot be replaced: each of the others becomes a KSM page in vain, and is
    copied."""
    old, new, played = around(release, f"{SAME}pin P x[0] as p write longterm\n")
    assert new[0] == old[0]
    assert len(set(new)) == 4
    assert not set(new[1:]) & set(old)
    assert {played.view("x", page).kind for page in range(4)} == {"anon"}


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.3"])
def test_another_page_pinned_stays_alone(release: str) -> None:
    """It cannot become the KSM page; the next one does."""
    old, new, _ = around(release, f"{SAME}pin P x[1] as p write longterm\n")
    assert new == [old[2], old[1], old[2], old[2]]


IN_VAIN = "map P x anon pages 2\nwrite P x 1\npin P x[0] as p write longterm\nfork P C\nksm P x with P x\n"
"""x[1] is made a KSM page, x[0] cannot be merged with it, and its process gets another page: the child still has it."""


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.3"])
def test_a_ksm_page_made_in_vain_is_merged_with_nothing(release: str) -> None:
    """The child keeps it, also when all others of that content become one."""
    played = Play(row(release), f"{IN_VAIN}unpin p\nksm P x with C x\n", stop=5)
    kept = played.frame("x", 1, "C")
    assert kept != played.frame("x", 1)
    played.play()
    assert (played.frame("x", 1, "C"), played.view("x", 1, "C").kind) == (kept, "ksm")
    assert played.frame() == played.frame("x", 1) == played.frame("x", 0, "C") != kept


@pytest.mark.parametrize(("release", "kind"), [("5.10", "anon"), ("6.1", "ksm"), ("6.2", "anon"), ("6.12", "anon")])
def test_a_ksm_page_made_in_vain_stays_one_where_break_ksm_does_not_see_it(release: str, kind: str) -> None:
    """The parent's page is pinned, the child's is inaccessible: follow_page() finds nothing there, from 6.1 on, until
    break_ksm() walks the page tables.  Accessible again, the page is a KSM page still."""
    text = "map P x anon\nwrite P x 1\npin P x as p write longterm\nfork P C\nmadvise P x mergeable\n"
    text += "madvise C x mergeable\nmprotect C x none\nksm C x with C x\n"
    played = Play(row(release), text, stop=7)
    before = played.frame(process="C")
    played.play()
    assert played.view("x", 0, "C").kind == kind
    assert (played.frame(process="C") == before) is (kind == "ksm")
    assert Play(row(release), f"{text}mprotect C x rw\n").view("x", 0, "C").kind == kind
    assert Play(row(release), f"{text}mprotect C x rw\nmadvise C x unmergeable\n").view("x", 0, "C").kind == "anon"


def test_a_ksm_page_made_in_vain_is_not_reclaimed() -> None:
    """rmap does not find it: it is in the swap cache and stays mapped, where one that was merged goes."""
    played = Play(row("6.12"), f"{IN_VAIN}exit P\nmadvise C x pageout\n")
    assert [played.view("x", page, "C").state for page in range(2)] == ["swapped", "present"]
    text = "map P x anon\nmap P y anon\nwrite P x 1\nwrite P y 1\nksm P x with P y\nunmap P y\nmadvise P x pageout\n"
    played = Play(row("6.12"), text)
    assert played.view("x").state == "swapped"


LONE = "map P x anon pages 2\nmap P y anon pages 2\nwrite P x 1\nwrite P y 2\nfork P C\n"
"""C is a child from before x's pages become one, which is its x[1] then."""

SCAN = "fork P D\nunmap D x\n{}\nksm D y[0] with D y[1]\n"
"""Something is done, and one more scan comes, for the sake of a process that has nothing to do with x."""


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("ksm P x with P x\nexit P\nunmap C x[0]\n", "C x[1]", True),
        ("ksm P x with P x\nfork C D\nexit P\nexit C\nunmap D x[0]\n", "D x[1]", True),
        ("ksm P x with P x\nfork P D\nexit C\nexit P\nunmap D x[1]\n", "D x[0]", True),
        (f"ksm P x with P x\n{SCAN.format('exit P')}unmap C x[0]\n", "C x[1]", False),
        (f"ksm P x with P x\n{SCAN.format('unmap P x')}unmap C x[0]\n", "C x[1]", False),
        ("ksm P x with P x\nunmap P x\nmremap C x[1] to z\nunmap C x[0]\n", "C z", False),
        ("ksm P x with P x\nunmap P x\nmremap C x[1] to z\nunmap C z\n", "C x[0]", True),
        ("ksm P x with P x\nexit C\nmremap P x[1] to z\nksm P x[0] with P z\nunmap P x[0]\n", "P z", True),
        ("ksm C x with C x\nexit C\nunmap P x[0]\n", "P x[1]", False),
        ("ksm C x with C x\nunmap C x\nunmap P x[0]\n", "P x[1]", False),
        ("fork P D\nksm C x with C x\nexit C\nunmap P x\nunmap D x[0]\n", "D x[1]", False),
    ],
)
def test_rmap_finds_a_ksm_page_by_ksmds_addresses_alone(text: str, where: str, found: bool) -> None:
    """In the process of an address, which may be gone, and in its descendants, at the same address, until the address
    is forgotten; not in its parent or a sibling, nor where the page was moved to: there it is not reclaimed."""
    played = Play(row("6.12"), f"{LONE}{text}swapout {where}\n")
    assert played.errnos[-2:] == [0, 0 if found else k.EBUSY]
    assert check_invariants(played.m) == INVARIANT_OK


def test_madv_pageout_asks_rmap_as_swapout_does() -> None:
    """The page that is not found stays mapped."""
    played = Play(row("6.12"), f"{LONE}ksm C x with C x\nexit C\nunmap P x[0]\nmadvise P x pageout\n")
    assert played.view("x", 1).state == "present"


def test_a_task_forks_and_exits_as_the_scenario_does() -> None:
    """A child that a task has made is its parent's child to ksmd, too."""
    text = "small levels 2 swap 2\nmap P x anon pages 2\nwrite P x 1\nksm P x with P x\nstart T fork P C\nsettle\n"
    played = Play(row("6.12"), f"{text}unmap P x\nunmap C x[0]\nswapout C x[1]\n")
    assert played.errnos[-1] == 0


@pytest.mark.parametrize("release", ["5.10", "6.12", "7.3"])
def test_what_a_run_copied_last_is_known(release: str) -> None:
    """Of each page that was made a KSM page in vain, also where only every other scan does; of no other."""
    played = Play(row(release), f"{SAME}pin P x[0] as p write longterm\n{ALL}{ALL}")
    copies = {(0, page): anon_page(played.m, 0, page) for page in range(1, 4)}
    assert played.session.ksmd.copies == copies
    assert Play(row(release), f"{SAME}{ALL}").session.ksmd.copies == {}


def test_what_fork_shares_is_one_page_already() -> None:
    """Nothing is substituted for it while nothing else is like it."""
    played = Play(row("6.12"), "map P x anon\nwrite P x 1\nfork P C\nksm P x with C x\n")
    assert played.view().kind == "anon"
    assert played.frame() == played.frame(process="C")


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.3"])
def test_a_thp_is_split_first(release: str) -> None:
    """Four of its pages are advised, and become one; the rest is as it was, page by page."""
    played = Play(row(release), "map P x thp\nwrite P x 1\nksm P x[0:4] with P x[0:4]\n", stop=2)
    old = frames(played, pages=6)
    played.play()
    new = frames(played, pages=6)
    assert new[4:] == old[4:]
    assert len(set(new[:4])) == 1
    assert played.view().kind == "ksm"
    assert check_invariants(played.m) == INVARIANT_OK


def test_a_thp_that_is_pinned_is_not_split() -> None:
    """Nothing of it is merged, and it is one folio still."""
    text = "map P x thp\nwrite P x 1\npin P x[9] as p longterm\nksm P x[0:4] with P x[0:4]\n"
    played = Play(row("6.12"), text)
    first, *others = frames(played)
    assert others == [first + 1, first + 2, first + 3]
    assert played.m.folio_order[first] == 9


def test_a_thp_of_zeros_becomes_the_zero_page_where_splits_do_that() -> None:
    """The split maps the zero page, and nothing is left to be merged."""
    text = "map P x thp\nwrite P x 0\nksm P x[0:4] with P x[0:4]\n"
    assert {Play(row(release), text).view().kind for release in ("6.12", "7.3")} == {"zero"}
    assert {Play(row(release), text).view().kind for release in ("5.10", "6.1")} == {"ksm"}


def test_a_ksm_page_has_so_many_sharers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third page finds it full and waits for a fourth, and both become another KSM page of the same content."""
    monkeypatch.setattr(ksmd, "MAX_PAGE_SHARING", 2)
    played = Play(row("6.12"), "map P x anon pages 5\nwrite P x 1\nksm P x with P x\n", stop=2)
    old = frames(played, pages=5)
    played.play()
    assert frames(played, pages=5) == [old[1], old[1], old[3], old[3], old[4]]


@pytest.mark.parametrize(
    ("release", "merged"),
    [("5.10", [0, 2, 2, 2]), ("6.1", [0, 2, 2, 2]), ("6.12", [2, 2, 2, 3]), ("7.3", [1, 1, 1, 3])],
)
def test_a_changed_page_may_take_the_last_place(
    release: str, merged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 6.11 x[3] does, which ksmd meets for the first time, right after x[2] has become the KSM page; since then
    it is x[0] in the next scan."""
    monkeypatch.setattr(ksmd, "MAX_PAGE_SHARING", 3)
    old, new, _ = around(release, f"map P x anon pages 4\nwrite P x[1:3] 1\n{ALL}write P x 1\n")
    assert new == [old[page] for page in merged]


def test_addresses_that_are_gone_share_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was unmapped, and a process that has ended, leave their places in a KSM page to others."""
    monkeypatch.setattr(ksmd, "MAX_PAGE_SHARING", 3)
    text = f"{SAME}ksm P x[0] with P x[1]\nfork P C\nksm P x[0] with P x[1]\nexit C\nksm P x[2] with P x[2]\n"
    played = Play(row("6.12"), text)
    assert played.frame("x", 2) == played.frame("x")
    assert played.frame("x", 3) != played.frame("x")
    text = f"{SAME}ksm P x[0:3] with P x[0:3]\nunmap P x[0]\nksm P x[3] with P x[3]\n"
    played = Play(row("6.12"), text)
    assert played.frame("x", 3) == played.frame("x", 1)


def test_what_never_was_advised_costs_nothing() -> None:
    """Shared memory takes no such advice: ksmd has nobody to scan."""
    played = Play(row("6.12"), "map P x memfd shared\nwrite P x 1\nksm P x with P x\n")
    assert played.errnos == [0, 0, 0]
    assert played.session.ksmd.slots == {}
