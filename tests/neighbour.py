"""Another program on this machine, which pins pages and reserves huge pages all the time, for a bounded while.

    python tests/neighbour.py SECONDS [hugepages]

It writes and reads by direct I/O, copies by process_vm_readv(), registers buffers of several sizes with io_uring and
holds them for a while, has the kernel reclaim what it holds, forks children that write and end, and reserves huge
pages, where there are free ones, without touching them.  It ends by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from pinhold.mm.madvise import MADV_PAGEOUT
from pinhold.targets.live import syscalls
from pinhold.targets.live.kernel import RunningKernel
from pinhold.targets.live.pins import COPIERS, HOLDERS
from pinhold.targets.live.pins.base import Taken
from pinhold.targets.live.syscalls import MAP_ANONYMOUS, MAP_HUGETLB, MAP_PRIVATE, PAGE, PROT_READ, PROT_WRITE

PAGES = 256
MOST = 8
"""Buffers that are registered at once."""
HUGE = 2 << 20
RW = PROT_READ | PROT_WRITE


class Neighbour:
    """done: how often it did what."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.memory = syscalls.mmap(0, PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS)
        self.held: list[Taken] = []
        self.reserved: list[tuple[int, int]] = []
        self.done: Counter[str] = Counter()

    def copy(self, name: str) -> None:
        """Pins that are gone when the call returns."""
        with contextlib.suppress(OSError):
            COPIERS[name].copy(self.memory, PAGES)
            self.done[name] += 1

    def hold(self) -> None:
        """One more registered buffer, or one fewer."""
        ring = HOLDERS["io_uring"]
        with contextlib.suppress(OSError):
            if len(self.held) < self.random.randint(0, MOST):
                self.held.append(ring.acquire(self.memory, self.random.randint(1, PAGES), True, False))
                self.done["io_uring"] += 1
            elif self.held:
                ring.release(self.held.pop())

    def reserve(self) -> None:
        """Some huge pages more or fewer, never the last eight that are free."""
        pool = RunningKernel().hugepages("2M")
        if self.reserved and (self.random.random() < 0.5 or pool is None or pool.free < 12):
            syscalls.munmap(*self.reserved.pop())
        elif pool is not None and pool.free >= 12:
            length = self.random.randint(1, 4) * HUGE
            with contextlib.suppress(OSError):
                address = syscalls.mmap(0, length, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB)
                self.reserved.append((address, length))
                self.done["reserve"] += 1

    def reclaim(self) -> None:
        """The kernel is asked to write out the memory; what is pinned stays."""
        with contextlib.suppress(OSError):
            syscalls.madvise(self.memory, PAGES * PAGE, MADV_PAGEOUT)
            self.done["reclaim"] += 1

    def fork(self) -> None:
        """A child that writes a part of the memory and ends; what is pinned is copied for it at once."""
        child = os.fork()
        if child == 0:
            ctypes.memset(self.memory, 1, self.random.randint(1, PAGES) * PAGE)
            os._exit(0)
        os.waitpid(child, 0)
        self.done["fork"] += 1

    def live(self, seconds: float, hugepages: bool) -> None:
        """Until then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.copy("direct_io")
            self.copy("process_vm")
            self.hold()
            self.reclaim()
            self.fork()
            if hugepages:
                self.reserve()
            time.sleep(self.random.random() / 50)


if __name__ == "__main__":
    one = Neighbour()
    one.live(float(sys.argv[1]), "hugepages" in sys.argv[2:])
    print(dict(one.done))
