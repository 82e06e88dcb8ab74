"""Making a guest ready for scenarios: file systems, modules, swap, huge pages, pin mechanisms.  Runs in the guest."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pinhold.lab.layout import FILES, FILES_AT, SWAP
from pinhold.targets.live import kconfig
from pinhold.targets.live.kernel import KHUGEPAGED, KHUGEPAGED_AT_REST
from pinhold.targets.live.pins import edu

T = TypeVar("T")

_LIBC = ctypes.CDLL(None, use_errno=True)
_FINIT_MODULE = 313
_SWAPON = 167
_REBOOT = 169
_HUGE = 2 << 20
_POWER_OFF = (0xFEE1DEAD, 672274793, 0x4321FEDC, 0)
_LOOKS = 1000
_POLL_SECONDS = 0.01
"""By the guest's clock, which may be wrong: what counts is how often the kernel could do something in between."""

_DISKS = ("PCI", "VIRTIO_PCI", "VIRTIO_BLK")
"""What the disks need, of a kernel's configuration."""

MOUNTED = (
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/scratch", "tmpfs"),
    ("debugfs", "/sys/kernel/debug", "debugfs"),
)

QUIET = (
    *((f"/{KHUGEPAGED}/{name}", value) for name, value in KHUGEPAGED_AT_REST.items()),
    ("/proc/sys/vm/compaction_proactiveness", "0"),
    ("/proc/sys/kernel/numa_balancing", "0"),
    ("/proc/sys/kernel/hung_task_timeout_secs", "0"),
    ("/proc/sys/kernel/watchdog", "0"),
    ("/proc/sys/vm/dirty_writeback_centisecs", "0"),
)
"""What moves pages at times of its own: a scenario has the machine to itself.  And the kernel's watch for tasks that
take long, by clocks that run on while the host keeps this machine waiting: the host watches (conversation.py)."""

LOUD = (("/proc/sys/kernel/unknown_nmi_panic", "1"),)
"""What the kernel tells of itself when the host interrupts it."""


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, kind: str) -> None:
    _check(_LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, b""))


def mount() -> None:
    """What a scenario needs; what this kernel does not have stays away."""
    for source, target, kind in MOUNTED:
        with suppress(OSError):
            _mount(source, target, kind)
    os.environ["TMPDIR"] = "/scratch"


def quieten() -> None:
    """Keep the kernel's own threads from the pages of scenarios, as far as this kernel has them."""
    for path, value in (*QUIET, *LOUD):
        with suppress(OSError):
            Path(path).write_text(value)


@contextmanager
def khugepaged_at_rest(folder: str = f"/{KHUGEPAGED}") -> Iterator[None]:
    """khugepaged has done the one scan that it does before it sleeps, and does none while this lasts.

    However long it is to sleep between scans: where no process wants huge pages it waits for the first one, and scans
    at once (__khugepaged_enter(), khugepaged_wait_work()).  That process is this one, and stays; else it would be the
    first scenario with a THP, whose pages it would collapse.
    """
    with ExitStack() as kept:
        with suppress(OSError):
            memory = kept.enter_context(mmap.mmap(-1, 2 * _HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            memory[0] = 1  # a mapping without an anon_vma is passed over (hugepage_vma_check())
            memory.madvise(mmap.MADV_DONTFORK)
            memory.madvise(mmap.MADV_HUGEPAGE)
            appeared(lambda: scans(folder) or None, "khugepaged's scan")
        yield


def scans(folder: str = f"/{KHUGEPAGED}") -> int:
    """How often khugepaged has looked at all there is.  Raises OSError."""
    return int(Path(folder, "full_scans").read_text())


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


def disk(serial: str) -> str:
    """The device of the disk with that serial number.  Raises OSError."""
    if not os.path.isdir("/sys/bus/virtio/drivers/virtio_blk"):
        raise OSError(errno.ENXIO, "this kernel has no driver for its disk (CONFIG_VIRTIO_BLK)")
    return appeared(lambda: next(_disks(serial), None), "its disk")


def _disks(serial: str) -> Iterator[str]:
    for path in Path("/sys/block").glob("*/serial"):
        device = f"/dev/{path.parent.name}"
        with suppress(OSError):
            if path.read_text().strip() == serial and os.path.exists(device):
                yield device


def appeared(look: Callable[[], T | None], what: str) -> T:
    """What `look` finds: devices come a little after their driver.  Raises OSError."""
    for _ in range(_LOOKS):
        if (found := look()) is not None:
            return found
        time.sleep(_POLL_SECONDS)
    raise OSError(errno.ENXIO, f"{what} did not appear")


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
    device = appeared(lambda: "/dev/zram0" if os.path.exists("/dev/zram0") else None, "zram")
    Path("/sys/block/zram0/disksize").write_text(str(mebibytes << 20))
    return device


def set_up(settings: dict[str, Any], folder: str) -> dict[str, str]:
    """Everything; what is not there, and why."""
    quieten()
    missing = {f"module {name}": why for name, why in load(settings["modules"], folder).items()}
    missing.update(settings["absent"])

    def attempt(what: str, do: Callable[[], None], *options: str) -> None:
        """What does not work for want of an option of the kernel is put down to that."""
        try:
            do()
        except OSError as error:
            missing[what] = kconfig.without(*options) or error.strerror or "it failed"

    for device in edu.slots():
        attempt("the edu device for vfio", partial(edu.bind, device), *edu.OPTIONS)
    if settings.get("zram"):
        attempt(SWAP, lambda: swap_on(zram(settings["zram"])), "SWAP", "ZRAM")
    elif settings.get("swap"):
        attempt(SWAP, lambda: swap_on(disk(SWAP)), "SWAP", *_DISKS)
    if FILES not in missing:
        attempt(FILES, mount_files, *_DISKS, "EXT4_FS")
    return missing


def mount_files() -> None:
    """The directory for ordinary files.  Raises OSError."""
    _mount(disk(FILES), FILES_AT, "ext4")
    os.environ["TMPDIR"] = FILES_AT
    tempfile.tempdir = None


def power_off() -> None:
    """End the guest, and QEMU with it."""
    os.sync()
    _LIBC.syscall(_REBOOT, *(ctypes.c_long(number) for number in _POWER_OFF))
