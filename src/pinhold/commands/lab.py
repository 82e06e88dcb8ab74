"""The kernel lab's part of `pinhold check`: the stock kernels that it shows where they are at hand."""

from __future__ import annotations

from pinhold.commands import NothingToRun
from pinhold.commands.registry import make_target
from pinhold.targets.base import Target

COLUMNS = ("6.1", "6.12")
"""The stock kernels on either side of the patch."""


def columns() -> tuple[tuple[str, ...], str | None]:
    """The targets that can be booted here, and a sentence about those that cannot."""
    from pinhold.lab.errors import LabError
    from pinhold.lab.qemu import PROGRAM, missing
    from pinhold.lab.store import Store

    absent, here = [], []
    for release in COLUMNS:
        try:
            Store().find(release)
            here.append(f"vm:{release}")
        except LabError:
            absent.append(f"the kernel {release}")
    if missing():
        absent, here = [PROGRAM, *absent], []
    if not absent:
        return tuple(here), None
    shown = " and ".join(f"vm:{release}" for release in COLUMNS if f"vm:{release}" not in here)
    return tuple(
        here
    ), f"{shown}, stock kernels in QEMU, are left out for want of {', '.join(absent)}: make lab gets them"


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
