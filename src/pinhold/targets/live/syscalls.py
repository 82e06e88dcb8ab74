"""System calls that Python has no function for, by libc: each raises OSError with the kernel's errno.

Nothing is looked up before the first call, so that the module can be imported where there is no such libc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import cache
from typing import Any

PAGE = 4096
"""Bytes of a base page."""

PROT_NONE = 0
PROT_READ = 1
PROT_WRITE = 2

MAP_SHARED = 0x01
MAP_PRIVATE = 0x02
MAP_FIXED = 0x10
MAP_ANONYMOUS = 0x20
MAP_HUGETLB = 0x40000
MAP_HUGE_SHIFT = 26
MAP_FIXED_NOREPLACE = 0x100000

MADV_COLD = 20

MS_SYNC = 4
MREMAP_MAYMOVE = 1
MREMAP_FIXED = 2

SPLICE_F_NONBLOCK = 2

NR_IO_URING_SETUP = 425
NR_IO_URING_ENTER = 426
NR_IO_URING_REGISTER = 427
NR_MEMBARRIER = 324
NR_PIDFD_GETFD = 438

PTRACE_POKEDATA = 5
PTRACE_DETACH = 17
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207

MEMBARRIER_CMD_GLOBAL = 1
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

CAP_IPC_LOCK = 14
_CAPABILITY_VERSION_3 = 0x20080522

_int = ctypes.c_int
_long = ctypes.c_long
_size = ctypes.c_size_t
_ulong = ctypes.c_ulong


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", _size))


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", _int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _function(name: str, restype: Any, *argtypes: Any) -> Any:
    function = _libc()[name]
    function.restype = restype
    function.argtypes = argtypes
    return function


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def mmap(address: int, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """The address of the new mapping."""
    call = _function("mmap", _long, _size, _size, _int, _int, _int, _long)
    return int(_checked(call(address, length, prot, flags, fd, offset)))


def munmap(address: int, length: int) -> None:
    _checked(_function("munmap", _int, _size, _size)(address, length))


def mprotect(address: int, length: int, prot: int) -> None:
    _checked(_function("mprotect", _int, _size, _size, _int)(address, length, prot))


def madvise(address: int, length: int, advice: int) -> None:
    _checked(_function("madvise", _int, _size, _size, _int)(address, length, advice))


def msync(address: int, length: int, flags: int) -> None:
    _checked(_function("msync", _int, _size, _size, _int)(address, length, flags))


def mremap_to(address: int, length: int, new_address: int) -> None:
    """Move a mapping, replacing what is at `new_address`."""
    call = _function("mremap", _long, _size, _size, _size, _int, _size)
    _checked(call(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, new_address))


def vmsplice(fd: int, address: int, length: int, flags: int = 0) -> int:
    """How many bytes of the process's memory the pipe took references to."""
    vector = _IoVec(address, length)
    call = _function("vmsplice", ctypes.c_ssize_t, _int, ctypes.POINTER(_IoVec), _ulong, ctypes.c_uint)
    return int(_checked(call(fd, ctypes.byref(vector), 1, flags)))


def tee(source: int, destination: int, length: int, flags: int = 0) -> int:
    """Duplicate the content of one pipe into another without consuming it; the number of bytes."""
    call = _function("tee", ctypes.c_ssize_t, _int, _int, _size, ctypes.c_uint)
    return int(_checked(call(source, destination, length, flags)))


def write_from(fd: int, address: int, length: int) -> int:
    """write(2) straight from memory: a bad address is EFAULT here, not a signal."""
    call = _function("write", ctypes.c_ssize_t, _int, _size, _size)
    return int(_checked(call(fd, address, length)))


def read_into(fd: int, address: int, length: int) -> int:
    """read(2) straight into memory: a bad address is EFAULT here, not a signal."""
    call = _function("read", ctypes.c_ssize_t, _int, _size, _size)
    return int(_checked(call(fd, address, length)))


def process_vm_readv(pid: int, buffer: int, address: int, length: int) -> int:
    """How many bytes were copied to `buffer` from a process's memory."""
    return _process_vm("process_vm_readv", pid, buffer, address, length)


def process_vm_writev(pid: int, buffer: int, address: int, length: int) -> int:
    """How many bytes were copied from `buffer` to a process's memory."""
    return _process_vm("process_vm_writev", pid, buffer, address, length)


def _process_vm(name: str, pid: int, buffer: int, address: int, length: int) -> int:
    vector = ctypes.POINTER(_IoVec)
    call = _function(name, ctypes.c_ssize_t, _int, vector, _ulong, vector, _ulong, _ulong)
    local, remote = _IoVec(buffer, length), _IoVec(address, length)
    return int(_checked(call(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)))


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> int:
    """ptrace(2); not for the requests that return a word."""
    return int(_checked(_function("ptrace", _long, _long, _long, _size, _size)(request, pid, address, data)))


def raw(number: int, *arguments: int) -> int:
    """A system call by its number on x86-64, for those that libc has no function for."""
    call = _function("syscall", _long, _long, *[_size] * 6)
    return int(_checked(call(number, *arguments, *[0] * (6 - len(arguments)))))


def membarrier() -> None:
    """Wait for an RCU grace period, however busy the machine is; where it has one CPU, or no such call, for nothing."""
    with contextlib.suppress(OSError):
        raw(NR_MEMBARRIER, MEMBARRIER_CMD_GLOBAL, 0, 0)


def pidfd_getfd(pid: int, fd: int) -> int:
    """A duplicate of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        return raw(NR_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)


def file_system(path: str) -> int | None:
    """The f_type of statfs(2); None where the path cannot be looked at."""
    words = (ctypes.c_long * 32)()
    if _function("statfs", _int, ctypes.c_char_p, ctypes.c_void_p)(os.fsencode(path), words) != 0:
        return None
    return int(words[0])


def memcmp(first: int, second: int, length: int) -> int:
    return int(_function("memcmp", _int, _size, _size, _size)(first, second, length))


def prctl(option: int, argument: int) -> None:
    call = _function("prctl", _int, _int, _ulong, _ulong, _ulong, _ulong)
    _checked(call(option, argument, 0, 0, 0))


def _capabilities() -> tuple[_CapHeader, Any]:
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    call = _function("capget", _int, ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapData))
    _checked(call(ctypes.byref(header), data))
    return header, data


def set_effective_capability(capability: int, on: bool) -> None:
    """Raise or drop one capability of the calling thread in its effective set; EPERM where it is not permitted."""
    header, data = _capabilities()
    word, bit = divmod(capability, 32)
    if on:
        data[word].effective |= 1 << bit
    else:
        data[word].effective &= ~(1 << bit)
    call = _function("capset", _int, ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapData))
    _checked(call(ctypes.byref(header), data))


def has_permitted_capability(capability: int) -> bool:
    _, data = _capabilities()
    word, bit = divmod(capability, 32)
    return bool(data[word].permitted >> bit & 1)


def has_effective_capability(capability: int) -> bool:
    _, data = _capabilities()
    word, bit = divmod(capability, 32)
    return bool(data[word].effective >> bit & 1)


def swapon(path: str) -> None:
    """Swap to a file or block device with a swap header."""
    _checked(_function("swapon", _int, ctypes.c_char_p, _int)(os.fsencode(path), 0))


def swapoff(path: str) -> None:
    """Bring back what is swapped out there, and swap there no more."""
    _checked(_function("swapoff", _int, ctypes.c_char_p)(os.fsencode(path)))
