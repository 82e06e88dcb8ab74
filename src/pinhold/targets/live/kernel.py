"""What this machine and its kernel offer: read, never changed."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pinhold.targets.base import Unavailable
from pinhold.targets.live import directories, kconfig, pagemap, syscalls
from pinhold.targets.live.pagemap import FrameWords, Sight
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.syscalls import PAGE

_OPTIONS = (
    "MEM_SOFT_DIRTY",
    "TRANSPARENT_HUGEPAGE",
    "SWAP",
    "HUGETLB_PAGE",
    "KSM",
    "NUMA_BALANCING",
    "PAGE_MAPCOUNT",
    "PT_RECLAIM",
    "GUP_TEST",
)
_POOLS = {"2M": 2048, "1G": 1048576}
_THP = "sys/kernel/mm/transparent_hugepage"
KSM = "sys/kernel/mm/ksm"
KSM_WHOLE = 1 << 24
"""pages_to_scan of a ksmd that runs for a step and no longer: more than there are, so that one go is one full scan."""
KSM_BY_STEPS = {
    "sleep_millisecs": "0",
    "smart_scan": "0",
    "pages_to_scan": str(KSM_WHOLE),
    "stable_node_chains_prune_millisecs": str((1 << 32) - 1),
}
"""Settings of such a ksmd: the next scan follows at once, none passes over what it could not merge before, and which of
several KSM pages of one content takes a page is not by the clock."""

KHUGEPAGED = "sys/kernel/mm/transparent_hugepage/khugepaged"
KHUGEPAGED_AT_REST = {"scan_sleep_millisecs": str((1 << 32) - 1)}
"""Settings of a khugepaged that leaves the pages of scenarios alone: the longest pause between two scans."""


def check_supported() -> None:
    """Raises Unavailable off Linux on x86-64, and where pages cannot be looked at."""
    name = os.uname() if hasattr(os, "uname") else None
    system = name.sysname if name else sys.platform
    machine = name.machine if name else "this processor"
    if system != "Linux" or machine != "x86_64" or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise Unavailable(f"live needs Linux on x86-64, and this is {system} on {machine}: use a model:REL target")
    if not os.access("/proc/self/pagemap", os.R_OK):
        raise Unavailable("live needs /proc/self/pagemap to look at pages, and it cannot be read here")


def exact_release(release: str, version: str, signature: str = "") -> str:
    """The stable release "X.Y.Z" of a kernel, from `uname -r`, `uname -v` and Ubuntu's version_signature.

    Distributions freeze the number in `uname -r`: Debian's says 6.1.0-32-amd64, and the version string tells 6.1.129.
    """
    number = r"(\d+\.\d+(?:\.\d+)?)"
    for pattern, text in ((rf"^Ubuntu \S+ {number}", signature), (rf"Debian {number}", version), (number, release)):
        match = re.search(pattern, text)
        if match:
            return match[1]
    return release


def probe_sight() -> Sight:
    """Write a page of this process, look at it, and unmap it."""
    address = syscalls.mmap(
        0, PAGE, syscalls.PROT_READ | syscalls.PROT_WRITE, syscalls.MAP_PRIVATE | syscalls.MAP_ANONYMOUS
    )
    frames = FrameWords()
    try:
        ctypes.memset(address, 1, PAGE)
        fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            word = pagemap.words(fd, address, 1)[0]
        finally:
            os.close(fd)
        frame = pagemap.pfn(word)
        uffd_wp = release_of(os.uname().release) >= pagemap.UFFD_WP_SHOWN
        return Sight.of_fresh_page(word, frames.flags(frame), frames.count(frame), uffd_wp)
    finally:
        frames.close()
        syscalls.munmap(address, PAGE)


@dataclass(frozen=True, slots=True)
class Pool:
    """Huge pages of one size: free ones that nobody has reserved, all, and those that are reserved and not yet used.

    more: so many beyond the pool the kernel may still look for (nr_overcommit_hugepages).
    """

    free: int
    total: int
    reserved: int
    more: int = 0

    @property
    def to_be_had(self) -> int:
        """So many a scenario may get, if there is memory."""
        return self.free + self.more

    def __str__(self) -> str:
        reserved = f" ({self.reserved} more are reserved)" if self.reserved else ""
        return f"{self.free} free of {self.total}{reserved}"


@dataclass(frozen=True, slots=True)
class RunningKernel:
    """root: where /proc and /sys are looked up; disposable: it is a virtual machine of pinhold's own; absent: what that
    was to have and has not ("swap", "files"), and why."""

    root: Path = Path("/")
    disposable: bool = False
    absent: Mapping[str, str] = field(default_factory=dict)

    def _text(self, path: str) -> str | None:
        """A small file.  Paths are text and files are bytes: what pathlib and text files are made of takes a guest
        longer than the file."""
        try:
            with open(f"{self.root}/{path}", "rb", buffering=0) as file:
                return file.read().decode(errors="replace")
        except OSError:
            return None

    def release(self) -> str:
        """The exact stable release, for the rule row."""
        name = os.uname()
        return exact_release(name.release, name.version, self._text("proc/version_signature") or "")

    def kernel_config(self) -> Mapping[str, str]:
        """The kernel's configuration, CONFIG_ left off; empty where the kernel does not show it."""
        return kconfig.running() if self.root == Path("/") else kconfig.read(self.root)

    def _without(self, *options: str) -> str | None:
        return kconfig.without(*options, config=None if self.root == Path("/") else self.kernel_config())

    def _meminfo(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+) kB", self._text("proc/meminfo") or "", re.MULTILINE)
        return int(match[1]) if match else 0

    def swap_kib(self) -> int:
        """Size of all swap areas."""
        return self._meminfo("SwapTotal")

    def swap_free_kib(self) -> int:
        """What of it is free."""
        return self._meminfo("SwapFree")

    def memlock(self) -> str:
        """The soft RLIMIT_MEMLOCK of this process, which those of a scenario inherit: KiB, or "unlimited"."""
        soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        return "unlimited" if soft == resource.RLIM_INFINITY else str(soft // 1024)

    def ipc_lock(self) -> bool:
        """Whether this process has CAP_IPC_LOCK, which waives that limit."""
        match = re.search(r"^CapEff:\s+([0-9a-f]+)$", self._text("proc/self/status") or "", re.MULTILINE)
        return match is not None and bool(int(match[1], 16) >> syscalls.CAP_IPC_LOCK & 1)

    def swap_rotates(self) -> bool:
        """Whether a swap device is one that rotates: before 6.14 its slots are not kept in clusters."""
        areas = (self._text("proc/swaps") or "").splitlines()[1:]
        names = [os.path.basename(area.split()[0]) for area in areas if area.startswith("/dev/")]
        return any((self._text(f"sys/class/block/{name}/queue/rotational") or "0").strip() == "1" for name in names)

    def swap_synchronous(self) -> bool:
        """Whether a swap device is memory (zram): it is done when it returns (SWP_SYNCHRONOUS_IO)."""
        areas = (self._text("proc/swaps") or "").splitlines()[1:]
        return any(os.path.basename(area.split()[0]).startswith("zram") for area in areas)

    def hugepages(self, size: str) -> Pool | None:
        """The pool of "2M" or "1G" pages; None where the kernel has no such size."""
        pool = f"sys/kernel/mm/hugepages/hugepages-{_POOLS[size]}kB"
        free, total, reserved = (self._text(f"{pool}/{name}_hugepages") for name in ("free", "nr", "resv"))
        if free is None or total is None:
            return None
        most, beyond = (self._text(f"{pool}/{name}_hugepages") for name in ("nr_overcommit", "surplus"))
        more = max(0, int(most or 0) - int(beyond or 0))
        return Pool(max(0, int(free) - int(reserved or 0)), int(total), int(reserved or 0), more)

    def thp(self) -> str:
        """The mode of transparent huge pages: "always", "madvise", "never"; "none" where the kernel has none."""
        match = re.search(r"\[(\w+)\]", self._text(f"{_THP}/enabled") or "")
        if match is None:
            return "none"
        own = re.search(r"\[(\w+)\]", self._text(f"{_THP}/hugepages-2048kB/enabled") or "")
        return match[1] if own is None or own[1] == "inherit" else own[1]

    def huge_zero_page(self) -> bool:
        return (self._text(f"{_THP}/use_zero_page") or "0").strip() == "1"

    def config(self, sight: Sight) -> dict[str, str]:
        """What of the kernel's configuration and state decides how scenarios go."""
        known = self.kernel_config()
        found = {option: known.get(option, "n" if known else "unknown") for option in _OPTIONS}
        found["MEM_SOFT_DIRTY"] = "y" if sight.soft_dirty else "n"
        found["thp"] = self.thp()
        found["huge_zero_page"] = "y" if self.huge_zero_page() else "n"
        found["swap_kib"] = str(self.swap_kib())
        found["swap_rotates"] = "y" if self.swap_rotates() else "n"
        found["swap_synchronous"] = "y" if self.swap_synchronous() else "n"
        found["files"] = directories.ordinary_kind() or "none"
        found["ksm_by_steps"] = "y" if self.ksm_by_steps() else "n"
        found |= self.pools()
        numa = self._text("proc/sys/kernel/numa_balancing")
        found["numa_balancing"] = "none" if numa is None else numa.strip()
        return found

    def pools(self) -> dict[str, str]:
        """What of the configuration other programs, and earlier scenarios, can change: what there is to be used up."""
        found = {f"hugetlb_{size}": self.hugepages(size) for size in _POOLS}
        return {
            **{name: "none" if pool is None else str(pool) for name, pool in found.items()},
            "swap_free_kib": str(self.swap_free_kib()),
            "memlock_kib": self.memlock(),
            "ipc_lock": "y" if self.ipc_lock() else "n",
        }

    # Why something is missing, for people

    def missing_swap(self) -> str | None:
        if self.swap_kib():
            return None
        return f"needs swap: {self.absent.get('swap') or self._without('SWAP') or 'none is configured here'}"

    def ksm_by_steps(self) -> bool:
        """Whether ksmd may be started for a step and stopped behind it: in a virtual machine of pinhold's own, or where
        KSM is set up for it (--allow-change ksm), and not for another user's run."""
        whole = self._text(f"{KSM}/pages_to_scan")
        ours = self.disposable or (whole or "").strip() == str(KSM_WHOLE)
        return whole is not None and ours and os.access(Path(self.root, KSM, "run"), os.W_OK)

    def ksm_runs(self) -> bool:
        return (self._text(f"{KSM}/run") or "").strip() == "1"

    def missing_ksm(self) -> str | None:
        if self._text(f"{KSM}/run") is None:
            return f"needs KSM: {self._without('KSM') or 'this kernel has none'}"
        if self.ksm_by_steps() or self.ksm_runs():
            return None
        return f"needs KSM to run: /{KSM}/run is not 1 (--allow-change ksm)"

    def missing_files(self) -> str | None:
        """Why there is no directory for files that are written back."""
        try:
            directories.ordinary()
        except FileNotFoundError as none:
            return f"needs an ordinary file: {self.absent.get('files') or none.strerror}"
        return None

    def ksm_scans(self) -> int:
        """How many times ksmd has gone through all the memory that was advised mergeable."""
        return int(self._text(f"{KSM}/full_scans") or 0)

    def ksm_pages(self) -> int:
        """How many pages ksmd has in its books, of processes that are gone, too, until it has scanned again."""
        return sum(
            int(self._text(f"{KSM}/pages_{name}") or 0) for name in ("shared", "sharing", "unshared", "volatile")
        )

    def missing_memory(self, length: int) -> str | None:
        """Whether regions of `length` bytes would take more than half of the memory that is free."""
        available = self._meminfo("MemAvailable")
        if length // 1024 <= available // 2:
            return None
        return f"needs {length >> 20} MiB of memory, and no more than half of the {available >> 10} MiB free here"

    def missing_thp(self, zero: bool = False) -> str | None:
        """Why there are no THPs, or not with `zero`, the huge zero page."""
        mode = self.thp()
        if mode == "none":
            return f"needs transparent huge pages: {self._without('TRANSPARENT_HUGEPAGE') or 'this kernel has none'}"
        if mode == "never":
            return f"needs transparent huge pages: /{_THP}/enabled is never here"
        if zero and not self.huge_zero_page():
            return f"needs the huge zero page: /{_THP}/use_zero_page is 0 here"
        return None

    def missing_hugepages(self, size: str, count: int) -> str:
        """Why that many huge pages of `size` are not to be had."""
        name = {"2M": "2 MiB", "1G": "1 GiB"}[size]
        pool = self.hugepages(size)
        if pool is None:
            return f"needs {name} hugepages: {self._without('HUGETLBFS') or 'this machine has no such size'}"
        return f"needs {count} free hugepage{'s' if count != 1 else ''} of {name}: the pool has {pool} here"
