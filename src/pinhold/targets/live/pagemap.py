"""What /proc says about pages: pagemap, kpagecount, kpageflags, vmstat; and what those words mean.

The words are documented in the kernel's admin-guide/mm/pagemap.rst.  Page frame numbers are shown to CAP_SYS_ADMIN
only, kpagecount and kpageflags to root only: everybody else gets None.
"""

from __future__ import annotations

import os
import re
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pinhold.targets.live.syscalls import PAGE

PM_PRESENT = 1 << 63
PM_SWAP = 1 << 62
PM_FILE = 1 << 61
PM_UFFD_WP = 1 << 57
UFFD_WP_SHOWN = (5, 14)
"""The release that came with that bit (fb8e37f35a2f): no word of a page tells whether the kernel knows it."""
PM_SOFT_DIRTY = 1 << 55
PM_PFN = (1 << 55) - 1

KPF_UPTODATE = 3
KPF_WRITEBACK = 8
KPF_ANON = 12
KPF_COMPOUND_HEAD = 15
KPF_COMPOUND_TAIL = 16
KPF_HUGE = 17
KPF_KSM = 21
KPF_ZERO_PAGE = 24
KPF_ANON_EXCLUSIVE = 34
"""Bit 34 is PG_mappedtodisk or PG_owner_2; on anonymous pages since 5.19 the same bit is PG_anon_exclusive."""

_WORD = struct.Struct("=Q")
"""Little-endian, as x86-64 has it: the last byte is the top one."""


def bit(word: int, number: int) -> bool:
    return bool(word >> number & 1)


def state(word: int) -> str:
    """The observation's page state of a pagemap word.  A migration entry counts as swapped, as pagemap has it."""
    if word & PM_PRESENT:
        return "present"
    return "swapped" if word & PM_SWAP else "none"


_LETTERS = {"none": b"n", "present": b"p", "swapped": b"s"}
_NAMES = {letter[0]: name for name, letter in _LETTERS.items()}
_BY_TOP_BYTE = b"".join(_LETTERS[state(top << 56)] for top in range(256))
_RUNS = re.compile(rb"n+|p+|s+")


def tops(words: array[int]) -> bytes:
    """The top byte of each word, where its flags are."""
    return bytes(memoryview(words).cast("B")[_WORD.size - 1 :: _WORD.size])


def states(words: array[int]) -> list[tuple[int, int, str]]:
    """(first, count, state) over consecutive pages, by the top byte of each word: quick for 262,144 of them."""
    letters = tops(words).translate(_BY_TOP_BYTE)
    return [(run.start(), run.end() - run.start(), _NAMES[run[0][0]]) for run in _RUNS.finditer(letters)]


def pfn(word: int) -> int | None:
    """The frame of a present page; None where it is hidden: frame 0 is never user memory."""
    return (word & PM_PFN) or None if word & PM_PRESENT else None


@dataclass(frozen=True, slots=True)
class Sight:
    """What this process can see on this kernel, found out on a page of its own.

    frames: pagemap shows frame numbers; flags: kpageflags can be read; counts: kpagecount can be read;
    anon_exclusive: bit 34 follows PageAnonExclusive; ksm: KPF_KSM tells KSM pages from others (a series of 6.12
    sets it on every anonymous page); soft_dirty: the kernel tracks it; uffd_wp: pagemap shows it.
    """

    frames: bool
    flags: bool
    counts: bool
    anon_exclusive: bool
    ksm: bool
    soft_dirty: bool
    uffd_wp: bool

    @classmethod
    def of_fresh_page(cls, word: int, flags: int | None, count: int | None, uffd_wp: bool) -> Sight:
        """From the words of a private anonymous page that has just been written."""
        return cls(
            frames=pfn(word) is not None,
            flags=flags is not None,
            counts=count is not None,
            anon_exclusive=flags is not None and bit(flags, KPF_ANON_EXCLUSIVE),
            ksm=flags is not None and not bit(flags, KPF_KSM),
            soft_dirty=bool(word & PM_SOFT_DIRTY),
            uffd_wp=uffd_wp,
        )

    def marks(self, word: int) -> tuple[bool | None, bool | None]:
        """Whether the page is soft-dirty, and write-protected by userfaultfd, by its pagemap word."""
        soft_dirty = bool(word & PM_SOFT_DIRTY) if self.soft_dirty else None
        return soft_dirty, bool(word & PM_UFFD_WP) if self.uffd_wp else None

    def kind(self, flags: int) -> str:
        """The observation's page kind of a kpageflags word."""
        if bit(flags, KPF_ZERO_PAGE):
            return "zero"
        if bit(flags, KPF_HUGE):
            return "hugetlb"
        if self.ksm and bit(flags, KPF_KSM):
            return "ksm"
        return "anon" if bit(flags, KPF_ANON) else "file"

    def exclusive(self, flags: int, huge: bool | None) -> bool | None:
        """PageAnonExclusive, or None where the word does not tell.

        huge: whether one huge entry maps the page.  Then the head page alone carries the flag, for all of them.  A tail
        page is never up to date by itself: where its word says so, the kernel shows the folio's flags (6.9 and later).
        """
        if not self.anon_exclusive or not bit(flags, KPF_ANON):
            return None
        if bit(flags, KPF_COMPOUND_TAIL) and (bit(flags, KPF_UPTODATE) or huge is not False):
            return None
        return bit(flags, KPF_ANON_EXCLUSIVE)


def kind_without_flags(word: int, hugetlb: bool, private_anonymous: bool, zero: bool | None) -> str | None:
    """The kind of a present page as far as an ordinary user can tell.

    hugetlb: the region's kind; zero: what PAGEMAP_SCAN said of the zero page, None where it cannot be asked.  A page
    that is not anonymous in private anonymous memory is the huge zero page.  KSM cannot be told from other anonymous
    memory.
    """
    if hugetlb:
        return "hugetlb"
    if zero:
        return "zero"
    if word & PM_FILE:
        return "zero" if private_anonymous else "file"
    return None


def anon_without_flags(word: int, hugetlb: bool, zero: bool | None) -> bool | None:
    """Whether a present page is anonymous memory, as far as an ordinary user can tell; the arguments are those above.

    What is not of a file is anonymous or the zero page.
    """
    if word & PM_FILE or zero:
        return False
    return True if hugetlb or zero is False else None


def words(fd: int, address: int, pages: int) -> array[int]:
    """The pagemap words of consecutive pages, by a descriptor of a process's pagemap."""
    found: array[int] = array("Q")
    while len(found) < pages:
        offset = (address // PAGE + len(found)) * _WORD.size
        data = os.pread(fd, (pages - len(found)) * _WORD.size, offset)
        if not data:
            found.extend([0] * (pages - len(found)))
            break
        found.frombytes(data)
    return found


def words_of(fd: int, address: int, pages: Sequence[int]) -> list[int]:
    """The words of some pages, ascending, of the memory at `address`; those that lie close together take one read."""
    found: list[int] = []
    for stretch in _stretches(pages):
        first = stretch[0]
        read = words(fd, address + first * PAGE, stretch[-1] - first + 1)
        found += [read[page - first] for page in stretch]
    return found


class FrameWords:
    """/proc/kpagecount and /proc/kpageflags, where they can be opened."""

    def __init__(self, proc: str = "/proc") -> None:
        self._flags = _open(f"{proc}/kpageflags")
        self._counts = _open(f"{proc}/kpagecount")

    def flags(self, frame: int | None) -> int | None:
        return _word(self._flags, frame)

    def count(self, frame: int | None) -> int | None:
        """How many page-table entries map the frame; 0 for the zero pages, whose mappings are not counted."""
        return _word(self._counts, frame)

    def of(self, frames: Iterable[int]) -> dict[int, tuple[int | None, int | None]]:
        """Flags and counts of many frames; those that lie close together take one read."""
        found: dict[int, tuple[int | None, int | None]] = {}
        for stretch in _stretches(sorted(frames)):
            first, count = stretch[0], stretch[-1] - stretch[0] + 1
            flags, counts = _words(self._flags, first, count), _words(self._counts, first, count)
            for frame in stretch:
                at = frame - first
                found[frame] = flags[at] if at < len(flags) else None, counts[at] if at < len(counts) else None
        return found

    def close(self) -> None:
        for fd in (self._flags, self._counts):
            if fd is not None:
                os.close(fd)
        self._flags = self._counts = None


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _word(fd: int | None, frame: int | None) -> int | None:
    found = () if frame is None else _words(fd, frame, 1)
    return found[0] if found else None


def _words(fd: int | None, first: int, count: int) -> Sequence[int]:
    """Those of consecutive frames, as far as they can be read."""
    if fd is None:
        return ()
    data = os.pread(fd, count * _WORD.size, first * _WORD.size)
    return memoryview(data[: len(data) // _WORD.size * _WORD.size]).cast("Q")


_APART = 32
"""So many words more are read as quickly as one in a read of its own."""


def _stretches(frames: Sequence[int]) -> Iterator[Sequence[int]]:
    """Ascending frames, in stretches without large holes."""
    first = 0
    for at in range(1, len(frames)):
        if frames[at] - frames[at - 1] > _APART:
            yield frames[first:at]
            first = at
    if frames:
        yield frames[first:]


def pin_counters(proc: str = "/proc") -> tuple[int, int] | None:
    """(acquired, released): FOLL_PIN references of the whole system since boot; None where they are not exact.

    The kernel keeps them per CPU; reading stat_refresh, which only root may, folds them together first.
    """
    try:
        with open(f"{proc}/sys/vm/stat_refresh", "rb") as refresh:
            refresh.read()
        with open(f"{proc}/vmstat", encoding="ascii") as vmstat:
            found = dict(line.split() for line in vmstat)
        return int(found["nr_foll_pin_acquired"]), int(found["nr_foll_pin_released"])
    except (OSError, KeyError):
        return None
