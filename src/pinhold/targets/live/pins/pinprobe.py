"""Any pin at all, by pinhold's own kernel module (/dev/pinprobe), which the kernel lab loads into its guests.

It calls pin_user_pages() or pin_user_pages_fast() as a driver does, and shows what the pinned pages contain.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator

from pinhold.scenario.observation import MIXED, Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content
from pinhold.targets.live.pins.base import FOLL_PIN, Gives, Taken
from pinhold.targets.live.pins.gup_test import Ioctl

PATH = "/dev/pinprobe"

PIN = 0x401870A0
"""_IOW('p', 0xa0, {u64 addr, u64 pages, u32 flags, u32 unused})."""

LOOK = 0x401870A1
"""_IOW('p', 0xa1, {u64 to, u64 first, u64 count}): one s16 a page, its byte or -1 where they differ."""

FILL = 0x400870A2
UNPIN = 0x70A3

WRITE = 1
LONGTERM = 2
FAST = 4
FORCE = 8

_PIN = struct.Struct("=QQI4x")
_LOOK = struct.Struct("=QQQ")
_FILL = struct.Struct("=Q")
_CHUNK = 1 << 16
_BOTH = frozenset({False, True})


class PinProbe:
    """longterm: takes long-term pins alone, or short-term ones that are held alone."""

    sendable = True

    def __init__(self, longterm: bool, path: str = PATH, ioctl: Ioctl = fcntl.ioctl) -> None:
        self.name = "pinprobe" if longterm else "pinprobe_short"
        self.summary = "long-term pins" if longterm else "short-term pins"
        self.gives = Gives(FOLL_PIN, frozenset({longterm}), write=_BOTH, fast=_BOTH, readable=True, writable=True)
        self._flags = LONGTERM if longterm else 0
        self._path = path
        self._ioctl = ioctl

    def unavailable(self) -> str | None:
        if not os.path.exists(self._path):
            return f"no {self._path} here"
        if not os.access(self._path, os.R_OK | os.W_OK):
            return f"{self._path} cannot be opened by this user"
        return None

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        flags = self._flags | (WRITE if write else 0) | (FAST if fast else 0)
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._ioctl(fd, PIN, _PIN.pack(address, pages, flags))
        except OSError:
            os.close(fd)
            raise
        return Taken([fd], pages)

    def read_back(self, taken: Taken) -> list[Run]:
        """Every byte of every page, looked at by the module."""
        return content.joined(self._look(taken))

    def _look(self, taken: Taken) -> Iterator[int]:
        for first in range(0, taken.pages, _CHUNK):
            count = min(_CHUNK, taken.pages - first)
            seen = (ctypes.c_int16 * count)()
            self._ioctl(taken.fds[0], LOOK, _LOOK.pack(ctypes.addressof(seen), first, count))
            yield from (value if value >= 0 else MIXED for value in seen)

    def write_through(self, taken: Taken, byte: int) -> None:
        try:
            self._ioctl(taken.fds[0], FILL, _FILL.pack(byte))
        except PermissionError:
            raise CannotDo("a read-only pin cannot be written through") from None

    def release(self, taken: Taken) -> None:
        try:
            self._ioctl(taken.fds[0], UNPIN, 0)
        finally:
            os.close(taken.fds[0])
