"""Making a guest ready for scenarios: file systems, modules, swap, huge pages, pin mechanisms.  Runs in the guest."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pinhold.targets.pins import edu

_LIBC = ctypes.CDLL(None, use_errno=True)
_FINIT_MODULE = 313
_SWAPON = 167
_REBOOT = 169
_POWER_OFF = (0xFEE1DEAD, 672274793, 0x4321FEDC, 0)
_LOOKS = 1000
_POLL_SECONDS = 0.01
"""By the guest's clock, which may be wrong: what counts is how often the kernel could do something in between."""

MOUNTED = (
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/scratch", "tmpfs"),
    ("debugfs", "/sys/kernel/debug", "debugfs"),
)

QUIET = (
    ("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "4294967295"),
    ("/proc/sys/vm/compaction_proactiveness", "0"),
    ("/proc/sys/kernel/numa_balancing", "0"),
    ("/proc/sys/kernel/hung_task_timeout_secs", "0"),
    ("/proc/sys/kernel/watchdog", "0"),
)
"""What moves pages at times of its own: a scenario has the machine to itself.  And the kernel's watch for tasks that
take long, by clocks that run on while the host keeps this machine waiting: the host watches (conversation.py)."""

LOUD = (("/proc/sys/kernel/unknown_nmi_panic", "1"),)
"""What the kernel tells of itself when the host interrupts it."""


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount() -> None:
    """What a scenario needs; what this kernel does not have stays away."""
    for source, target, kind in MOUNTED:
        _LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, b"")
    os.environ["TMPDIR"] = "/scratch"


def quieten() -> None:
    """Keep the kernel's own threads from the pages of scenarios, as far as this kernel has them."""
    for path, value in (*QUIET, *LOUD):
        with suppress(OSError):
            Path(path).write_text(value)


def load(modules: list[str], folder: str) -> dict[str, str]:
    """Load modules in order; name to why one could not be."""
    failed = {}
    for name in modules:
        descriptor = os.open(f"{folder}/{name}.ko", os.O_RDONLY)
        try:
            _check(_LIBC.syscall(_FINIT_MODULE, descriptor, b"", 0))
        except OSError as error:
            failed[name] = error.strerror or "it failed"
        finally:
            os.close(descriptor)
    return failed


def wait_for(path: str) -> bool:
    """Whether it appears: devices do a little after their driver."""
    for _ in range(_LOOKS):
        if os.path.exists(path):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def swap_on(device: str) -> None:
    """Make a swap area of a block device, and use it.  Raises OSError."""
    page = 4096
    with open(device, "r+b", buffering=0) as disk:
        size = disk.seek(0, os.SEEK_END)
        header = bytearray(page)
        struct.pack_into("<III", header, 1024, 1, size // page - 1, 0)
        header[page - 10 :] = b"SWAPSPACE2"
        disk.seek(0)
        disk.write(header)
    _check(_LIBC.syscall(_SWAPON, device.encode(), 0))


def zram(mebibytes: int) -> str:
    """The device of a compressed swap area in memory.  Raises OSError."""
    if not wait_for("/dev/zram0"):
        raise OSError(0, "this kernel has no zram")
    Path("/sys/block/zram0/disksize").write_text(str(mebibytes << 20))
    return "/dev/zram0"


def set_up(settings: dict[str, Any], folder: str) -> dict[str, str]:
    """Everything; what is not there, and why."""
    quieten()
    missing = {f"module {name}": why for name, why in load(settings["modules"], folder).items()}
    device = edu.slot()
    if device is not None:
        try:
            edu.bind(device)
        except OSError as error:
            missing["the edu device for vfio"] = error.strerror or "it failed"
    try:
        if settings.get("zram"):
            swap_on(zram(settings["zram"]))
        elif settings.get("swap"):
            if not wait_for("/dev/vda"):
                raise OSError(0, "its disk did not appear")
            swap_on("/dev/vda")
    except OSError as error:
        missing["swap"] = error.strerror or "it failed"
    return missing


def power_off() -> None:
    """End the guest, and QEMU with it."""
    os.sync()
    _LIBC.syscall(_REBOOT, *(ctypes.c_long(number) for number in _POWER_OFF))
