"""The configuration of a guest's kernel: a fragment for the kernel's merge_config.sh, with a reason for each line, and
what of it a .config has lost.

kconfig drops in silence what depends on something that is off, and what a kernel does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pinhold.lab.index import numbers
from pinhold.targets.live.kconfig import OPTIONS, parse


@dataclass(frozen=True, slots=True)
class Line:
    """CONFIG_`name`=`value`, and why; "n" is off.  since, until: the releases that have the option, where not all do:
    the first that has it, and the first that has not."""

    name: str
    why: str
    value: str = "y"
    since: str = ""
    until: str = ""

    def asked_of(self, release: str) -> bool:
        """Whether a kernel of that release has the option; "": nobody knows the release."""
        at = numbers(release)
        return not at or (numbers(self.since) <= at and (not self.until or at < numbers(self.until)))

    def __str__(self) -> str:
        return f"# CONFIG_{self.name} is not set" if self.value == "n" else f"CONFIG_{self.name}={self.value}"

    @property
    def releases(self) -> str:
        """Which kernels have it, in words; "" all."""
        until = f"until {self.until}" if self.until else ""
        return ", ".join(words for words in (f"since {self.since}" if self.since else "", until) if words)


def _needed(name: str, value: str = "y", since: str = "", until: str = "") -> Line:
    """An option that the table of options tells the reason of."""
    return Line(name, OPTIONS[name].gives, value, since, until)


Sections = Mapping[str, tuple[Line, ...]]

TINY: Sections = {
    "the machine": (
        _needed("64BIT"),
        Line("SMP", "as distributions build it; /proc/sys/vm/stat_refresh, which makes pin counters exact"),
        Line("NR_CPUS", "a guest has one processor", "2"),
        Line("KERNEL_GZIP", "the image unpacks itself: XZ, which tinyconfig has, is slow without KVM"),
        Line("CC_OPTIMIZE_FOR_PERFORMANCE", "GUP as distributions compile it; tinyconfig has -Os"),
        Line("SLUB", "as distributions build it; tinyconfig has SLOB up to 6.3"),
        Line("SLUB_TINY", "as distributions build it; tinyconfig has it on since 6.2", "n"),
        Line("X86_PAT", "as distributions build it"),
        Line("MTRR", "as distributions build it"),
        Line("HIGH_RES_TIMERS", "short waits"),
        Line("NO_HZ_IDLE", "an idle guest is idle"),
        Line("MULTIUSER", "setuid() and groups"),
        Line("LOCALVERSION", "uname -r tells this kernel from others", '"-pinhold"'),
    ),
    "what a crash leaves behind": (
        Line("PRINTK", "the console is the only witness"),
        Line("BUG", "a BUG() ends the guest"),
        Line("DEBUG_BUGVERBOSE", "where it was, as file and line"),
        Line("KALLSYMS", "names in backtraces, and in the stack of a kernel that loops"),
        Line("UNWINDER_FRAME_POINTER", "backtraces that need no objtool"),
        Line("EARLY_PRINTK", "what ends a boot early"),
        Line("X86_VERBOSE_BOOTUP", "what ends a boot early"),
        Line("SOFTLOCKUP_DETECTOR", "a copy of 1 GiB takes 20 s on a busy machine without KVM, and is no lockup", "n"),
        Line("IKCONFIG", "the image tells its configuration"),
        Line("IKCONFIG_PROC", "the guest tells its configuration: /proc/config.gz"),
    ),
    "how the guest is started and talked to": (
        _needed("BLK_DEV_INITRD"),
        _needed("BINFMT_ELF"),
        _needed("BINFMT_SCRIPT"),
        Line("TTY", "consoles"),
        _needed("SERIAL_8250"),
        Line("SERIAL_8250_CONSOLE", "the kernel's console"),
        _needed("SERIAL_8250_NR_UARTS", "4"),
        Line("SERIAL_8250_RUNTIME_UARTS", "the second serial port, by which results come back", "4"),
        _needed("DEVTMPFS"),
        Line("PCI_MSI", "INTEL_IOMMU depends on it"),
        Line("ACPI", "the table in which the IOMMU is, and the way to power off"),
        _needed("PCI"),
        Line("BLOCK", "the disks depend on it"),
        Line("BLK_DEV", "the disks depend on it"),
        Line("VIRTIO_MENU", "VIRTIO_PCI depends on it"),
        _needed("VIRTIO_PCI"),
        _needed("VIRTIO_BLK"),
        _needed("EXT4_FS"),
    ),
    "what Python and the agent call": (
        _needed("FUTEX"),
        _needed("EPOLL"),
        Line("EVENTFD", "VFIO"),
        Line("SIGNALFD", "libraries"),
        Line("TIMERFD", "libraries"),
        Line("POSIX_TIMERS", "Python"),
        Line("FILE_LOCKING", "Python"),
        Line("MEMBARRIER", "the C library"),
        Line("RSEQ", "the C library"),
        Line("NET", "UNIX depends on it"),
        _needed("UNIX"),
        _needed("PROC_FS"),
        Line("PROC_SYSCTL", "/proc/sys: drop_caches, stat_refresh", until="7.3"),
        Line("SYSCTL", "/proc/sys: drop_caches, stat_refresh"),
        _needed("PROC_PAGE_MONITOR"),
        _needed("SYSFS"),
        Line("SHMEM", "memfds"),
        _needed("TMPFS"),
        Line("CGROUPS", "MEMCG depends on it"),
        Line("MEMCG", "each scenario in a group of its own, with bounded memory"),
    ),
    "the memory management under test": (
        Line("COMPACTION", "huge pages when memory is in pieces"),
        Line("MIGRATION", "long-term pins move pages out of movable memory"),
        _needed("ADVISE_SYSCALLS"),
        _needed("TRANSPARENT_HUGEPAGE"),
        Line("TRANSPARENT_HUGEPAGE_MADVISE", "the mode that guests are booted in"),
        _needed("HUGETLBFS"),
        _needed("SWAP"),
        Line("VM_EVENT_COUNTERS", "pin counters: /proc/vmstat"),
        _needed("KSM"),
        _needed("USERFAULTFD"),
        Line("CHECKPOINT_RESTORE", "MEM_SOFT_DIRTY depends on it"),
        _needed("MEM_SOFT_DIRTY"),
    ),
    "what pins": (
        _needed("DEBUG_FS"),
        _needed("GUP_TEST"),
        _needed("CROSS_MEMORY_ATTACH"),
        _needed("IO_URING"),
        Line("AIO", "direct I/O"),
        Line("IOMMU_SUPPORT", "INTEL_IOMMU depends on it"),
        _needed("INTEL_IOMMU"),
        _needed("VFIO"),
        Line("VFIO_GROUP", "/dev/vfio/GROUP", since="6.6"),
        Line("VFIO_CONTAINER", "/dev/vfio/vfio", since="6.2"),
        _needed("VFIO_IOMMU_TYPE1"),
        _needed("VFIO_PCI"),
    ),
}
"""On top of `make tinyconfig`: a guest comes up, and no test of a suite is skipped for want of an option."""
_ASKED = {line.name for lines in TINY.values() for line in lines if line.name in OPTIONS}

FULL: Sections = {
    "--full: what else moves, merges and takes pages": (
        Line("MODULES", "modules of yours (--module)"),
        Line("MODULE_UNLOAD", "modules of yours can be unloaded"),
        Line("CMA", "contiguous memory, out of which long-term pins move pages"),
        Line("MEMORY_HOTPLUG", "movable zones, out of which long-term pins move pages"),
        Line("MEMORY_HOTREMOVE", "memory that goes while pages of it are pinned"),
        Line("NUMA", "memory nodes"),
        Line("NUMA_BALANCING", "NUMA hinting faults, which GUP meets"),
        Line("X86_MCE", "MEMORY_FAILURE depends on it"),
        Line("MEMORY_FAILURE", "poisoned pages"),
        Line("LRU_GEN", "the other reclaim"),
        Line("ZSMALLOC", "ZRAM depends on it"),
        Line("CRYPTO", "ZRAM depends on it"),
        Line("CRYPTO_LZO", "ZRAM compresses by it"),
        _needed("ZRAM"),
        Line("IOMMUFD", "VFIO's successor: pins by /dev/iommu", since="6.2"),
    ),
    "--full: the kernel watches itself": (
        Line("DEBUG_KERNEL", "the next depend on it"),
        Line("DEBUG_VM", "VM_BUG_ON(): what mm/ takes for granted"),
        Line("DEBUG_VM_PGTABLE", "the helpers of page-table entries are tested at boot"),
        Line("PAGE_TABLE_CHECK", "whether a page is mapped as it may be, at each change of an entry"),
        Line("PAGE_TABLE_CHECK_ENFORCED", "PAGE_TABLE_CHECK is on without a word on the command line"),
        Line("DEBUG_LIST", "lists that are corrupt are told"),
    ),
}
"""Beside that all that a kernel's own checks find, and what makes pages move."""

KASAN: Sections = {
    "--kasan: use after free": (
        Line("DEBUG_KERNEL", "KASAN depends on it"),
        Line("KASAN", "use after free, and what is out of bounds; slow"),
        Line("KASAN_GENERIC", "the form of KASAN that x86-64 has"),
        Line("KASAN_INLINE", "KASAN faster, in a larger image"),
        Line("KASAN_VMALLOC", "stacks of the kernel, too"),
        Line("STACKTRACE", "who freed what is used"),
    ),
}


def sections(full: bool = False, kasan: bool = False) -> dict[str, tuple[Line, ...]]:
    """What is asked for, by headings."""
    return {**TINY, **(FULL if full else {}), **(KASAN if kasan else {})}


_HEAD = """\
# What pinhold's guests need of a kernel for x86-64, on top of `make tinyconfig`: all built in, one bzImage.
#   make tinyconfig
#   {command} >pinhold.config
#   scripts/kconfig/merge_config.sh -m .config pinhold.config
#   make olddefconfig
#   {command} --check .config
"""


def fragment(asked: Sections, command: str) -> str:
    """The text for merge_config.sh.  command: what prints it."""
    parts = [_HEAD.format(command=command)]
    for heading, lines in asked.items():
        parts.append(f"\n# --- {heading}\n")
        for line in lines:
            parts.append(f"# {line.why}{f' ({line.releases})' if line.releases else ''}\n{line}\n")
    return "".join(parts)


def release(text: str) -> str:
    """Of which kernel a .config is, as its first lines say; "" where they do not."""
    found = re.search(r"^# Linux/\S+ (\d+\.\d+(?:\.\d+)?)\S* Kernel Configuration$", text, re.MULTILINE)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A line that a .config has otherwise.  value: what it has instead, "n" off or not there."""

    line: Line
    value: str

    @property
    def boots(self) -> bool:
        """Whether no guest comes up without it."""
        option = OPTIONS.get(self.line.name)
        return option is not None and option.boots and option.off(self.value)

    @property
    def skips(self) -> bool:
        """Whether tests of a suite are skipped for want of it."""
        return self.line.name in _ASKED and not self.boots and OPTIONS[self.line.name].off(self.value)


def lost(text: str, asked: Sections) -> Iterator[Lost]:
    """What of the fragment is not in a .config, of what its release has.  More than was asked for is no loss: a module
    is none either, and a larger number."""
    config, of = parse(text), release(text)
    for line in {line.name: line for lines in asked.values() for line in lines}.values():
        value = config.get(line.name, "n")
        if line.asked_of(of) and not _there(line.value, value):
            yield Lost(line, value)


def _there(wanted: str, value: str) -> bool:
    if wanted.isdigit() and value.isdigit():
        return int(value) >= int(wanted)
    return value == wanted or (wanted == "y" and value == "m")
