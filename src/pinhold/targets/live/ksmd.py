"""ksmd on behalf of a scenario: run it until it has looked at everything that is advised mergeable often enough.

Where it may be started for a step and stopped behind it, nothing is merged at any other time, and one go of ksmd is one
full scan, so that each begins with the process that entered KSM first.  Elsewhere it runs already, and merges when it
likes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pinhold.targets.base import CannotDo
from pinhold.targets.live.kernel import KSM, KSM_BY_STEPS, RunningKernel
from pinhold.targets.live.progress import Deadline, Overdue

_DEADLINE = Deadline(20.0, 20.0)
"""What ksmd may spend, running or asleep, without having scanned so often."""

_POLL_SECONDS = 0.001
_IDLE_SECONDS = 0.05
"""So long forget() waits for a scan: none comes where nothing is left that was advised mergeable."""
_SCANS = 8
"""One that is under way, one that takes checksums, one that finds equal pages, one more for those of a large folio that
was split; the others are in reserve, for what a merge makes possible."""


def neighbour(kernel: RunningKernel, pids: Collection[int]) -> str | None:
    """Who else has memory that ksmd would scan, and merge with the scenario's, in a sentence, as far as kernels tell
    (6.18 does, 6.12 does not); nobody where ksmd does not run for steps."""
    if kernel.disposable or not kernel.ksm_by_steps():
        return None
    proc = kernel.root / "proc"
    for pid in filter(str.isdecimal, os.listdir(proc)):
        if b"ksm_mergeable: yes" in _read(f"{proc}/{pid}/ksm_stat") and int(pid) not in pids:
            name = os.fsdecode(_read(f"{proc}/{pid}/comm")).strip() or "which has just ended"
            return f"needs KSM for itself: process {pid} ({name}) has memory that is advised mergeable"
    return None


def _read(path: str) -> bytes:
    """What is in a short file, nothing where it is gone.  By system calls, as each step looks at all processes."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, 4096)
    except OSError:
        return b""
    finally:
        os.close(file)


def tune(kernel: RunningKernel) -> None:
    """Set ksmd up for steps in a virtual machine of pinhold's own."""
    for name, value in KSM_BY_STEPS.items():
        path = Path(kernel.root, KSM, name)
        if path.exists():
            path.write_text(value)


@contextmanager
def running(kernel: RunningKernel) -> Iterator[None]:
    """ksmd runs meanwhile, and not before or after; or all the time, where it is another's."""
    if not kernel.ksm_by_steps():
        yield
        return
    if kernel.disposable:
        tune(kernel)
    _command(kernel, "1")
    try:
        yield
    finally:
        _command(kernel, "0")


def stop(kernel: RunningKernel) -> None:
    """Nothing is merged from here on, but by steps, where it is for steps that ksmd runs."""
    if kernel.ksm_runs() and kernel.ksm_by_steps():
        _command(kernel, "0")


def forget(kernel: RunningKernel) -> None:
    """Give up the pages of processes that are gone, as ksmd would in time: in a virtual machine of pinhold's own all
    that were ever merged, elsewhere by one more scan, if there are any."""
    if kernel.disposable:
        _command(kernel, "2")
        _command(kernel, "0")
    elif kernel.ksm_by_steps() and kernel.ksm_pages():
        before, until = kernel.ksm_scans(), time.monotonic() + _IDLE_SECONDS
        with running(kernel):
            while kernel.ksm_scans() == before and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)


def _command(kernel: RunningKernel, run: str) -> None:
    Path(kernel.root, KSM, "run").write_text(run)


def wait(kernel: RunningKernel, pids: Iterable[int], done: Callable[[], bool]) -> None:
    """Until ksmd has scanned often enough, or has nothing to scan, or where it is another's, it is done.  What another
    run of the same user has stopped, as each does when it begins, goes on.

    pids: the processes whose memory it is.  Raises CannotDo where ksmd is too slow to tell.
    """
    if not any(_advised(kernel.root, pid) for pid in pids):
        return
    scans = kernel.ksm_scans() + _SCANS
    patience = _DEADLINE.patience([_pid(kernel.root) or os.getpid()])
    by_steps = kernel.ksm_by_steps()
    while by_steps or not done():
        if kernel.ksm_scans() >= scans:
            return
        if by_steps and not kernel.ksm_runs() and kernel.ksm_by_steps():
            _command(kernel, "1")
        try:
            patience()
        except Overdue as late:
            raise CannotDo(f"needs KSM to scan faster, not {_SCANS} times here: {late}") from None
        time.sleep(_POLL_SECONDS)


def _advised(root: Path, pid: int) -> bool:
    """Whether the process has any memory that is advised mergeable."""
    with suppress(OSError):
        flags = (line for line in (root / f"proc/{pid}/smaps").read_text().splitlines() if line.startswith("VmFlags:"))
        return any("mg" in line.split() for line in flags)
    return False


@cache
def _pid(root: Path) -> int | None:
    """ksmd's, which the kernel keeps for ever; None where it is not shown."""
    for comm in (root / "proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if comm.read_text() == "ksmd\n":
                return int(comm.parent.name)
    return None
