"""Forced writes, as a debugger does them: page by page, into memory that the process itself may not write.

What it is: FOLL_GET | FOLL_FORCE | FOLL_WRITE, slow, gone when the page is written.  `proc_mem` writes to
/proc/PID/mem, which a kernel can be built or booted to refuse (proc_mem.force_override=); `ptrace` is PTRACE_POKEDATA.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, syscalls
from pinhold.targets.live.pins.base import FOLL_GET, Gives
from pinhold.targets.live.syscalls import (
    PAGE,
    PTRACE_DETACH,
    PTRACE_INTERRUPT,
    PTRACE_POKEDATA,
    PTRACE_SEIZE,
)

_GIVES = Gives(
    takes=FOLL_GET,
    longterm=frozenset({False}),
    write=frozenset({True}),
    fast=frozenset({False}),
    force=frozenset({True}),
    held=False,
    writable=True,
)
_MOST = 256
"""Pages written by one call."""
_WORD = 8


class ProcMem:
    """By /proc/self/mem: runs in the process whose memory it is."""

    name = "proc_mem"
    summary = "forced writes, page by page,"
    gives = _GIVES

    def __init__(self) -> None:
        self._unavailable: list[str | None] = []

    def unavailable(self) -> str | None:
        """Found out once, by a forced write to a page of this process."""
        if not self._unavailable:
            with content.scratch(1) as page:
                syscalls.mprotect(page, PAGE, syscalls.PROT_READ)
                try:
                    self.fill(page, 1, 1)
                    self._unavailable.append(None)
                except OSError as error:
                    reason = "this kernel forces no writes through /proc/PID/mem (proc_mem.force_override)"
                    self._unavailable.append(f"{reason}: {error.strerror}")
        return self._unavailable[0]

    def fill(self, address: int, pages: int, byte: int) -> None:
        """Raises OSError: EIO at the first page that cannot be had."""
        fd = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            done, end = 0, pages * PAGE
            while done < end:
                done += os.pwrite(fd, bytes([byte]) * min(_MOST * PAGE, end - done), address + done)
        finally:
            os.close(fd)


class Ptrace:
    """By PTRACE_POKEDATA: runs in the controller, which stops the process meanwhile.

    The first word of each page decides what becomes of the page; the others go there by /proc/PID/mem, which takes the
    page in the same way, or, where that is refused, word by word as well.
    """

    name = "ptrace"
    summary = "forced writes, page by page,"
    gives = _GIVES

    def unavailable(self) -> str | None:
        return None

    def fill(self, pid: int, address: int, pages: int, byte: int) -> None:
        """Fill pages of another process.  Raises OSError (EIO at the first word that cannot be had), CannotDo."""
        word = int.from_bytes(bytes([byte]) * _WORD, "little")
        rest = bytes([byte]) * (PAGE - _WORD)
        with _stopped(pid), open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            for page in range(address, address + pages * PAGE, PAGE):
                syscalls.ptrace(PTRACE_POKEDATA, pid, page, word)
                try:
                    os.pwrite(memory.fileno(), rest, page + _WORD)
                except OSError:
                    for at in range(page + _WORD, page + PAGE, _WORD):
                        syscalls.ptrace(PTRACE_POKEDATA, pid, at, word)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    try:
        syscalls.ptrace(PTRACE_SEIZE, pid)
    except PermissionError:
        raise CannotDo("ptrace is not allowed here: kernel.yama.ptrace_scope or a container forbids it") from None
    try:
        syscalls.ptrace(PTRACE_INTERRUPT, pid)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) not in (signal.SIGTRAP, signal.SIGSTOP):
            raise CannotDo(f"process {pid} did not stop for ptrace")
        yield
    finally:
        syscalls.ptrace(PTRACE_DETACH, pid)
