"""From what scenarios need and what the machine has to the changes that are missing, one area at a time."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pinhold.system.changes import Change, Pool, Setting, Swap, persistent
from pinhold.system.host import Host
from pinhold.system.needs import Needs
from pinhold.targets.live.kernel import KHUGEPAGED, KHUGEPAGED_AT_REST, KSM, KSM_BY_STEPS, RunningKernel

THP = "sys/kernel/mm/transparent_hugepage"
HUGEPAGES = "sys/kernel/mm/hugepages"
NODES = "sys/devices/system/node"

POOL_KIB = {"2M": 2048, "1G": 1048576}
NAMES = {"2M": "2 MiB", "1G": "1 GiB"}

SWAP_BYTES = 128 << 20

Make = Callable[[Change], bool]
"""Makes a change, or tells why it could not: whether it was made."""

Tell = Callable[[str], None]
"""Takes one sentence for the user."""


def carry_out(host: Host, area: str, needs: Needs, make: Make, tell: Tell) -> None:
    """Make the changes in one area of needs.ALLOWABLE that are missing for `needs`.  Raises OSError."""
    _AREAS[area](host, needs, make, tell)


def _hugepages(host: Host, needs: Needs, make: Make, tell: Tell) -> None:
    for size, count in needs.hugepages.items():
        _pool(host, size, count, make, tell)


def pool_folder(host: Host, size: str) -> str:
    """Where the pool of a size is: of a machine with several memory nodes, that of its first node alone.

    The kernel spreads a change of the whole pool over the nodes, and takes pages back from them in another order.
    """
    name = f"hugepages-{POOL_KIB[size]}kB"
    nodes = [node for node in host.names(NODES) if host.has(f"{NODES}/{node}/hugepages/{name}")]
    return f"{NODES}/{nodes[0]}/hugepages/{name}" if len(nodes) > 1 else f"{HUGEPAGES}/{name}"


def free_hugepages(host: Host, size: str) -> int:
    """Free pages that no mapping has reserved, on all nodes."""
    pool = RunningKernel(Path(host.root)).hugepages(size)
    return pool.free if pool is not None else 0


def _pool(host: Host, size: str, count: int, make: Make, tell: Tell) -> None:
    """Enlarge the pool; what it does not get is left to overcommit, where the kernel has that for the size."""
    if not host.has(f"{HUGEPAGES}/hugepages-{POOL_KIB[size]}kB"):
        tell(f"hugepages: this machine has none of {NAMES[size]}")
        return
    missing = count - free_hugepages(host, size)
    if missing <= 0:
        return
    available = host.meminfo("MemAvailable")
    if missing * POOL_KIB[size] > available // 2:
        tell(
            f"hugepages: {missing} more of {NAMES[size]} would take more than half of the {available >> 10} MiB of "
            "memory that is free"
        )
        return
    folder = pool_folder(host, size)
    old = persistent(host, folder)
    if not make(Pool(folder, old, old + missing)):
        return
    lacking = count - free_hugepages(host, size)
    if lacking <= 0:
        return
    tell(
        f"hugepages: the kernel found {missing - lacking} of {missing} pages of {NAMES[size]}: memory is too fragmented"
    )
    overcommit = f"{HUGEPAGES}/hugepages-{POOL_KIB[size]}kB/nr_overcommit_hugepages"
    if size == "2M":
        now = host.number(overcommit)
        make(Setting(overcommit, str(now), str(now + lacking)))


def _swap(host: Host, needs: Needs, make: Make, tell: Tell) -> None:
    """A file; where THPs are swapped, or no file system here takes one, through a loop device.

    A THP goes to a block device in one piece, as on most machines.  Before it goes to a file it is split, and then the
    kernel (6.12 and later) maps the shared zero page for those of its pages that are all zeros.
    """
    enough = host.meminfo("SwapFree") * 1024 >= needs.swap
    if needs.swap == 0 or (enough and not (needs.swap_huge and "partition" not in host.swaps().values())):
        return
    size = max(SWAP_BYTES, 2 * needs.swap)
    files = [Swap(_fresh(folder), size) for folder in dict.fromkeys((host.state, tempfile.gettempdir()))]
    loop = [Swap(_fresh(host.state), size, loop=True)] if host.has("dev/loop-control") else []
    made = next((swap for swap in (loop + files if needs.swap_huge else files + loop) if make(swap)), None)
    if made is None:
        tell("swap: none could be added")
    elif needs.swap_huge and not made.loop:
        tell("swap: without a loop device THPs are split before they are swapped out")


def _fresh(folder: str) -> str:
    return os.path.join(folder, f"pinhold-swap-{uuid.uuid4().hex[:12]}")


def _thp(host: Host, needs: Needs, make: Make, tell: Tell) -> None:
    """THPs as far as they are off, and no khugepaged beside the steps: what it collapses, or has isolated, a step would
    find otherwise."""
    if not (needs.thp or needs.huge_zero):
        return
    if not host.has(f"{THP}/enabled"):
        tell("thp: this kernel has no transparent huge pages")
        return
    wanted = [(f"{THP}/enabled", "never", "madvise"), (f"{THP}/hugepages-2048kB/enabled", "never", "inherit")]
    if needs.huge_zero:
        wanted.append((f"{THP}/use_zero_page", "0", "1"))
    for path, bad, good in wanted:
        if host.has(path) and host.value(path) == bad:
            make(Setting(path, bad, good))
    _settings(host, KHUGEPAGED, KHUGEPAGED_AT_REST, make)


def _ksm(host: Host, needs: Needs, make: Make, tell: Tell) -> None:
    """ksmd runs for steps and stops behind them (see targets/live/ksmd.py), so that its run file is one of two values
    at any time: what was there before, and what this says."""
    if not needs.ksm:
        return
    if not host.has(f"{KSM}/run"):
        tell("ksm: this kernel has no KSM")
        return
    _settings(host, KSM, KSM_BY_STEPS, make)
    run = host.value(f"{KSM}/run")
    make(Setting(f"{KSM}/run", run, "0" if run == "1" else "1"))


def _settings(host: Host, folder: str, wanted: Mapping[str, str], make: Make) -> None:
    """Those of a folder that this kernel has and that are not so yet."""
    for name, value in wanted.items():
        path = f"{folder}/{name}"
        if host.has(path) and host.value(path) != value:
            make(Setting(path, host.value(path), value))


_AREAS: dict[str, Callable[[Host, Needs, Make, Tell], None]] = {
    "hugepages": _hugepages,
    "swap": _swap,
    "ksm": _ksm,
    "thp": _thp,
}


def preview(host: Host, area: str, needs: Needs) -> Iterator[str]:
    """What carry_out() would change, and what it would say, in words; nothing is changed."""
    said: list[str] = []

    def pretend(change: Change) -> bool:
        said.append(change.words())
        return isinstance(change, Swap)

    carry_out(host, area, needs, pretend, said.append)
    yield from said
