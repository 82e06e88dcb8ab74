"""References by vmsplice(): the pages of a process become the buffers of a pipe (FOLL_GET, read-only, GUP-fast first).

This is what a leak between processes is made of: the pipe shows what its pages contain when it is read.
"""

from __future__ import annotations

import os

from pinhold.scenario.observation import Run
from pinhold.targets.base import CannotDo
from pinhold.targets.live import content, syscalls
from pinhold.targets.live.pins.base import FOLL_GET, Gives, Taken
from pinhold.targets.live.syscalls import PAGE


class Vmsplice:
    """A pipe has 16 buffers unless the user's share of pipe memory is used up; each holds one page."""

    name = "vmsplice"
    summary = "references by FOLL_GET"
    sendable = True
    gives = Gives(
        takes=FOLL_GET,
        longterm=frozenset({False}),
        write=frozenset({False}),
        fast=frozenset({True}),
        readable=True,
    )

    def unavailable(self) -> str | None:
        return None

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        reader, writer = os.pipe()
        try:
            held = syscalls.vmsplice(writer, address, pages * PAGE, syscalls.SPLICE_F_NONBLOCK)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return Taken([reader], held // PAGE)

    def read_back(self, taken: Taken) -> list[Run]:
        """Reads a duplicate of the pipe's buffers, so that the pipe keeps them."""
        reader, writer = os.pipe()
        length = taken.pages * PAGE
        try:
            if syscalls.tee(taken.fds[0], writer, length, syscalls.SPLICE_F_NONBLOCK) != length:
                raise CannotDo("the pipe's pages cannot be read: this user's share of pipe memory is used up")
            with content.scratch(taken.pages) as buffer:
                done = 0
                while done < length:
                    done += syscalls.read_into(reader, buffer + done, length - done)
                return content.runs(buffer, [(0, taken.pages, True)])
        finally:
            os.close(reader)
            os.close(writer)

    def write_through(self, taken: Taken, byte: int) -> None:
        raise CannotDo("vmsplice cannot write through what it holds")

    def release(self, taken: Taken) -> None:
        os.close(taken.fds[0])
