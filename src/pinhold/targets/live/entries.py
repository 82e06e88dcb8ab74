"""Entries of the calling process's page tables, as pinhold's kernel module tells them: in guests of the lab alone.

No file of a running kernel tells whether an entry is writable, and a write that would find out changes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from pinhold.scenario.observation import LEVELS
from pinhold.targets.live.pins.pinprobe import PATH

ENTRIES = 0x401870A4
"""_IOW('p', 0xa4, {u64 addrs, u64 to, u64 count}): of one u64 address a page, one u32."""

LEVEL, PRESENT, WRITE, DIRTY, EXCLUSIVE = 3, 4, 8, 16, 32
_ASK = struct.Struct("=QQQ")


class Entry(NamedTuple):
    """What maps a page.  Where nothing does: exclusive, of a swap entry."""

    level: str | None
    writable: bool | None
    dirty: bool | None
    exclusive: bool


def decode(word: int) -> Entry:
    """An entry as the module tells it."""
    exclusive = bool(word & EXCLUSIVE)
    if not word & PRESENT:
        return Entry(None, None, None, exclusive)
    return Entry(LEVELS[word & LEVEL], bool(word & WRITE), bool(word & DIRTY), exclusive)


class Entries:
    """Opened once; a child of fork() asks of its own memory by the same descriptor."""

    def __init__(self, path: str = PATH) -> None:
        try:
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._fd = None

    def close(self) -> None:
        """It tells nothing any more."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None

    def of(self, addresses: Iterable[int]) -> array[int] | None:
        """One word a page, see decode(); None where there is no module, or one that cannot tell."""
        if self._fd is None:
            return None
        asked = array("Q", addresses)
        told = array("I", bytes(4 * len(asked)))
        try:
            fcntl.ioctl(self._fd, ENTRIES, _ASK.pack(asked.buffer_info()[0], told.buffer_info()[0], len(asked)))
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise
            os.close(self._fd)
            self._fd = None
            return None
        return told
