"""What every way to a kernel's memory gives: a drgn program that knows the kernel, and a pause where it can stop."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from drgn import Architecture, FaultError, Platform, PlatformFlags, Program

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.vmcoreinfo import Read, Vmcoreinfo, search

X86_64 = Platform(Architecture.X86_64, PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN)

NO_KERNEL = (
    "no Linux kernel was found in this memory: it has no VMCOREINFO, which kernels with CONFIG_VMCORE_INFO (before 6.9 "
    "CONFIG_CRASH_CORE) have once they have started"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel's memory.

    name: as the user names it.  program: knows the kernel and its memory, no types.  own: what is read belongs to this
    machine or to a guest of ours, and not to a file that somebody sent.  changes: the kernel may run while it is read;
    goes_on: it does between two looks.  pause: stops it for a while, where it can be stopped.  close: lets go of it.
    """

    name: str
    program: Program
    info: Vmcoreinfo
    own: bool = False
    changes: bool = False
    goes_on: bool = False
    pause: Callable[[], AbstractContextManager[None]] = nullcontext
    close: Callable[[], None] = field(default=lambda: None)


def of_physical(read: Read, ranges: Sequence[range]) -> tuple[Program, Vmcoreinfo]:
    """A program over physical memory in which a kernel is found.  Raises CannotLook."""
    refused = NO_KERNEL
    for info in search(read, ranges):
        program = _over(read, ranges)
        try:
            program.set_linux_kernel_custom(info.text, False)
            if _is_of(program, info):
                return program, info
        except (FaultError, ValueError, LookupError) as wrong:
            refused = f"what looks like a kernel of release {info.release} in this memory cannot be read: {wrong}"
    raise CannotLook(refused)


def of_mapping(memory: mmap.mmap, parts: Sequence[tuple[range, int]]) -> tuple[Program, Vmcoreinfo]:
    """The same over a mapping, which is closed where there is no kernel in it.

    parts: physical addresses, and where in the mapping each range begins.
    """

    def read(address: int, count: int) -> bytes:
        for there, offset in parts:
            if address in there:
                start = offset + address - there.start
                return memory[start : start + min(count, there.stop - address)]
        return b""

    try:
        return of_physical(read, [there for there, _ in parts])
    except BaseException:
        memory.close()
        raise


def _over(read: Read, ranges: Iterable[range]) -> Program:
    program = Program(X86_64)

    def segment(address: int, count: int, offset: int, physical: bool) -> bytes:
        return read(address, count)

    for there in ranges:
        program.add_memory_segment(there.start, len(there), segment, physical=True)
    return program


def _is_of(program: Program, info: Vmcoreinfo) -> bool:
    """Whether that kernel is what the memory has: another's text may be left over from before it was booted."""
    names = info.symbols.get("init_uts_ns")
    return names is None or info.release.encode() in program.read(names, 512)
