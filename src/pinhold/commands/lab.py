"""The kernel lab's part of `pinhold check`: the stock kernels that it shows where they are at hand."""

from __future__ import annotations

from collections.abc import Iterable

from pinhold.targets.base import Target

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


def leave_out_gigantic(targets: Iterable[Target]) -> None:
    """Let the guests among the targets leave out the 1 GiB pages, which take most of the time."""
    from pinhold.lab.target import VmTarget

    for target in targets:
        if isinstance(target, VmTarget):
            target.big = False
