"""Whether a process gets on: deadlines that count what it did, never how busy its machine was meanwhile.

Two things are counted: the processor time that it used, and the time in which it slept, wanting no processor.  A
process that could run and got no processor has spent nothing: it is slow, whatever the clock on the wall says.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pinhold.targets.live import stuck
from pinhold.targets.live.channel import POLL_SECONDS
from pinhold.targets.live.stuck import PROC

DEADLINE = 20.0
"""Seconds of processor time, where the user gives no --deadline: the slowest step that ends, a copy of 1 GiB by
emulation, takes less than two."""

ASLEEP = 120.0
"""Seconds of sleep in one step.  The kernel's own detector of hung tasks takes as long."""

_STEPS = 10
"""So many steps of a scenario may each take as long as one may."""

_RUNNABLE = "R"
_UNINTERRUPTIBLE = "D"
_TICKS = os.sysconf("SC_CLK_TCK")


_machine: Callable[[], float] | None = None


def in_machine(had: Callable[[], float] | None) -> None:
    """Say that this is a virtual machine, which has had so many seconds of its host's so far.

    Its own clocks run on while the host keeps it waiting, and some run many times too fast; nothing in it can have
    spent more than it had.
    """
    global _machine  # noqa: PLW0603 (the machine is one)
    _machine = had


class Watch:
    """What a process and its threads have spent since the first look, in seconds; one that is gone spends nothing.

    user, system: processor time; asleep: without wanting any, as far as the looks tell.
    """

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._folder = proc / str(pid)
        self._at = time.monotonic()
        self._last = self._read()
        self.user = self.system = self.asleep = 0.0

    @property
    def processor(self) -> float:
        """All of its processor time."""
        return self.user + self.system

    @property
    def had(self) -> float:
        """All the time in which it was not kept waiting for a processor: a virtual machine's own clock."""
        return self.processor + self.asleep

    def look(self) -> None:
        """Add what was spent since the last look.  One that comes late, as the whole machine stood still, counts as
        twice the usual time."""
        now, last = time.monotonic(), self._last
        elapsed, self._at = min(now - self._at, 2 * POLL_SECONDS), now
        self._last = user, system, runnable = self._read()
        self.user += max(0.0, user - last[0])
        self.system += max(0.0, system - last[1])
        if not runnable:
            self.asleep += elapsed

    def _read(self) -> tuple[float, float, bool]:
        """Processor time in user mode and in the kernel, and whether one of the threads wants a processor."""
        fields = stuck.stat(self._folder)
        if len(fields) < 13:
            return 0.0, 0.0, False
        states = {fields[0]}
        if fields[0] != _RUNNABLE:
            states |= {thread[0] for thread in map(stuck.stat, self._folder.glob("task/[0-9]*")) if thread}
        return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS, _RUNNABLE in states


class Overdue(Exception):
    """Whoever is waited for will not answer; the message says what it did instead, and where it is.

    in_kernel: it ran all the time, and most of it in the kernel.  hung: it slept there, and nothing could wake it.
    """

    def __init__(self, words: str, in_kernel: bool, hung: bool = False) -> None:
        super().__init__(words)
        self.in_kernel = in_kernel
        self.hung = hung

    @property
    def endless(self) -> bool:
        """Whether it is the kernel that does not come to an end."""
        return self.in_kernel or self.hung


@dataclass(frozen=True, slots=True)
class Deadline:
    """How much one step may spend: seconds of processor time of one process, and of sleep of all that it waits for."""

    processor: float = DEADLINE
    asleep: float = ASLEEP

    @property
    def whole(self) -> int | None:
        """Seconds of processor time for all steps of a process together; None in a virtual machine, which counts it
        wrongly."""
        return max(1, int(_STEPS * self.processor)) if _machine is None else None

    def patience(self, pids: Iterable[int], proc: Path = PROC) -> Patience:
        """For one step that these processes do."""
        return Patience(self, pids, proc)


class Patience:
    """The wait for some processes: to be called now and then, raises Overdue when it is in vain."""

    def __init__(self, deadline: Deadline, pids: Iterable[int], proc: Path = PROC) -> None:
        """The pids are asked for when the wait begins to last."""
        self._deadline = deadline
        self._proc = proc
        self._pids = pids
        self._watches: dict[int, Watch] | None = None
        self._begun = 0.0

    def __call__(self) -> None:
        """The first look begins: most steps are done before, and cost none."""
        if self._watches is None:
            self._watches = {pid: Watch(pid, self._proc) for pid in self._pids}
            self._begun = _machine() if _machine is not None else 0.0
            return
        had = _machine() - self._begun if _machine is not None else math.inf
        for pid, watch in self._watches.items():
            watch.look()
            if min(watch.processor, had) >= self._deadline.processor:
                in_kernel = watch.system >= watch.processor / 2
                where = " in the kernel" if in_kernel else ""
                spent = f"no end after {self._deadline.processor:g} s of processor time{where}"
                raise Overdue(f"{spent}: {stuck.process(pid, self._proc)}", in_kernel)
        if min([had, *(watch.asleep for watch in self._watches.values())]) >= self._deadline.asleep:
            sleepers = "; ".join(stuck.process(pid, self._proc) for pid in self._watches)
            hung = any(stuck.stat(self._proc / str(pid))[:1] == [_UNINTERRUPTIBLE] for pid in self._watches)
            raise Overdue(f"no end after {self._deadline.asleep:g} s of sleep: {sleepers}", in_kernel=False, hung=hung)
