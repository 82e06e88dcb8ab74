"""The files behind regions: the controller keeps them open, processes map them and hold no descriptor."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import tempfile

from pinhold.scenario.kinds import Backing
from pinhold.scenario.steps import Map
from pinhold.targets.base import CannotDo
from pinhold.targets.live import directories
from pinhold.targets.live.regions import HUGE_SHIFTS
from pinhold.targets.live.syscalls import MAP_HUGE_SHIFT, PAGE

_PREFIX = "pinhold-file-"


def _sweep(directory: str) -> None:
    """Remove what controllers that were killed left behind: a living one has its files locked."""
    for path in glob.glob(os.path.join(glob.escape(directory), f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_uid == os.geteuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(path)
            finally:
                os.close(fd)


def _is_kept(fd: int) -> bool:
    """Lock a file that was just made: whether no other controller has swept it away before."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    return os.fstat(fd).st_nlink > 0


def _write_zeros(fd: int, pages: int) -> None:
    """Bring the file's pages into the page cache, each a folio of its own.  What fallocate() has allocated alone would
    come there by readahead, which leaves gaps: one page that marks where it goes on is not mapped by fault-around."""
    for page in range(pages):
        os.pwrite(fd, bytes(PAGE), page * PAGE)


class Files:
    """By region name.  Closing leaves no file behind."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._reading: dict[str, int] = {}
        self._paths: list[str] = []

    def for_map(self, step: Map, pages: int) -> int | None:
        """The descriptor that `step` maps, made if it has to be, read-only where it says so; None for anonymous memory.
        Raises OSError; CannotDo where the file of another region was never made.

        A fresh file is allocated in full, with zeros, as in the selftests: a private mapping then reads the page cache,
        where hugetlbfs would fill a hole with a page of the process's own.
        """
        if step.of is not None:
            if step.of not in self._open:
                raise CannotDo(f"there is no file of {step.of}: the step that makes it failed")
            self._open[step.region] = os.dup(self._open[step.of])
        elif step.memory.descriptor:
            self._open[step.region] = fd = self._create(step)
            os.posix_fallocate(fd, 0, pages * PAGE)
            if step.memory.on_disk:
                _write_zeros(fd, pages)
        else:
            return None
        fd = self._open[step.region]
        return self._for_reading(step.region, fd) if step.readonly else fd

    def _for_reading(self, region: str, fd: int) -> int:
        """The file opened once more, for reading alone: what a mapping may ever do goes by the descriptor."""
        self._reading[region] = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        return self._reading[region]

    def forget(self, region: str) -> None:
        """The region was not mapped: nothing keeps the file, nor what pages a pool that is short had for it."""
        for kept in (self._open, self._reading):
            if region in kept:
                os.close(kept.pop(region))

    def share(self, region: str, to: str) -> None:
        """`to` is a moved part of `region`."""
        if region in self._open:
            self._open[to] = os.dup(self._open[region])

    def _create(self, step: Map) -> int:
        if step.memory.backing is Backing.SHMEM:
            return os.memfd_create("pinhold", os.MFD_CLOEXEC)
        if step.memory.backing is Backing.HUGETLB:
            size = step.size or "2M"
            try:
                return os.memfd_create("pinhold", os.MFD_CLOEXEC | os.MFD_HUGETLB | HUGE_SHIFTS[size] << MAP_HUGE_SHIFT)
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.EINVAL, errno.ENOENT):
                    raise CannotDo(f"needs hugepages of {size}: this machine has no such size") from None
                raise
        directory = directories.ordinary()
        _sweep(directory)
        while True:
            fd, path = tempfile.mkstemp(prefix=_PREFIX, dir=directory)
            if _is_kept(fd):
                break
            os.close(fd)
        if step.memory.linked:
            self._paths.append(path)
        else:
            os.unlink(path)
        return fd

    def close(self) -> None:
        for fd in (*self._open.values(), *self._reading.values()):
            os.close(fd)
        self._open.clear()
        self._reading.clear()
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._paths.clear()
