"""GUP-fast of 1 GiB, simulated, beside the running kernel's: io_uring registers a fixed buffer of the same size.

The specification's walk is measured as one loop (mm/gup_fast_range.py), compiled, and as the atomic steps that the
explorer takes (mm/gup_fast.py), on a machine of x86-64 geometry with 262,144 pages in a mapping.  The kernel's side is
anonymous memory in pages of 4 KiB, all of it present.  The two are not alike, and no ratio is printed: io_uring also
accounts, and makes a vector of the pages, and the kernel counts atomically, on 64 bytes a page.  Nothing of the machine
is changed.  Status 0, or 4 where this kernel gives no such pin, and why.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pinhold.compiler import whole
from pinhold.mm import flags as k
from pinhold.mm import releases
from pinhold.mm.fork import mm_init
from pinhold.mm.gup_fast_range import gup_fast_whole
from pinhold.mm.machine import Machine, create
from pinhold.mm.mmap import do_mmap
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import X86_64
from pinhold.mm.step import step
from pinhold.mm.task import FN_ACCESS, FN_GUP_FAST, FN_UNPIN, call, current
from pinhold.scenario.advice import ADVICE
from pinhold.targets.base import CannotDo
from pinhold.targets.live import syscalls
from pinhold.targets.live.pins.io_uring import IoUring
from pinhold.targets.model.target import CONFIG

PAGES = 1 << 18
START = 1 << 18
"""First page of the mapping: 1 GiB, so that 512 tables have its entries."""

GEOMETRY = replace(
    X86_64,
    mms=1,
    tables=3 + PAGES // 512,
    vmas_per_mm=1,
    pages=1 + PAGES,
    hugetlb=(0, 0),
    files=1,
    file_pages=1,
    swap=0,
    pins=1,
    runs_per_pin=PAGES,
)
FLAGS = k.FOLL_PIN | k.FOLL_WRITE | k.FOLL_LONGTERM | k.WANT_FAST
ROUNDS = 15
RELEASE = "6.18"

Seconds = tuple[float, float]
"""To pin, and to let go."""


class Simulated:
    """A process with 1 GiB of anonymous memory, written once, in the specification."""

    def __init__(self) -> None:
        self.m: Machine = create(GEOMETRY, releases.row(RELEASE), CONFIG | {"thp": 0})
        self.address = whole.Record(self.m.layout, self.m.data).address
        constants = whole.constants_of(self.m)
        self.step = whole.entry(step, GEOMETRY, constants)
        self.loop = whole.entry(gup_fast_whole, GEOMETRY, constants)
        mm_init(self.m, 0)
        assert do_mmap(self.m, 0, START, START + PAGES, k.VM_READ | k.VM_WRITE, k.NO_FILE, 0, 0) == 0
        call(self.m, 0, FN_ACCESS, 0, START, START + PAGES, k.FAULT_FLAG_WRITE, 1)
        self.finish()

    def finish(self) -> None:
        while self.step(self.address, 0) == k.AGAIN:
            pass

    def once(self, walk: Callable[[int, int], int]) -> Seconds:
        """Pin all of it, the walk alone timed, and let go."""
        pin_start(self.m, 0, 0, 0, START, START + PAGES, FLAGS, k.USER_NONE)
        self.step(self.address, 0)
        assert self.m.act_function[current(self.m, 0)] == FN_GUP_FAST
        taking = timed(lambda: walk(self.address, 0))
        self.finish()
        assert (self.m.pin_state[0], self.m.pin_count[0]) == (k.PIN_LIVE, PAGES)
        call(self.m, 0, FN_UNPIN, 0, 0, 0, 0, 0)
        return taking, timed(self.finish)

    def steps(self, address: int, task: int) -> int:
        """The same walk in atomic pieces."""
        while self.m.task_depth[0] > 1:
            self.step(address, task)
        return 0


@contextmanager
def memory() -> Iterator[int]:
    """1 GiB of anonymous memory in small pages, all present and written; its address."""
    length = PAGES * syscalls.PAGE
    both = syscalls.PROT_READ | syscalls.PROT_WRITE
    address = syscalls.mmap(0, length, both, syscalls.MAP_PRIVATE | syscalls.MAP_ANONYMOUS)
    try:
        syscalls.madvise(address, length, ADVICE["nohugepage"].number)
        ctypes.memset(address, 1, length)
        yield address
    finally:
        syscalls.munmap(address, length)


def registered(address: int) -> Seconds:
    """One registration of the whole as a fixed buffer, and its end."""
    mechanism = IoUring()
    taken = []
    taking = timed(lambda: taken.append(mechanism.acquire(address, PAGES, True, True)))
    return taking, timed(lambda: mechanism.release(taken[0]))


def timed(action: Callable[[], object]) -> float:
    """Seconds of processor time, in the kernel and out of it."""
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> int:
    _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
    if reason := IoUring().unavailable():
        print(reason, file=sys.stderr)
        return 4
    print("compiling, once ...", file=sys.stderr)
    simulated = Simulated()
    rounds: list[tuple[Seconds, Seconds, Seconds]] = []
    try:
        with memory() as address:
            for _ in range(ROUNDS):
                rounds.append((registered(address), simulated.once(simulated.loop), simulated.once(simulated.steps)))
    except (CannotDo, OSError) as error:
        print(f"1 GiB cannot be pinned by io_uring here (it is charged to RLIMIT_MEMLOCK): {error}", file=sys.stderr)
        return 4
    kernel, loop, steps = ([nanoseconds(s[i] for s in column) for i in (0, 1)] for column in zip(*rounds, strict=True))
    print(f"1 GiB, {PAGES:,} pages of 4 KiB; processor time, median of {ROUNDS} rounds\n")
    print(f"{'':<42}{'pin':>18}{'let go':>22}")
    for name, (taking, letting) in (
        (f"Linux {platform.release()}, io_uring", kernel),
        (f"pinhold's {RELEASE}, in one loop", loop),
        (f"pinhold's {RELEASE}, in atomic steps", steps),
    ):
        print(f"{name:<42}{shown(taking):>18}{shown(letting):>22}")
    return 0


def shown(each: float) -> str:
    return f"{each * PAGES / 1e6:.2f} ms, {each:.1f} ns a page"


def nanoseconds(seconds: Iterator[float]) -> float:
    return 1e9 * statistics.median(seconds) / PAGES


if __name__ == "__main__":
    sys.exit(main())
