"""What this machine can do for pinhold, in sentences; nothing is changed to find out."""

from __future__ import annotations

import importlib.util
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass

from pinhold import trust
from pinhold.system.host import Host
from pinhold.system.journal import Journal, JournalFailed
from pinhold.system.plan import NAMES, POOL_KIB
from pinhold.system.restore import unrestored
from pinhold.targets.base import Unavailable
from pinhold.targets.live import cgroup, directories
from pinhold.targets.live.kernel import KSM, RunningKernel, check_supported, probe_sight
from pinhold.targets.live.pagemap import Sight, pin_counters
from pinhold.targets.live.pins import MECHANISMS

_CAPABILITIES = {"CAP_IPC_LOCK": 14, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about this machine; good: it is there."""

    about: str
    good: bool
    words: str


def examine(host: Host) -> list[Finding]:
    """All findings; the one about "live" says whether that target can run at all."""
    try:
        check_supported()
    except Unavailable as reason:
        return [Finding("live", False, str(reason)), *_tools()]
    sight = probe_sight()
    kernel = RunningKernel()
    return [
        Finding("live", True, f"Linux {os.uname().release} on x86-64, stable release {kernel.release()}"),
        *_rights(host),
        *_seeing(sight),
        *_pins(host),
        *_memory(host, kernel),
        *_limits(),
        *_journal(host),
        *_tools(),
    ]


def _rights(host: Host) -> Iterator[Finding]:
    words = [line.split()[1] for line in host.text("proc/self/status").splitlines() if line.startswith("CapEff:")]
    effective = int(words[0], 16) if words else 0
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    without = f"{who}, without {', '.join(missing)}" if missing else f"{who}, with every capability that is needed"
    yield Finding("rights", not missing, without)
    lockdown = _optional(host, "sys/kernel/security/lockdown")
    if lockdown not in (None, "none"):
        yield Finding(
            "lockdown", False, f"the kernel is locked down ({lockdown}): debugfs, and gup_test with it, is shut"
        )


def _seeing(sight: Sight) -> Iterator[Finding]:
    yield Finding(
        "frames",
        sight.frames,
        "pagemap shows page frames, so frames are compared"
        if sight.frames
        else "pagemap hides page frames from this user (they need CAP_SYS_ADMIN): bytes and states alone are compared",
    )
    yield Finding(
        "page flags",
        sight.flags and sight.counts,
        "kpageflags and kpagecount can be read"
        if sight.flags and sight.counts
        else "kpageflags and kpagecount cannot be read by this user: who shares a page is not compared",
    )
    if sight.flags and not sight.anon_exclusive:
        yield Finding(
            "exclusive", False, "kpageflags of this kernel does not show PageAnonExclusive (it is older than 5.19)"
        )
    yield Finding(
        "soft-dirty",
        sight.soft_dirty,
        "the kernel tracks soft-dirty pages"
        if sight.soft_dirty
        else "CONFIG_MEM_SOFT_DIRTY is off: tests on an exclusive page that is mapped read-only are skipped",
    )
    exact = pin_counters() is not None
    yield Finding(
        "pin counters",
        exact,
        "/proc/vmstat counts FOLL_PIN pins exactly after a read of /proc/sys/vm/stat_refresh, which folds the counters "
        "of each CPU together as the kernel's own timer does: they are compared before and after each scenario"
        if exact
        else "pins are not counted before and after each scenario: this user cannot read /proc/sys/vm/stat_refresh",
    )


def _pins(host: Host) -> Iterator[Finding]:
    for name, mechanism in MECHANISMS.items():
        reason = mechanism.unavailable()
        yield Finding(name, reason is None, reason or f"it gives {mechanism.summary.rstrip(', ')}")
    disabled = _optional(host, "proc/sys/kernel/io_uring_disabled")
    if disabled not in (None, "0"):
        who = "everybody" if disabled == "2" else "users outside of kernel.io_uring_group"
        yield Finding("io_uring", False, f"/proc/sys/kernel/io_uring_disabled is {disabled}: it is shut for {who}")


def _memory(host: Host, kernel: RunningKernel) -> Iterator[Finding]:
    thp = kernel.missing_thp()
    yield Finding("thp", thp is None, thp or f"transparent huge pages are there ({kernel.thp()})")
    if thp is None:
        zero = kernel.missing_thp(zero=True)
        yield Finding("huge zero", zero is None, zero or "the huge zero page is used")
    for size in POOL_KIB:
        pool = kernel.hugepages(size)
        if pool is None:
            yield Finding(f"hugetlb {size}", False, f"this machine has no hugepages of {NAMES[size]}")
        else:
            yield Finding(f"hugetlb {size}", pool.free > 0, f"the pool of {NAMES[size]} pages has {pool}")
    swap = kernel.missing_swap()
    yield Finding(
        "swap",
        swap is None,
        "none is configured here" if swap else f"{host.meminfo('SwapFree') >> 10} MiB of swap are free",
    )
    files = kernel.missing_files()
    where = "" if files else f"ordinary files are made in {directories.ordinary()}, on {directories.ordinary_kind()}"
    yield Finding("files", files is None, files or where)
    ksm = _optional(host, f"{KSM}/run")
    state = {None: "this kernel has no KSM", "1": "KSM merges pages"}.get(ksm, "KSM is there and stopped")
    yield Finding("ksm", ksm == "1", state)


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    shown = " and ".join("no limit" if n == resource.RLIM_INFINITY else f"{n >> 10} KiB" for n in (soft, hard))
    yield Finding("memlock", True, f"RLIMIT_MEMLOCK is {shown} (soft and hard)")
    reason = cgroup.missing()
    yield Finding(
        "cgroup",
        reason is None,
        reason or "scenarios run in a cgroup of their own, with bounded memory and number of processes",
    )


def _journal(host: Host) -> Iterator[Finding]:
    """Only root has one, and only root can look."""
    if os.geteuid() != 0 or not os.path.isdir(host.state):
        return
    try:
        journal = Journal.load(host)
    except JournalFailed as failure:
        yield Finding("journal", False, str(failure))
        return
    if journal is not None and journal.of_this_boot:
        yield Finding("journal", False, unrestored(journal))


def _tools() -> Iterator[Finding]:
    try:
        yield Finding("qemu", True, trust.program("qemu-system-x86_64"))
    except trust.NoProgram as reason:
        yield Finding("qemu", False, f"booting other kernels needs {reason}")
    else:
        kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
        yield Finding("kvm", kvm, "/dev/kvm is there" if kvm else "/dev/kvm cannot be used: QEMU emulates, slowly")
    if importlib.util.find_spec("ensurepip") is None:
        yield Finding(
            "venv", False, "Python's ensurepip is missing, which make test wants: apt-get install python3-venv"
        )


def _optional(host: Host, setting: str) -> str | None:
    try:
        return host.value(setting)
    except OSError:
        return None
