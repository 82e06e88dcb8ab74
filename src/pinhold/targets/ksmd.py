"""ksmd on behalf of a scenario: run it, and wait until it has looked at everything that is advised mergeable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pinhold.targets.base import CannotDo
from pinhold.targets.machine import Machine

_SECONDS = 20.0
_POLL_SECONDS = 0.02
_SCANS = 4
"""One that is under way, one that takes checksums, one that finds equal pages, one in reserve."""


@contextmanager
def running(machine: Machine) -> Iterator[None]:
    """In a virtual machine of pinhold's own ksmd runs meanwhile, and no page is merged before or after: what it cannot
    merge it tries again in every scan.  On other machines it runs already, if it is allowed to."""
    if not machine.disposable:
        yield
        return
    _command(machine, "1")
    try:
        yield
    finally:
        _command(machine, "0")


def forget(machine: Machine) -> None:
    """In a virtual machine of pinhold's own: give up the pages of processes that are gone, as ksmd would in time."""
    if machine.disposable:
        _command(machine, "2")


def _command(machine: Machine, run: str) -> None:
    Path(machine.root, "sys/kernel/mm/ksm/run").write_text(run)


def wait(machine: Machine, done: Callable[[], bool]) -> bool:
    """Until it is done or ksmd has given up; whether it is done.  Raises CannotDo where ksmd is too slow to tell."""
    scans = machine.ksm_scans() + _SCANS
    deadline = time.monotonic() + _SECONDS
    while not done():
        if machine.ksm_scans() >= scans:
            return done()
        if time.monotonic() > deadline:
            raise CannotDo(f"needs KSM to scan faster: not {_SCANS} times in {_SECONDS:.0f} s here")
        time.sleep(_POLL_SECONDS)
    return True
