"""The kernel lab's part of `pinhold check`: stock kernels as columns, for those who ask."""

from __future__ import annotations

from pinhold.commands import NothingToRun
from pinhold.commands.registry import make_target
from pinhold.targets.base import Target

COLUMNS = ("6.1", "6.12")
"""The stock kernels on either side of the patch."""


def lab_hint() -> str:
    """A sentence about the stock kernels: how to show them, or what is missing."""
    from pinhold.lab.errors import LabError
    from pinhold.lab.qemu import PROGRAM, missing
    from pinhold.lab.store import Store

    absent = [PROGRAM] if missing() else []
    for release in COLUMNS:
        try:
            Store().find(release)
        except LabError:
            absent.append(f"the kernel {release}")
    shown = " and ".join(f"vm:{release}" for release in COLUMNS)
    if absent:
        return f"{shown}, stock kernels in QEMU, are left out for want of {', '.join(absent)}: make lab gets them"
    return f"{shown}, stock kernels in QEMU, are at hand: pinhold check --on {' --on '.join(shown.split(' and '))}"


def quick_target(name: str) -> Target:
    """The target of that name; a guest leaves out the 1 GiB pages, which take most of the time.  Raises UsageError."""
    prefix, _, rest = name.partition(":")
    if prefix != "vm" or not rest or "/" in rest:
        return make_target(name)
    from pinhold.lab.errors import LabError
    from pinhold.lab.target import VmTarget

    try:
        return VmTarget(rest, big=False)
    except LabError as reason:
        raise NothingToRun(str(reason)) from None
