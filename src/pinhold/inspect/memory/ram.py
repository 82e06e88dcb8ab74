"""The memory of a guest of ours: a mapping of the memory file that QEMU has as its RAM."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from pinhold.inspect.memory.source import Source, of_mapping

_LOW_MOST = 0xB000_0000
"""Of a q35: so much memory lies below 4 GiB; of one with more, 2 GiB do and the rest begins at 4 GiB."""
_LOW, _HIGH = 0x8000_0000, 0x1_0000_0000


def q35(size: int) -> list[tuple[range, int]]:
    """Physical addresses of a guest with so many bytes, and where each range begins in its RAM file.

    QEMU: pc_q35_init(), hw/i386/pc_q35.c.
    """
    if size < _LOW_MOST:
        return [(range(size), 0)]
    return [(range(_LOW), 0), (range(_HIGH, _HIGH + size - _LOW), _LOW)]


def source(
    name: str, descriptor: int, pause: Callable[[], AbstractContextManager[None]] = nullcontext, changes: bool = True
) -> Source:
    """descriptor: of the guest's RAM; it is mapped, and may be closed.  Raises CannotLook, OSError."""
    size = os.fstat(descriptor).st_size
    memory = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
    program, info = of_mapping(memory, q35(size))
    return Source(name, program, info, own=True, changes=changes, goes_on=True, pause=pause, close=memory.close)
