"""VMAs that come to be alike become one again: told by a huge page that has room once more, by mremap() of the whole,
and by fork(), which copies all of a mapping with an anon_vma.  Each was seen on real kernels of 5.10 to 7.3."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from play import Play, row

OLD, NEW = ("5.10", "6.1", "6.12"), ("6.18", "7.3")
PARTS = "map P x anon pages 2\nmprotect P x[1] read\n"
ADVISED = "map P x anon pages 2\nmadvise P x[1] mergeable\n"


def copied(release: str, text: str, process: str = "C") -> bool:
    """Whether the child has an entry for the second page, which was only read."""
    return Play(row(release), text).state(page=1, process=process) == "present"


@pytest.mark.parametrize("release", (*OLD, *NEW))
def test_a_huge_page_has_room_again(release: str) -> None:
    """mprotect() of one page and back leaves one VMA, in which a fault maps a huge page."""
    played = Play(row(release), "map P x thp\nmprotect P x[0] read\nmprotect P x[0] rw\nread P x\n")
    assert played.entry() & k.PTE_PSE


@pytest.mark.parametrize("release", (*OLD, *NEW))
def test_a_part_without_anon_vma_joins_one_that_has_one(release: str) -> None:
    """The neighbour's anon_vma is the whole's: fork() then copies the zero page, too."""
    assert copied(release, f"{PARTS}read P x[1]\nwrite P x[0] 0x11\nmprotect P x[1] rw\nfork P C\n")


@pytest.mark.parametrize("release", (*OLD, *NEW))
def test_a_part_that_alone_has_an_anon_vma_joins_since_6_16(release: str) -> None:
    """Before, the list of the neighbour's anon_vmas, which is empty, was no list of one."""
    text = f"{ADVISED}read P x[1]\nwrite P x[0] 0x11\nmadvise P x[0] mergeable\nfork P C\n"
    assert copied(release, text) == (release in NEW)


@pytest.mark.parametrize("release", (*OLD, *NEW))
@pytest.mark.parametrize("change", ["madvise C x[0] mergeable", "madvise C x[1] unmergeable"])
def test_what_fork_made_does_not_join_what_has_no_anon_vma(release: str, change: str) -> None:
    """A child's anon_vma is a child of its parent's: such VMAs stay apart, whichever of the two changes."""
    text = f"{ADVISED}write P x[0] 0x11\nfork P C\nread C x[1]\n{change}\nfork C D\n"
    assert not copied(release, text, "D")


@pytest.mark.parametrize("release", OLD)
@pytest.mark.parametrize(
    ("text", "errno"),
    [
        ("write P x[0] 0x11\nmprotect P x[0] read\nwrite P x[1] 0x11\nmprotect P x[0] rw\n", 0),
        ("mprotect P x[0] none\nwrite P x[1] 0x11\nmprotect P x rw\nwrite P x[0] 0x11\n", 0),
        ("madvise P x[1] dontfork\nwrite P x 0x11\nmadvise P x[1] dofork\n", k.EFAULT),
    ],
)
def test_an_anon_vma_is_shared_by_parts_that_differ_in_rights_alone(release: str, text: str, errno: int) -> None:
    """What was written under different advice has two anon_vmas, and mremap() of both parts is EFAULT."""
    assert Play(row(release), f"map P x anon pages 2\n{text}mremap P x to y\n").errnos[-1] == errno


@pytest.mark.parametrize("release", OLD)
def test_between_two_anon_vmas_one_is_joined(release: str) -> None:
    """The middle, without one, joins the part before it; the part behind stays a VMA of its own."""
    text = "map P x anon pages 3\nmprotect P x[1] read\nwrite P x[0] 0x11\nwrite P x[2] 0x11\nmprotect P x[1] rw\n"
    assert Play(row(release), f"{text}mremap P x[:2] to y\n").errnos[-1] == 0
    assert Play(row(release), f"{text}mremap P x to y\n").errnos[-1] == k.EFAULT


@pytest.mark.parametrize("release", NEW)
def test_what_was_never_faulted_in_does_not_join_what_it_was_moved_with(release: str) -> None:
    """Its index is that of its new place, the other's that of its old one; what stayed joins it."""
    text = f"{PARTS}read P x[1]\nwrite P x[0] 0x11\nmremap P x to y\nmprotect P y rw\nfork P C\n"
    assert Play(row(release), text).state("y", page=1, process="C") == "none"
    assert copied(release, text.replace("mremap P x to y\n", "").replace("P y rw", "P x rw"))


def test_a_part_of_a_file_is_one_with_the_next_of_it() -> None:
    """File mappings are merged by their place in the file, and the file keeps as many users as there are VMAs."""
    played = Play(row(), "map P x memfd private pages 4\nmprotect P x[1] read\nmprotect P x[1] rw\n")
    assert played.m.file_users[0] == Play(row(), "map P x memfd private pages 4\n").m.file_users[0]
    assert sum(1 for end in played.m.vma_end if end) == 1


def test_hugetlb_is_never_merged() -> None:
    """It is VM_SPECIAL: parts stay apart."""
    text = "map P x hugetlb 2M pages 1024\nmprotect P x[:512] read\nmprotect P x[:512] rw\n"
    assert sum(1 for end in Play(row(), text).m.vma_end if end) == 2
