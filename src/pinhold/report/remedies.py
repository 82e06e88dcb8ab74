"""What it would take to run what was skipped: for each reason that a verdict or `pinhold doctor` may give, a next step.

The reasons are written where they are found out, by the target, and may come out of a guest or a run file; here they
are known again by their words.  tests/unit/test_remedies.py finds all of them in the code, and none is without a step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinhold.report.results import CaseResult

STEP = "->"
"""Stands before a step, below or behind the reason."""

GUEST = "--on vm:6.12"
OWN = "pinhold kernels config has the options for a kernel of yours"
PROBE = "pinprobe takes them: pinhold kernels module IMAGE builds it for a kernel of yours, kernels fetch for Debian's"
_ROOT = "run it as root"
_GUEST_PINS = f"in a guest VFIO and pinprobe take such pins: {GUEST}"
_PROGRAM = "try the program by itself: pinhold docs mechanisms has what it is asked"
_DISK = "TMPDIR=DIR, a directory on ext4 or xfs with room in it"
_LIMIT = f"ulimit, or {_ROOT}"
_LESS = "free memory, or a machine with more of it"
_AGAIN = "run it again"


@dataclass(frozen=True, slots=True)
class Remedy:
    """reason: a pattern of its words; step: what to do where it was met on this machine, with the pattern's groups as
    \\1; elsewhere: what where it was met in a guest, if that is something else."""

    reason: str
    step: str
    elsewhere: str = ""


def _change(reason: str, area: str) -> Remedy:
    option = f"--allow-change {area}"
    return Remedy(reason, f"as root: {option}", f"on the kernel that runs here, as root: --on live {option}")


REMEDIES = (
    # Programs and modules that are not there.
    Remedy(r"qemu\S*, which|vm: targets need", "as root: apt-get install qemu-system-x86"),
    Remedy(r"apt-get install (\S+)", r"as root: apt-get install \1"),
    Remedy(r"kernel (\S+) here; .*kernels fetch", r"pinhold kernels fetch \1"),
    Remedy(r"not loaded: (\S+)", r"as root: modprobe \1", r"--module FILE, for the guest's own \1.ko"),
    Remedy(r"needs to start Python", "start pinhold by a python3 that has a path: python3 -m pinhold"),
    # Who one is, and what one may.
    Remedy(r"/dev/kvm", "as root, on a machine whose processor may be virtualised: modprobe kvm"),
    Remedy(
        r"cannot be (?:opened|reached|seen|read by this user)|user cannot read|CAP_SYS_ADMIN|needs CAP_IPC_LOCK",
        _ROOT,
    ),
    Remedy(r"RLIMIT_MEMLOCK", f"ulimit -l unlimited, or {_ROOT}"),
    Remedy(r"too many files|pipe memory|a limit of this user|no room for so many", _LIMIT),
    Remedy(r"io_uring is switched off", "as root: sysctl kernel.io_uring_disabled=0"),
    Remedy(
        r"seccomp|or a sandbox, may not|a container forbids",
        f"as root, outside of the container (docker: --privileged); or in a guest: {GUEST}",
    ),
    Remedy(r"no such call|userfaultfd\(\)|cannot be (?:set up|used) here", f"in a guest: {GUEST}", OWN),
    Remedy(r"forces no writes", "boot with proc_mem.force_override=always"),
    # Mechanisms.
    Remedy(r"/dev/pinprobe|no pinprobe", _GUEST_PINS, PROBE),
    Remedy(r"older than 6\.2|before 6\.2", _GUEST_PINS, f"{OWN}: VFIO; its GUP_TEST does from 6.2 on"),
    Remedy(r"gup_test.* (?:here|cannot)", _GUEST_PINS, f"{OWN}: GUP_TEST"),
    Remedy(r"no IOMMU|no edu device|in the hands of vfio-pci", _GUEST_PINS, f"{OWN}: VFIO"),
    Remedy(
        r"mechanism is called|gives .* only|cannot (?:be )?(?:write|written|read back)|which \S+ cannot|too little for",
        "leave 'via' out of the step, so that pinhold chooses; pinhold docs mechanisms has what each can",
    ),
    Remedy(r"names no program|be started|^exec:|^\S+ cannot ", _PROGRAM),
    # What the kernel was built with, and what is set up.
    Remedy(r"came with (\S+?)\)", f"a kernel from \\1 on: {GUEST}", r"a kernel from \1 on: --on vm:newest"),
    Remedy(r"built with|is off\)|kernel has no|which pages are mapped", f"{GUEST}; {OWN}", OWN),
    Remedy(r"no such size|no such memory", f"{GUEST}, where QEMU has them; or --without 1G", "--without 1G"),
    _change(r"hugepages? of .*: the pool has|the pool of .* pages has", "hugepages"),
    Remedy(r"1 GiB pages are left out \(", "leave out --without 1G"),
    Remedy(r"1 GiB pages are left out on", f"name the target: {GUEST}"),
    _change(r"needs transparent huge pages|needs the huge zero page|Did not get", "thp"),
    Remedy(r"faster swap device", f"in a guest: {GUEST} --swap zram", "--swap zram"),
    _change(r"needs swap|^none is configured|is swap enabled|pages stayed in memory", "swap"),
    _change(r"needs KSM|^KSM is there", "ksm"),
    Remedy(r"MiB of memory|memory is free|room for mappings|too much is mapped", _LESS),
    Remedy(r"TMPDIR|ordinary file|no space|temporary directory|its file is|needs a file of", _DISK),
    # What passes, or what broke.
    Remedy(r" already$|is alive|in use|holds a page|was short|its IOMMU group", f"end what else uses it, and {_AGAIN}"),
    Remedy(r"did not stop for|not ended a transfer|was cut off", _AGAIN),
    Remedy(r"device behind|memory is broken|takes the pages failed", "look at the kernel's log: dmesg"),
    # Where such a step, or such a scenario, can be done.
    Remedy(r"only a model|run it on a model|needs /proc|use a model:REL", "--on model:6.12"),
    Remedy(r"virtual machines?\b", GUEST),
    Remedy(r"the specification|the model('s)? |small machine", f"a real kernel does it: --on live, or {GUEST}"),
    Remedy(r"step that|comes here|holds no pages|nothing to see|\] is", "pinhold step shows what came before"),
    Remedy(r"such memory|kind of file|not there", f"another kernel may: {GUEST}", "another kernel may: --on vm:newest"),
)


def remedy(reason: str, target: str = "live") -> str | None:
    """The next step of whoever had a test skipped for that reason on that target; None where none is known."""
    for each in REMEDIES:
        match = re.search(each.reason, reason)
        if match is not None:
            return match.expand(each.elsewhere if each.elsewhere and target.startswith("vm:") else each.step)
    return None


def step_of(result: CaseResult) -> str | None:
    """That of a result that says nothing of the kernel."""
    verdict = result.verdict
    if verdict.kind not in ("skipped", "unknown") or not verdict.reason:
        return None
    return remedy(verdict.reason, result.result.target)
