"""ksmd on behalf of a scenario: run it, and wait until it has looked at everything that is advised mergeable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pinhold.targets.base import CannotDo
from pinhold.targets.live.kernel import RunningKernel
from pinhold.targets.live.progress import Deadline, Overdue

_DEADLINE = Deadline(20.0, 20.0)
"""What ksmd may spend, running or asleep, without having scanned so often."""

_POLL_SECONDS = 0.02
_SCANS = 4
"""One that is under way, one that takes checksums, one that finds equal pages, one in reserve."""


@contextmanager
def running(kernel: RunningKernel) -> Iterator[None]:
    """In a virtual machine of pinhold's own ksmd runs meanwhile, and no page is merged before or after: what it cannot
    merge it tries again in every scan.  On other machines it runs already, if it is allowed to."""
    if not kernel.disposable:
        yield
        return
    _command(kernel, "1")
    try:
        yield
    finally:
        _command(kernel, "0")


def forget(kernel: RunningKernel) -> None:
    """In a virtual machine of pinhold's own: give up the pages of processes that are gone, as ksmd would in time."""
    if kernel.disposable:
        _command(kernel, "2")


def _command(kernel: RunningKernel, run: str) -> None:
    Path(kernel.root, "sys/kernel/mm/ksm/run").write_text(run)


def wait(kernel: RunningKernel, done: Callable[[], bool]) -> bool:
    """Until it is done or ksmd has given up; whether it is done.  Raises CannotDo where ksmd is too slow to tell."""
    scans = kernel.ksm_scans() + _SCANS
    patience = _DEADLINE.patience([_pid(kernel.root) or os.getpid()])
    while not done():
        if kernel.ksm_scans() >= scans:
            return done()
        try:
            patience()
        except Overdue as late:
            raise CannotDo(f"needs KSM to scan faster, not {_SCANS} times here: {late}") from None
        time.sleep(_POLL_SECONDS)
    return True


def _pid(root: Path) -> int | None:
    """ksmd's; None where it is not shown."""
    for comm in (root / "proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if comm.read_text() == "ksmd\n":
                return int(comm.parent.name)
    return None
