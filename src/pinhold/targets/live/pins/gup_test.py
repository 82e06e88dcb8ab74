"""Long-term pins by the kernel's own test device (CONFIG_GUP_TEST): the mechanism of the selftests, since 6.2."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Any

from pinhold.scenario.observation import Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, kconfig
from pinhold.targets.live.pins.base import FOLL_PIN, Gives, Taken
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.syscalls import PAGE

PATH = "/sys/kernel/debug/gup_test"

PIN_LONGTERM_TEST_START = 0x40186707
"""_IOW('g', 7, {u64 addr, u64 size, u32 flags}), 24 bytes with padding."""

PIN_LONGTERM_TEST_STOP = 0x6708
PIN_LONGTERM_TEST_READ = 0x40086709
"""_IOW('g', 9, u64): the address to copy every pinned page to."""

FLAG_USE_WRITE = 1
FLAG_USE_FAST = 2

_START = struct.Struct("=QQI4x")
_READ = struct.Struct("=Q")

Ioctl = Callable[[int, int, Any], Any]


FIRST = (6, 2)
"""Since c77369b437f9 it has the three; an older kernel may have them by hand."""


class GupTest:
    """Up to 6.12 the kernel keeps one set of pins for all openers, and a second START is EINVAL."""

    name = "gup_test"
    summary = "long-term pins"
    sendable = True
    gives = Gives(
        takes=FOLL_PIN,
        longterm=frozenset({True}),
        write=frozenset({False, True}),
        fast=frozenset({False, True}),
        readable=True,
    )

    def __init__(self, path: str = PATH, ioctl: Ioctl = fcntl.ioctl, release: str | None = None) -> None:
        self._path = path
        self._ioctl = ioctl
        self._release = release
        self._old: bool | None = None

    def unavailable(self) -> str | None:
        """Looks only, from 6.2 on: opening and closing the device would release the pins of whoever uses it."""
        try:
            os.stat(self._path)
        except FileNotFoundError:
            why = kconfig.without("DEBUG_FS", "GUP_TEST")
            return f"no {self._path} here" + (f": {why}" if why else "")
        except OSError as error:
            return f"{self._path} cannot be reached: {error.strerror}"
        if not os.access(self._path, os.R_OK | os.W_OK):
            return f"{self._path} cannot be opened by this user"
        if self._is_old():
            return "gup_test of this kernel takes no long-term pins that last: it is older than 6.2"
        return None

    def _is_old(self) -> bool:
        """Whether START is unknown.  Asked once, before the first pin: the device is opened for that where the release
        does not tell, and nobody can hold pins by one that is old."""
        if self._old is None:
            self._old = release_of(self._release or os.uname().release) < FIRST and not self._knows_start()
        return self._old

    def _knows_start(self) -> bool:
        """START with an address where nothing is: EFAULT where it is known, EINVAL where it is not."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            self._ioctl(fd, PIN_LONGTERM_TEST_START, 0)
        except OSError as error:
            return error.errno == errno.EFAULT
        finally:
            os.close(fd)
        return True

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise CannotDo(f"{self._path} cannot be opened: {error.strerror}") from None
        flags = (FLAG_USE_WRITE if write else 0) | (FLAG_USE_FAST if fast else 0)
        try:
            self._ioctl(fd, PIN_LONGTERM_TEST_START, _START.pack(address, pages * PAGE, flags))
        except OSError as error:
            os.close(fd)
            if error.errno == errno.EINVAL:
                raise CannotDo("gup_test refused to start: another set of pins is alive") from None
            raise
        return Taken([fd], pages)

    def read_back(self, taken: Taken) -> list[Run]:
        with content.scratch(taken.pages) as buffer:
            self._ioctl(taken.fds[0], PIN_LONGTERM_TEST_READ, _READ.pack(buffer))
            return content.runs(buffer, [(0, taken.pages, True)])

    def write_through(self, taken: Taken, byte: int) -> None:
        raise CannotDo("gup_test cannot write through a pin")

    def release(self, taken: Taken) -> None:
        try:
            self._ioctl(taken.fds[0], PIN_LONGTERM_TEST_STOP, 0)
        finally:
            os.close(taken.fds[0])
