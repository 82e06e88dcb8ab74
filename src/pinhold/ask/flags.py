"""FOLL_* flags as a driver writes them, and the call that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from pinhold.mm import flags as k
from pinhold.mm import gup
from pinhold.mm.rules.switch import parts


class UnknownFlag(ValueError):
    """The text names no FOLL_* flag; the message names it and the nearest one."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One FOLL_* flag.

    since: the first release that has it, or "" where all known ones do.  left_out: what it does that the specification
    leaves out, in words; "" where nothing is.
    """

    name: str
    value: int
    since: str = ""
    left_out: str = ""

    def known_in(self, release: str) -> bool:
        """Whether that release's headers have it."""
        number = re.match(r"[0-9]+\.[0-9]+", release)
        return number is not None and parts(self.since) <= parts(number[0])


FLAGS: tuple[Flag, ...] = (
    Flag("FOLL_LONGTERM", k.FOLL_LONGTERM),
    Flag("FOLL_WRITE", k.FOLL_WRITE),
    Flag("FOLL_FORCE", k.FOLL_FORCE),
    Flag("FOLL_PIN", k.FOLL_PIN),
    Flag("FOLL_GET", k.FOLL_GET),
    Flag("FOLL_ANON", k.FOLL_ANON),
    Flag("FOLL_NOFAULT", k.FOLL_NOFAULT, "5.16"),
    Flag("FOLL_DUMP", k.FOLL_DUMP),
    Flag("FOLL_FAST_ONLY", k.FOLL_FAST_ONLY),
    Flag("FOLL_NOWAIT", k.FOLL_NOWAIT, left_out="that GUP does not wait for I/O"),
    Flag("FOLL_HWPOISON", k.FOLL_HWPOISON, left_out="its errno for a poisoned page"),
    Flag("FOLL_SPLIT_PMD", k.FOLL_SPLIT_PMD, left_out="that a THP's mapping is split first"),
    Flag("FOLL_PCI_P2PDMA", k.FOLL_PCI_P2PDMA, "6.2", left_out="memory of PCI devices"),
    Flag("FOLL_INTERRUPTIBLE", k.FOLL_INTERRUPTIBLE, "6.2", left_out="that a signal ends the wait"),
    Flag("FOLL_HONOR_NUMA_FAULT", k.FOLL_HONOR_NUMA_FAULT, "6.5", left_out="NUMA hinting"),
    Flag("FOLL_TOUCH", k.FOLL_TOUCH, left_out="the accessed bit"),
    Flag("FOLL_REMOTE", k.FOLL_REMOTE, left_out="protection keys"),
    Flag("FOLL_TRIED", k.FOLL_TRIED, left_out="retries"),
    Flag("FOLL_UNLOCKABLE", k.FOLL_UNLOCKABLE, "6.3", left_out="dropping mmap_lock"),
    Flag("FOLL_MADV_POPULATE", k.FOLL_MADV_POPULATE, "6.9", left_out="its errnos for MADV_POPULATE_*"),
)
"""In the order in which callers write them."""

BY_NAME = {flag.name: flag for flag in FLAGS}


@dataclass(frozen=True, slots=True)
class Request:
    """A call of GUP.  pin: pin_user_pages(), else get_user_pages(); passed: the flags that the caller passes."""

    pin: bool
    passed: int

    @property
    def entry(self) -> str:
        """The entry point, as "pin_user_pages"."""
        return "pin_user_pages" if self.pin else "get_user_pages"

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is passed."""
        return tuple(flag for flag in FLAGS if self.passed & flag.value)

    @property
    def words(self) -> str:
        """What is passed as it stands in C: "FOLL_LONGTERM|FOLL_WRITE", or "0"."""
        return words(self.passed)

    @property
    def call(self) -> str:
        """The call in words: "pin_user_pages(FOLL_LONGTERM)"."""
        return f"{self.entry}({self.words})"

    @property
    def longterm(self) -> bool:
        return bool(self.passed & k.FOLL_LONGTERM)

    @property
    def write(self) -> bool:
        return bool(self.passed & k.FOLL_WRITE)

    @property
    def walk_flags(self) -> int:
        """What the page table walk gets: the entry point adds FOLL_PIN or FOLL_GET."""
        return self.passed | (k.FOLL_PIN if self.pin else k.FOLL_GET)

    def api(self, fast: bool) -> int:
        """The entry point as is_valid_gup_args() takes it."""
        if self.pin:
            return gup.PIN_USER_PAGES_FAST if fast else gup.PIN_USER_PAGES
        return gup.GET_USER_PAGES_FAST if fast else gup.GET_USER_PAGES

    def missing_in(self, release: str) -> tuple[Flag, ...]:
        """The flags that this release does not have."""
        return tuple(flag for flag in self.flags if not flag.known_in(release))


def words(flags: int) -> str:
    """The flags as they stand in C."""
    return "|".join(flag.name for flag in FLAGS if flags & flag.value) or "0"


def parse_flags(text: str) -> Request:
    """The call that "FOLL_LONGTERM|FOLL_WRITE", "FOLL_GET" or "0" stands for.  Raises UnknownFlag.

    FOLL_GET alone stands for get_user_pages(), which adds it; all else for pin_user_pages(), which adds FOLL_PIN.
    Both together are what is passed to pin_user_pages().
    """
    names = [name for name in re.split(r"[|,\s]+", text.strip()) if name]
    if not names:
        raise UnknownFlag("no flags were given; for example FOLL_LONGTERM, or 0 for none")
    passed = 0
    for name in names:
        if name == "0":
            continue
        if name not in BY_NAME:
            raise UnknownFlag(f"unknown flag {name!r}: {_nearest(name)}")
        passed |= BY_NAME[name].value
    if passed & k.FOLL_GET and not passed & k.FOLL_PIN:
        return Request(False, passed & ~k.FOLL_GET)
    return Request(True, passed & ~k.FOLL_PIN)


def _nearest(name: str) -> str:
    endings = [known.removeprefix("FOLL_") for known in BY_NAME]
    close = get_close_matches(name.upper().removeprefix("FOLL_"), endings, n=1, cutoff=0.6)
    if close:
        return f"did you mean FOLL_{close[0]}?"
    return f"choose from {', '.join(flag.name for flag in FLAGS if not flag.value & gup.INTERNAL_FLAGS)}"
