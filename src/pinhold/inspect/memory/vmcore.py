"""A dump of a kernel: ELF or kdump's compressed form, as /proc/vmcore, makedumpfile and QEMU write them.

An ELF dump need not have the note VMCOREINFO, which QEMU's has only with `-device vmcoreinfo`: then it is searched for.
"""

from __future__ import annotations

import mmap
import os
import struct

from drgn import FaultError, Program

from pinhold.inspect import vmcoreinfo
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.memory.flattened import is_flattened, unflatten
from pinhold.inspect.memory.source import X86_64, Source, of_mapping

ELF, KDUMP, DISKDUMP = b"\x7fELF", b"KDUMP   ", b"DISKDUMP"
_X86_64, _LITTLE_64, _CORE = 62, b"\x02\x01", 4
_PT_LOAD = 1
_HEADER = struct.Struct("<IIQQQQQQ")
_NOTE = b"VMCOREINFO\0"


def source(path: str) -> Source:
    """Raises CannotLook."""
    name = f"vmcore:{path}"
    try:
        with open(path, "rb") as file:
            if is_flattened(file):
                with unflatten(file) as whole:
                    return _opened(name, whole.fileno())
            return _opened(name, file.fileno())
    except OSError as wrong:
        raise CannotLook(f"{name}: {wrong.strerror or wrong}") from None


def _opened(name: str, descriptor: int) -> Source:
    """The descriptor may be closed afterwards.  Raises CannotLook, OSError."""
    head = os.pread(descriptor, 64, 0)
    if head[:4] == ELF:
        if head[4:6] != _LITTLE_64 or int.from_bytes(head[18:20], "little") != _X86_64:
            raise CannotLook(f"{name} is of another machine than x86-64, the only one that pinhold knows")
        if int.from_bytes(head[16:18], "little") != _CORE:
            raise CannotLook(f"{name} is no dump but a program, or a kernel's file")
        if _NOTE not in os.pread(descriptor, 1 << 20, 0):
            return _without_note(name, descriptor, head)
    elif head[:8] not in (KDUMP, DISKDUMP):
        raise CannotLook(f"{name} is no dump of a kernel: neither ELF nor kdump")
    program = Program(X86_64)
    try:
        program.set_core_dump(os.dup(descriptor))  # which drgn closes
        info = vmcoreinfo.parse(bytes(program["VMCOREINFO"].string_()))
    except (FaultError, OSError, LookupError, ValueError) as wrong:
        raise CannotLook(f"{name} cannot be read: {wrong}") from None
    return Source(name, program, info)


def _without_note(name: str, descriptor: int, head: bytes) -> Source:
    """By the segments, which say where in physical memory they belong.  Raises CannotLook, OSError."""
    (at,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    headers = os.pread(descriptor, size * count, at)
    segments: list[tuple[range, int]] = []
    length = os.fstat(descriptor).st_size
    if size >= _HEADER.size and len(headers) == size * count:
        for number in range(count):
            kind, _, offset, _, physical, there, _, _ = _HEADER.unpack_from(headers, number * size)
            there = min(there, length - offset)
            if kind == _PT_LOAD and there > 0:
                segments.append((range(physical, physical + there), offset))
    if sum(len(there) for there, _ in segments) > length:
        raise CannotLook(f"{name} is damaged: its segments lie over each other")
    memory = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    program, info = of_mapping(memory, segments)
    return Source(name, program, info, close=memory.close)
