"""userfaultfd(), for one call: UFFDIO_CONTINUE (linux/userfaultfd.h)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from pinhold.targets.base import CannotDo
from pinhold.targets.live import kconfig, syscalls, vmas

NR_USERFAULTFD = 323
UFFD_USER_MODE_ONLY = 1
UFFD_API = 0xAA
UFFD_FEATURE_MINOR_SHMEM = 1 << 10
UFFDIO_REGISTER_MODE_MINOR = 1 << 2
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_CONTINUE = 0xC020AA07


def continue_range(address: int, length: int) -> None:
    """Map the page cache's pages in [address, address + length), which lies in one mapping of shmem.

    Closing the descriptor ends the registration.  Raises OSError with the kernel's errno (EINVAL also where the kernel
    or the memory has no minor faults), CannotDo where userfaultfd() is not to be had.  Where nothing is mapped there is
    nothing to register, and the call itself answers.
    """
    fd = _userfaultfd()
    try:
        _ioctl(fd, UFFDIO_API, UFFD_API, UFFD_FEATURE_MINOR_SHMEM, 0)
        if vmas.mapped(address):
            _ioctl(fd, UFFDIO_REGISTER, address, length, UFFDIO_REGISTER_MODE_MINOR, 0)
        _ioctl(fd, UFFDIO_CONTINUE, address, length, 0, 0)
    finally:
        os.close(fd)


def _userfaultfd() -> int:
    """A descriptor for faults of user mode alone, which everybody may have; up to 5.10 there is no such flag."""
    try:
        try:
            return syscalls.raw(NR_USERFAULTFD, os.O_CLOEXEC | UFFD_USER_MODE_ONLY)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return syscalls.raw(NR_USERFAULTFD, os.O_CLOEXEC)
    except OSError as error:
        reason = kconfig.without("USERFAULTFD") or os.strerror(error.errno or errno.EIO)
        raise CannotDo(f"needs userfaultfd(), which this kernel refuses: {reason}") from None


def _ioctl(fd: int, request: int, *words: int) -> None:
    fcntl.ioctl(fd, request, struct.pack(f"={len(words)}Q", *words))
