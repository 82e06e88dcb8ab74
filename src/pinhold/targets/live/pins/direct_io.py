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

_FILLED = 256
"""Pages that are written to the file at a time."""


class DirectIo:
    """Each transfer has a file of its own, without a name.  directories: where it may be; default: the usual ones."""

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

    @contextmanager
    def _file(self, pages: int) -> Iterator[int]:
        """A file that has room for so many: what its making meets is no answer of the transfer's.  Raises CannotDo."""
        directory = self._directory()
        if directory is None:
            raise CannotDo(self.unavailable() or self.name)
        with tempfile.TemporaryFile(prefix="pinhold-", dir=directory, buffering=0) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, pages * PAGE)
            except OSError as error:
                size = f"{pages * PAGE // 1024} KiB"
                raise CannotDo(f"needs a file of {size} in {directory}: {error.strerror}") from None
            yield file.fileno()

    def copy(self, address: int, pages: int) -> list[Run]:
        with self._file(pages) as fd, content.scratch(pages) as buffer:
            with _direct(fd):
                _whole(syscalls.write_from(fd, address, pages * PAGE), pages)
            os.lseek(fd, 0, os.SEEK_SET)
            _whole(syscalls.read_into(fd, buffer, pages * PAGE), pages)
            return content.runs(buffer, [(0, pages, True)])

    def fill(self, address: int, pages: int, byte: int) -> None:
        with self._file(pages) as fd:
            for first in range(0, pages, _FILLED):
                os.write(fd, bytes([byte]) * (min(_FILLED, pages - first) * PAGE))
            os.lseek(fd, 0, os.SEEK_SET)
            with _direct(fd):
                _whole(syscalls.read_into(fd, address, pages * PAGE), pages)


def _does_direct_io(directory: str) -> bool:
    """Whether a file of the directory can be opened for direct I/O on a file system that is known to do it."""
    if syscalls.file_system(directory) not in directories.DIRECT:
        return False
    try:
        with tempfile.TemporaryFile(prefix="pinhold-", dir=directory, buffering=0) as file, _direct(file.fileno()):
            return True
    except OSError:
        return False


@contextmanager
def _direct(fd: int) -> Iterator[None]:
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
    try:
        yield
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def _whole(done: int, pages: int) -> None:
    if done != pages * PAGE:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
