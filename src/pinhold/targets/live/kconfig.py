"""A kernel's configuration, and what is missing of pinhold where an option is off: the one table of options.

The guest and `live` read the configuration of the kernel that runs, the lab that of an image before it is booted.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Option:
    """CONFIG_`name`.  gives: what is there with it, in words; boots: whether no guest comes up without it; least: for
    an option that is a number; module: the name of what it builds as "m", or ""."""

    name: str
    gives: str
    boots: bool = False
    least: int = 0
    module: str = ""

    def off(self, value: str) -> bool:
        """Whether the option is not on with this value; of one that is a number, whether it is too small."""
        if self.least:
            return not value.isdigit() or int(value) < self.least
        return value not in ("y", "m")


_DISKS = "the guest's disks: swap, ordinary files, direct I/O"
_DEVICE = "long-term pins by VFIO, read by a device"
_AGENT = "Python in the guest"

OPTIONS = {
    option.name: option
    for option in (
        Option("64BIT", "x86-64", boots=True),
        Option("BLK_DEV_INITRD", "the guest's first file system", boots=True),
        Option("BINFMT_ELF", "programs", boots=True),
        Option("BINFMT_SCRIPT", "the guest's /init, which is a script", boots=True),
        Option("SERIAL_8250", "the serial ports, by which results come back", boots=True),
        Option("SERIAL_8250_NR_UARTS", "the second serial port, by which results come back", boots=True, least=2),
        Option("DEVTMPFS", "/dev", boots=True),
        Option("PROC_FS", "/proc", boots=True),
        Option("PROC_PAGE_MONITOR", "/proc/PID/pagemap, in which pages are looked at", boots=True),
        Option("SYSFS", "/sys", boots=True),
        Option("TMPFS", "memfds, and room for the agent", boots=True),
        Option("FUTEX", _AGENT, boots=True),
        Option("EPOLL", _AGENT, boots=True),
        Option("UNIX", "sockets between the processes of a scenario", boots=True),
        Option("PCI", f"{_DISKS}; {_DEVICE}"),
        Option("VIRTIO_PCI", _DISKS, module="virtio_pci"),
        Option("VIRTIO_BLK", _DISKS, module="virtio_blk"),
        Option("EXT4_FS", "ordinary files: the kinds file and tmpfile, direct I/O, dirty tracking", module="ext4"),
        Option("SWAP", "swap"),
        Option("ZRAM", "swap to memory (--swap zram)", module="zram"),
        Option("INTEL_IOMMU", _DEVICE),
        Option("VFIO", _DEVICE, module="vfio"),
        Option("VFIO_IOMMU_TYPE1", _DEVICE, module="vfio_iommu_type1"),
        Option("VFIO_PCI", _DEVICE, module="vfio_pci"),
        Option("DEBUG_FS", "gup_test"),
        Option("GUP_TEST", "gup_test: long-term pins, slow and fast"),
        Option("IO_URING", "io_uring's fixed buffers"),
        Option("CROSS_MEMORY_ATTACH", "process_vm_readv() and process_vm_writev()"),
        Option("USERFAULTFD", "the step uffdio_continue"),
        Option("ADVISE_SYSCALLS", "madvise()"),
        Option("TRANSPARENT_HUGEPAGE", "the kinds thp and hugezero"),
        Option("HUGETLBFS", "the kinds hugetlb and memfd_hugetlb"),
        Option("KSM", "the step ksm"),
        Option("MEM_SOFT_DIRTY", "the step clear_softdirty"),
    )
}
"""By name.  Which option another one brings along is the kernel's matter: those are named that a message can name."""


def parse(text: str) -> dict[str, str]:
    """A .config: name without CONFIG_ to value, "n" for what it says is not set."""
    found = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE))
    found.update(dict.fromkeys(re.findall(r"^# CONFIG_(\w+) is not set$", text, re.MULTILINE), "n"))
    return found


@cache
def running() -> Mapping[str, str]:
    """The configuration of the kernel that runs; empty where it does not show it."""
    return read(Path("/"))


def read(root: Path) -> dict[str, str]:
    """The same, with /proc, /boot and /lib below `root`."""
    release = os.uname().release
    try:
        return parse(gzip.decompress((root / "proc/config.gz").read_bytes()).decode())
    except (OSError, EOFError):
        pass
    for path in (f"boot/config-{release}", f"lib/modules/{release}/config"):
        try:
            return parse((root / path).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return {}


def lacks(config: Mapping[str, str]) -> Iterator[Option]:
    """The options of the table that are off in a configuration: an absent one is, for a .config leaves out what cannot
    be chosen.  Nothing where the configuration is not known."""
    if config:
        yield from (option for option in OPTIONS.values() if option.off(config.get(option.name, "n")))


def without(*names: str, config: Mapping[str, str] | None = None) -> str | None:
    """Why a kernel does not have what takes these options, by the first that it lacks; None where they are there, or
    where nobody can tell.  config: of which kernel; default: the one that runs, whose modules count once loaded."""
    known = running() if config is None else config
    for option in (OPTIONS[name] for name in names):
        value = known.get(option.name, "n") if known else "y"
        if option.least and option.off(value):
            return f"this kernel was built with CONFIG_{option.name}={value}, and {option.least} are needed"
        if option.off(value):
            return f"this kernel was built without CONFIG_{option.name}"
        if value == "m" and config is None and not os.path.exists(f"/sys/module/{option.module}"):
            return f"CONFIG_{option.name} is a module of this kernel that is not loaded: {option.module}"
    return None
