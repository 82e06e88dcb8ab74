"""Short pins by direct I/O: write() and read() of a file that is open with O_DIRECT.

What it is: read-only where memory is written to the file, writable where it is filled from it; GUP-fast first, not
long-term; gone when the call returns.  FOLL_PIN since 6.5, FOLL_GET before.  It needs a file system that moves the
process's own pages: tmpfs takes O_DIRECT too, but copies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pinhold.scenario.observation import Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, directories, syscalls
from pinhold.targets.live.pins.base import FOLL_GET, FOLL_PIN, Gives
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.syscalls import PAGE

FIRST_PIN = (6, 5)
"""Since a7e689dd1c06 the block layer pins; before, it takes references."""

_AT_ONCE = 256
"""Pages that are written to the file at a time."""
_KEPT = 1024
"""The file keeps so many pages from one transfer to the next: in blocks that were written before, the next one neither
allocates nor waits for the journal."""


class DirectIo:
    """All transfers go by one file without a name, which nothing but direct I/O touches: it has no page cache.  A child
    of fork() has its parent's.  directories: where it may be; default: the usual ones."""

    name = "direct_io"
    summary = "short GUP-fast pins that do not last"

    def __init__(self, directories: Sequence[str] | None = None, release: str | None = None) -> None:
        self._directories = directories
        both = frozenset({False, True})
        self.gives = Gives(
            takes=FOLL_PIN if release_of(release or os.uname().release) >= FIRST_PIN else FOLL_GET,
            longterm=frozenset({False}),
            write=both,
            fast=frozenset({True}),
            held=False,
            readable=True,
            writable=True,
        )
        self._found: list[str | None] = []
        self._opened: int | None = None

    def unavailable(self) -> str | None:
        if self._directory() is not None:
            return None
        names = " and ".join(self._candidates())
        return f"needs a directory on ext4 or xfs, which do direct I/O, and found none in {names}: set TMPDIR"

    def _candidates(self) -> Sequence[str]:
        return self._directories or directories.candidates()

    def _directory(self) -> str | None:
        if not self._found:
            self._found.append(next((d for d in self._candidates() if _does_direct_io(d)), None))
        return self._found[0]

    def ready(self) -> None:
        """Open the file, where there can be one: who is forked from here need not."""
        directory = self._directory()
        if self._opened is None and directory is not None:
            self._opened = _nameless(directory)

    @contextmanager
    def _file(self, pages: int) -> Iterator[int]:
        """The file, with room for so many: what its making meets is no answer of the transfer's.  Raises CannotDo."""
        try:
            self.ready()
            if self._opened is None:
                raise CannotDo(self.unavailable() or self.name)
            os.posix_fallocate(self._opened, 0, pages * PAGE)
            os.lseek(self._opened, 0, os.SEEK_SET)
        except OSError as error:
            self._empty()
            size = f"{pages * PAGE // 1024} KiB"
            raise CannotDo(f"needs a file of {size} in {self._directory()}: {error.strerror}") from None
        try:
            yield self._opened
        finally:
            if pages > _KEPT:
                self._empty()

    def _empty(self) -> None:
        """Give back all blocks of the file, also those that it got of more than there were."""
        if self._opened is not None:
            os.ftruncate(self._opened, 0)

    def copy(self, address: int, pages: int) -> list[Run]:
        with self._file(pages) as fd, content.scratch(pages) as buffer:
            _whole(syscalls.write_from(fd, address, pages * PAGE), pages)
            os.lseek(fd, 0, os.SEEK_SET)
            _whole(syscalls.read_into(fd, buffer, pages * PAGE), pages)
            return content.runs(buffer, [(0, pages, True)])

    def fill(self, address: int, pages: int, byte: int) -> None:
        at_once = min(_AT_ONCE, pages)
        with self._file(pages) as fd, content.scratch(at_once) as buffer:
            content.fill(buffer, at_once, byte)
            for first in range(0, pages, at_once):
                count = min(at_once, pages - first)
                _whole(syscalls.write_from(fd, buffer, count * PAGE), count)
            os.lseek(fd, 0, os.SEEK_SET)
            _whole(syscalls.read_into(fd, address, pages * PAGE), pages)


def _nameless(directory: str) -> int:
    """A descriptor, open for direct I/O, of a file that goes when nobody has it open any more.  Raises OSError."""
    with tempfile.TemporaryFile(prefix="pinhold-", dir=directory, buffering=0) as file:
        fcntl.fcntl(file.fileno(), fcntl.F_SETFL, fcntl.fcntl(file.fileno(), fcntl.F_GETFL) | os.O_DIRECT)
        return os.dup(file.fileno())


def _does_direct_io(directory: str) -> bool:
    """Whether a file of the directory can be opened for direct I/O on a file system that is known to do it."""
    if syscalls.file_system(directory) not in directories.DIRECT:
        return False
    try:
        os.close(_nameless(directory))
    except OSError:
        return False
    return True


def _whole(done: int, pages: int) -> None:
    if done != pages * PAGE:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
