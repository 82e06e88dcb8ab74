"""The kernel lab's part of `pinhold check`: the stock kernels that it shows where they are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinhold.commands.registry import make_target
from pinhold.targets.base import Target

if TYPE_CHECKING:
    from pinhold.lab.luggage import Luggage

COLUMNS = ("6.1", "6.12")
"""The stock kernels on either side of the patch."""


def columns() -> tuple[tuple[str, ...], str | None]:
    """The targets that can be booted here, and a sentence about those that cannot."""
    from pinhold.lab.errors import LabError
    from pinhold.lab.qemu import PROGRAM, missing
    from pinhold.lab.store import Store

    here, absent = [], []
    store = Store()
    try:
        store.kernels()
    except LabError as reason:
        return (), f"vm:{' and vm:'.join(COLUMNS)}, stock kernels in QEMU, are left out: {reason}"
    for release in COLUMNS:
        try:
            store.find(release)
            here.append(f"vm:{release}")
        except LabError:
            absent.append(f"the kernel {release}")
    if missing():
        here, absent = [], [PROGRAM, *absent]
    if not absent:
        return tuple(here), None
    without = " and ".join(f"vm:{release}" for release in COLUMNS if f"vm:{release}" not in here)
    return tuple(
        here
    ), f"{without}, stock kernels in QEMU, are left out for want of {', '.join(absent)}: make lab gets them"


def quick_target(name: str, luggage: Luggage | None = None, deadline: float | None = None) -> Target:
    """The target of that name; a guest leaves out the 1 GiB pages, which take most of the time.  Raises UsageError."""
    from pinhold.lab.target import VmTarget

    target = make_target(name, luggage=luggage, deadline=deadline)
    if isinstance(target, VmTarget):
        target.big = False
    return target
