"""Short pins by process_vm_readv() and process_vm_writev() on the process's own memory.

What it is: FOLL_PIN, with FOLL_WRITE for the second, neither FOLL_LONGTERM nor GUP-fast; at most 1024 pages at a time;
gone when the call returns.  Every kernel has it and it needs no privilege, so it shows what a short read-only pin does
to a shared page: whether it unshares it is seen in the frames afterwards.
"""

from __future__ import annotations

import errno
import os

from pinhold.scenario.observation import Run
from pinhold.targets.live import content, kconfig, syscalls
from pinhold.targets.live.pins.base import FOLL_PIN, Gives
from pinhold.targets.live.syscalls import PAGE


class ProcessVm:
    """Copies through a buffer that is no part of the test."""

    name = "process_vm"
    summary = "short pins that do not last"
    gives = Gives(
        takes=FOLL_PIN,
        longterm=frozenset({False}),
        write=frozenset({False, True}),
        fast=frozenset({False}),
        held=False,
        readable=True,
        writable=True,
    )

    def unavailable(self) -> str | None:
        """Found out by reading a byte of this process."""
        with content.scratch(2) as buffer:
            try:
                syscalls.process_vm_readv(os.getpid(), buffer, buffer + PAGE, 1)
            except OSError as error:
                why = kconfig.without("CROSS_MEMORY_ATTACH") or error.strerror
                return f"process_vm_readv() cannot be used here: {why}"
        return None

    def copy(self, address: int, pages: int) -> list[Run]:
        with content.scratch(pages) as buffer:
            _whole(syscalls.process_vm_readv(os.getpid(), buffer, address, pages * PAGE), pages)
            return content.runs(buffer, [(0, pages, True)])

    def fill(self, address: int, pages: int, byte: int) -> None:
        with content.scratch(pages) as buffer:
            content.fill(buffer, pages, byte)
            _whole(syscalls.process_vm_writev(os.getpid(), buffer, address, pages * PAGE), pages)


def _whole(done: int, pages: int) -> None:
    if done != pages * PAGE:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
