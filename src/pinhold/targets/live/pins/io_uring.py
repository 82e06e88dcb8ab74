"""Writable long-term pins by io_uring: a registered ("fixed") buffer, by raw system calls.

What it is: FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM, through GUP-fast since 6.10 and under mmap_lock before; charged to
RLIMIT_MEMLOCK, like the ring's own few pages, unless the process has CAP_IPC_LOCK.  The pinned pages are read by
IORING_OP_WRITE_FIXED into a memfd, and written by IORING_OP_READ_FIXED: the kernel copies from and to the pages that it
holds, whoever maps them by then.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pinhold.scenario.observation import Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, kconfig, syscalls
from pinhold.targets.live.pins.base import FOLL_PIN, Gives, Taken
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.syscalls import (
    MAP_SHARED,
    NR_IO_URING_ENTER,
    NR_IO_URING_REGISTER,
    NR_IO_URING_SETUP,
    PAGE,
    PROT_READ,
    PROT_WRITE,
)

DISABLED = "proc/sys/kernel/io_uring_disabled"

_PARAMS = struct.Struct("=10I10I10I")
"""io_uring_params: 10 words, then io_sqring_offsets and io_cqring_offsets, 10 words each (the last two one u64)."""
_SQ_OFFSETS, _CQ_OFFSETS = 10, 20
_SQ_TAIL, _SQ_ARRAY = _SQ_OFFSETS + 1, _SQ_OFFSETS + 6
_CQ_HEAD, _CQ_CQES = _CQ_OFFSETS, _CQ_OFFSETS + 5

_IOVEC = struct.Struct("=QQ")
_SQE = struct.Struct("=BBHiQQIIQHHi16x")
"""opcode, flags, ioprio, fd, off, addr, len, rw_flags, user_data, buf_index, personality, splice_fd_in."""
_CQE_RESULT = 8

IORING_OP_READ_FIXED = 4
IORING_OP_WRITE_FIXED = 5
IORING_REGISTER_BUFFERS = 0
IORING_UNREGISTER_BUFFERS = 1
IORING_ENTER_GETEVENTS = 1
IORING_OFF_SQES = 0x10000000
FIRST_FAST = (6, 10)
"""Since 1943f96b3816 the buffers are pinned by pin_user_pages_fast()."""

_RING_PAGES = 2
"""Of a ring of one entry, where rings are charged."""
CHARGED_RINGS = (6, 14), (7, 2)
"""From the first to before the last of these releases rings are (rule io_uring_ring).  Before 5.12 they were, too,
which is not made use of."""
_LOOKS, _FREED = 20, 0.01
"""How often, and after how many seconds beside the grace period, what was refused is asked for again."""
_FILLED = 256
"""Pages of the file that a device write reads again and again."""

Raw = Callable[..., int]
T = TypeVar("T")


class IoUring:
    """One ring and one buffer a pin.  raw: io_uring_setup() and its kin, by number."""

    name = "io_uring"
    sendable = False  # since 6.8 the kernel refuses to send a ring over a socket

    def __init__(self, raw: Raw = syscalls.raw, root: Path = Path("/"), release: str | None = None) -> None:
        self._raw = raw
        self._root = root
        version = release_of(release or os.uname().release)
        fast = version >= FIRST_FAST
        first, last = CHARGED_RINGS
        self._ring = _RING_PAGES if first <= version < last else 0
        self.summary = f"writable long-term pins by {'GUP-fast' if fast else 'GUP'}, accounted as io_uring,"
        self.gives = Gives(
            takes=FOLL_PIN,
            longterm=frozenset({True}),
            write=frozenset({True}),
            fast=frozenset({fast}),
            users=frozenset({"io_uring"}),
            readable=True,
            writable=True,
        )
        self._unavailable: list[str | None] = []

    def unavailable(self) -> str | None:
        """Found out once, by a ring that is closed at once."""
        if not self._unavailable:
            try:
                os.close(self._setup()[0])
                self._unavailable.append(None)
            except OSError as error:
                self._unavailable.append(self._why_not(error))
        return self._unavailable[0]

    def _why_not(self, error: OSError) -> str:
        if error.errno == errno.ENOSYS:
            return kconfig.without("IO_URING") or "this kernel has no io_uring"
        try:
            disabled = (self._root / DISABLED).read_text(encoding="ascii").strip()
        except OSError:
            disabled = "0"
        if disabled != "0":
            return f"io_uring is switched off here (kernel.io_uring_disabled is {disabled})"
        if error.errno == errno.EPERM:
            return "io_uring is not allowed here: a container's seccomp filter or a security module refuses it"
        return f"io_uring cannot be set up here: {error.strerror}"

    def _setup(self) -> tuple[int, tuple[int, ...]]:
        """A ring of one entry, and its io_uring_params."""
        params = ctypes.create_string_buffer(_PARAMS.size)
        fd = self._raw(NR_IO_URING_SETUP, 1, ctypes.addressof(params))
        os.set_inheritable(fd, False)
        return fd, _PARAMS.unpack(params.raw)

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        try:
            fd, params = _once_freed(self._setup, charged + self._ring)
        except OSError as error:
            if error.errno == errno.ENOMEM:  # the ring is charged to the limit, too
                raise
            raise CannotDo(self._why_not(error)) from None
        vector = ctypes.create_string_buffer(_IOVEC.pack(address, pages * PAGE))
        where = ctypes.addressof(vector)
        try:
            _once_freed(
                lambda: self._raw(NR_IO_URING_REGISTER, fd, IORING_REGISTER_BUFFERS, where, 1),
                charged + self._ring + pages,
            )
        except OSError:
            os.close(fd)
            raise
        free = syscalls.has_effective_capability(syscalls.CAP_IPC_LOCK)
        return Taken([fd], pages, (address, *params), 0 if free else self._ring + pages)

    def read_back(self, taken: Taken) -> list[Run]:
        length = taken.pages * PAGE
        with _memfd(length) as file, _Ring(self._raw, taken) as ring:
            done = 0
            while done < length:
                done += ring.transfer(IORING_OP_WRITE_FIXED, file, done, done, length - done)
            with _mapped(length, PROT_READ, MAP_SHARED, file) as copy:
                return content.runs(copy, [(0, taken.pages, True)])

    def write_through(self, taken: Taken, byte: int) -> None:
        length, filled = taken.pages * PAGE, min(taken.pages, _FILLED) * PAGE
        with _memfd(filled) as file, _Ring(self._raw, taken) as ring:
            os.pwrite(file, bytes([byte]) * filled, 0)
            done = 0
            while done < length:
                done += ring.transfer(IORING_OP_READ_FIXED, file, 0, done, min(filled, length - done))

    def release(self, taken: Taken) -> None:
        """The pages are let go before the call returns; closing alone would leave that to a worker."""
        try:
            self._raw(NR_IO_URING_REGISTER, taken.fds[0], IORING_UNREGISTER_BUFFERS)
        finally:
            os.close(taken.fds[0])


def _once_freed(call: Callable[[], T], pages: int) -> T:
    """What makes the charge of its user so many pages at least.  Rings that were closed are charged until a worker has
    freed them, after an RCU grace period: ENOMEM counts after some of those, or where the limit is less than the pages.
    Linux: io_ring_exit_work()."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for _ in range(_LOOKS):
        try:
            return call()
        except OSError as error:
            if error.errno != errno.ENOMEM or pages * PAGE > limit != resource.RLIM_INFINITY:
                raise
        syscalls.membarrier()
        time.sleep(_FREED)
    return call()


class _Ring:
    """The mapped queues of a ring, for one request at a time."""

    def __init__(self, raw: Raw, taken: Taken) -> None:
        self._raw = raw
        self._fd = taken.fds[0]
        self._buffer, *params = taken.detail
        self._entries = params[0]
        self._tail, self._array = params[_SQ_TAIL], params[_SQ_ARRAY]
        self._head, self._cqes = params[_CQ_HEAD], params[_CQ_CQES]
        self._size = max(self._array + 4 * self._entries, self._cqes + 16 * params[1])

    def __enter__(self) -> _Ring:
        both = PROT_READ | PROT_WRITE
        self._queues = syscalls.mmap(0, self._size, both, MAP_SHARED, self._fd)
        self._sqes = syscalls.mmap(0, 64 * self._entries, both, MAP_SHARED, self._fd, IORING_OFF_SQES)
        return self

    def __exit__(self, *_: object) -> None:
        syscalls.munmap(self._queues, self._size)
        syscalls.munmap(self._sqes, 64 * self._entries)

    def _word(self, offset: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_address(self._queues + offset)

    def transfer(self, opcode: int, fd: int, offset: int, first: int, length: int) -> int:
        """Move bytes between the buffer, from byte `first` on, and a file; how many.  Raises OSError."""
        entry = _SQE.pack(opcode, 0, 0, fd, offset, self._buffer + first, length, 0, 0, 0, 0, 0)
        ctypes.memmove(self._sqes, entry, len(entry))
        self._word(self._array).value = 0
        tail = self._word(self._tail)
        tail.value += 1
        self._raw(NR_IO_URING_ENTER, self._fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0)
        head = self._word(self._head)
        slot = self._cqes + 16 * (head.value % (2 * self._entries))
        result = ctypes.c_int32.from_address(self._queues + slot + _CQE_RESULT).value
        head.value += 1
        if result <= 0:
            raise OSError(-result or errno.EIO, os.strerror(-result or errno.EIO))
        return result


@contextmanager
def _memfd(length: int) -> Iterator[int]:
    fd = os.memfd_create("pinhold", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, length)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _mapped(length: int, prot: int, flags: int, fd: int) -> Iterator[int]:
    address = syscalls.mmap(0, length, prot, flags, fd)
    try:
        yield address
    finally:
        syscalls.munmap(address, length)
