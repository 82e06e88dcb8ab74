"""Files that can be swapped to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import uuid
from collections.abc import Iterator

from pinhold.targets.live.syscalls import PAGE

LABEL = b"pinhold"

_SIGNATURE = b"SWAPSPACE2"
_HEADER = struct.Struct("=III16s16s")
"""At byte 1024: version, last page, number of bad pages, UUID, label."""
_HEADER_AT = 1024

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_NOCOW_FL = 0x00800000

LOOP_CTL_GET_FREE = 0x4C82
LOOP_SET_FD = 0x4C00
LOOP_SET_STATUS64 = 0x4C04
LOOP_CLR_FD = 0x4C01
_LO_FLAGS_AUTOCLEAR = 4
_LOOP_INFO = struct.Struct("=5Q4I64s64s32s2Q")
_LOOP_TRIES = 8
_CHUNK = 1 << 20


def header(pages: int) -> bytes:
    """The first page of a swap area of that many pages, itself included."""
    page = bytearray(PAGE)
    _HEADER.pack_into(page, _HEADER_AT, 1, pages - 1, 0, uuid.uuid4().bytes, LABEL)
    page[-len(_SIGNATURE) :] = _SIGNATURE
    return bytes(page)


def make(path: str, size: int) -> None:
    """A new swap file of `size` bytes.

    It has neither holes nor extents that were only promised, which not every file system swaps to; btrfs wants it not
    to be copied on write.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _no_copy_on_write(fd)
        os.posix_fallocate(fd, 0, size)
        zeros = bytes(_CHUNK)
        for at in range(0, size, _CHUNK):
            _write_all(fd, zeros[: size - at], at)
        _write_all(fd, header(size // PAGE), 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(fd, data, at)
        data, at = data[done:], at + done


def _no_copy_on_write(fd: int) -> None:
    """Where the file system knows no such flag, it needs none."""
    with contextlib.suppress(OSError):
        (flags,) = struct.unpack("=l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(struct.calcsize("=l"))))
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("=l", flags | FS_NOCOW_FL))


@contextlib.contextmanager
def loop_device(path: str) -> Iterator[str]:
    """A block device made of the file; when the block ends, it lives on as long as something uses it."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, name = _attach(file)
        try:
            info = _LOOP_INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, os.fsencode(path)[:63], b"", b"", 0, 0)
            try:
                fcntl.ioctl(device, LOOP_SET_STATUS64, info)
            except OSError:
                fcntl.ioctl(device, LOOP_CLR_FD, 0)
                raise
            yield name
        finally:
            os.close(device)
    finally:
        os.close(file)


def _attach(file: int) -> tuple[int, str]:
    """A free loop device, now with that file: (descriptor, name).  Somebody else may take it first: then the next."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_LOOP_TRIES):
            name = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
            device = os.open(name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_SET_FD, file)
                return device, name
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no loop device is free")
