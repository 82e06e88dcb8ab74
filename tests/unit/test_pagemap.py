"""The words of pagemap, kpageflags and kpagecount, as kernels have shown them."""

from __future__ import annotations

import struct
from array import array

import pytest

from pinhold.targets.live import pagemap
from pinhold.targets.live.pagemap import FrameWords, Sight, anon_without_flags, kind_without_flags

ROOT = Sight(frames=True, flags=True, counts=True, anon_exclusive=True, ksm=True, soft_dirty=False, uffd_wp=True)


def flags(*bits: int) -> int:
    return sum(1 << number for number in bits)


def word(*bits: int, pfn: int = 0) -> int:
    return flags(*bits) | pfn


# kpageflags words of 6.18.44, in the order UPTODATE DIRTY LRU MMAP ANON SWAPBACKED HEAD TAIL THP ZERO RESERVED AE
ANON = flags(3, 11, 12, 14, 34)
ANON_AFTER_FORK = flags(3, 11, 12, 14)
ZERO = flags(24, 32)
HUGE_ZERO_HEAD = flags(15, 22, 24)
HUGE_ZERO_TAIL = flags(16, 22, 24)
THP_HEAD = flags(3, 5, 11, 12, 14, 15, 22, 34)
THP_TAIL = flags(3, 5, 11, 12, 14, 16, 22, 34)
SHMEM = flags(3, 11, 14)

# By the sources of kernels up to 6.8, where each page of a folio has flags of its own.
OWN_TAIL_EXCLUSIVE = flags(11, 12, 16, 22, 34)
OWN_TAIL_SHARED = flags(11, 12, 16, 22)
HUGETLB_ANON_HEAD = flags(3, 12, 15, 17, 34)
HUGETLB_FILE_HEAD = flags(3, 15, 17)
KSM = flags(3, 11, 12, 14, 21)


@pytest.mark.parametrize(
    ("value", "state", "frame"),
    [
        (word(), "none", None),
        (word(56, 63, pfn=0x12345), "present", 0x12345),
        (word(63), "present", None),
        (word(55, 56, 63, pfn=(1 << 55) - 1), "present", (1 << 55) - 1),
        (word(61, 63, pfn=7), "present", 7),
        (word(62, pfn=0x1F00), "swapped", None),
        (word(57, 61), "none", None),
    ],
)
def test_state_and_frame_of_a_pagemap_word(value, state, frame):
    """Bits 62 and 63 give the state; the frame is bits 0 to 54 of a present page, and hidden where they are 0."""
    assert pagemap.state(value) == state
    assert pagemap.pfn(value) == frame


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (ANON, "anon"),
        (ANON_AFTER_FORK, "anon"),
        (ZERO, "zero"),
        (HUGE_ZERO_HEAD, "zero"),
        (HUGE_ZERO_TAIL, "zero"),
        (THP_HEAD, "anon"),
        (THP_TAIL, "anon"),
        (SHMEM, "file"),
        (HUGETLB_ANON_HEAD, "hugetlb"),
        (HUGETLB_FILE_HEAD, "hugetlb"),
        (KSM, "ksm"),
    ],
)
def test_kind_of_a_kpageflags_word(value, kind):
    """Each kind of page is told by its flags."""
    assert ROOT.kind(value) == kind


@pytest.mark.parametrize(
    ("value", "huge", "exclusive"),
    [
        (ANON, None, True),
        (ANON_AFTER_FORK, False, False),
        (ZERO, None, None),
        (SHMEM | flags(34), None, None),
        (THP_HEAD, True, True),
        (THP_TAIL, True, None),
        (THP_TAIL, False, None),
        (OWN_TAIL_EXCLUSIVE, False, True),
        (OWN_TAIL_SHARED, False, False),
        (OWN_TAIL_SHARED, True, None),
        (OWN_TAIL_SHARED, None, None),
        (HUGETLB_ANON_HEAD, None, True),
        (HUGETLB_FILE_HEAD | flags(34), None, None),
    ],
)
def test_exclusive_is_told_of_anonymous_pages_with_flags_of_their_own(value, huge, exclusive):
    """Bit 34 counts on anonymous memory; a tail page's counts where it is the page's own and maps by itself."""
    assert ROOT.exclusive(value, huge) is exclusive


def test_a_kernel_without_exclusive_pages_tells_nothing():
    """Before 5.19 bit 34 is clear on a fresh page: then no page is said to be shared for it."""
    old = Sight.of_fresh_page(word(56, 63, pfn=9), ANON & ~flags(34), 1, False)
    assert old.exclusive(ANON_AFTER_FORK, None) is None


def test_a_kernel_that_calls_every_page_ksm_is_not_believed():
    """Where a fresh page carries KPF_KSM the flag means nothing, and the page is anonymous."""
    odd = Sight.of_fresh_page(word(63, pfn=9), ANON | flags(21), 1, True)
    assert odd.kind(ANON | flags(21)) == "anon"


def test_what_a_fresh_page_tells():
    """Root on 6.18 sees all but soft-dirty; an ordinary user sees that the page is present."""
    assert Sight.of_fresh_page(word(56, 63, pfn=9), ANON, 1, True) == ROOT
    user = Sight.of_fresh_page(word(55, 56, 63), None, None, False)
    assert user == Sight(False, False, False, False, False, True, False)


def test_soft_dirty_and_uffd_wp_of_a_word():
    """Bits 55 and 57, whatever the state; None where the kernel tracks the one, or shows the other, not."""
    sight = Sight.of_fresh_page(word(55, 63), None, None, True)
    assert sight.marks(word(55, 63)) == (True, False)
    assert sight.marks(word(57, 62)) == (False, True)
    assert Sight.of_fresh_page(word(63), None, None, False).marks(word(57, 63)) == (None, None)


@pytest.mark.parametrize(
    ("value", "hugetlb", "private_anonymous", "zero", "kind"),
    [
        (word(63), False, True, True, "zero"),
        (word(56, 63), False, True, False, None),
        (word(63), False, True, None, None),
        (word(61, 63), False, True, None, "zero"),
        (word(61, 63), False, False, False, "file"),
        (word(56, 63), False, False, False, None),
        (word(61, 63), True, False, False, "hugetlb"),
        (word(56, 63), True, False, False, "hugetlb"),
    ],
)
def test_the_kind_that_an_ordinary_user_can_tell(value, hugetlb, private_anonymous, zero, kind):
    """Without kpageflags a kind is given where pagemap settles it, and left open where it does not."""
    assert kind_without_flags(value, hugetlb, private_anonymous, zero) == kind


@pytest.mark.parametrize(
    ("value", "hugetlb", "zero", "anon"),
    [
        (word(61, 63), False, None, False),
        (word(61, 63), True, False, False),
        (word(63), True, None, True),
        (word(63), False, True, False),
        (word(63), False, False, True),
        (word(63), False, None, None),
    ],
)
def test_whether_it_is_anonymous_as_an_ordinary_user_can_tell(value, hugetlb, zero, anon):
    """What is not of a file is anonymous, where it is known not to be the zero page."""
    assert anon_without_flags(value, hugetlb, zero) is anon


def test_states_of_many_pages_are_runs():
    """Consecutive words of one state are one run, whatever their other bits."""
    words = array("Q", [0, flags(61), word(56, 63, pfn=9), flags(63), flags(62, 61), 0])
    assert pagemap.states(words) == [(0, 2, "none"), (2, 2, "present"), (4, 1, "swapped"), (5, 1, "none")]
    assert [pagemap.state(each) for each in words] == ["none", "none", "present", "present", "swapped", "none"]
    assert pagemap.states(array("Q")) == []


def test_words_are_read_by_address(tmp_path):
    """A page's word is at its number times eight; past the end of the file there is nothing."""
    path = tmp_path / "pagemap"
    path.write_bytes(struct.pack("=6Q", *range(10, 16)))
    with path.open("rb") as file:
        assert pagemap.words(file.fileno(), 2 * 4096, 3) == array("Q", [12, 13, 14])
        assert pagemap.words(file.fileno(), 5 * 4096, 3) == array("Q", [15, 0, 0])


def test_frame_words_are_read_where_they_can_be(tmp_path):
    """Flags and counts are read by frame number; without the files, a frame, or the entry they are None."""
    (tmp_path / "kpageflags").write_bytes(struct.pack("=3Q", 5, ANON, 7))
    words = FrameWords(str(tmp_path))
    assert words.flags(1) == ANON
    assert (words.flags(None), words.flags(3), words.count(1)) == (None, None, None)
    words.close()
    assert words.flags(1) is None


def test_pin_counters_are_read_after_the_refresh(tmp_path):
    """Acquired and released come from vmstat; without stat_refresh they are not exact, and not given."""
    (tmp_path / "vmstat").write_text("nr_free 1\nnr_foll_pin_acquired 12\nnr_foll_pin_released 8\n")
    assert pagemap.pin_counters(str(tmp_path)) is None
    (tmp_path / "sys" / "vm").mkdir(parents=True)
    (tmp_path / "sys" / "vm" / "stat_refresh").touch()
    assert pagemap.pin_counters(str(tmp_path)) == (12, 8)


def test_frames_are_told_the_same_one_by_one_and_together(tmp_path):
    """Frames that lie close and far, at the end of what can be read and behind it, have the words they have alone."""
    for name, length in (("kpageflags", 300), ("kpagecount", 250)):
        (tmp_path / name).write_bytes(struct.pack(f"={length}Q", *range(1000, 1000 + length)))
    words = FrameWords(str(tmp_path))
    frames = {1, 2, 34, 200, 249, 250, 299, 300, 4000}
    assert words.of(frames) == {frame: (words.flags(frame), words.count(frame)) for frame in frames}
    assert words.of({250}) == {250: (1250, None)}
    assert words.of(()) == {}
    words.close()
    assert words.of({1}) == {1: (None, None)}
