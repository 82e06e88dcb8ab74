"""Which tests a kernel will skip when it is a guest, and for want of what: told without running any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinhold.scenario.advice import ADVICE
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import (
    ClearSoftDirty,
    DirectRead,
    DirectWrite,
    Hold,
    IoUring,
    Madvise,
    Map,
    NumaHint,
    Pin,
    ProcessVmReadv,
    ProcessVmWritev,
    Scenario,
    Step,
    UffdioContinue,
    Vmsplice,
)
from pinhold.system.needs import needs_of
from pinhold.targets.base import CannotDo
from pinhold.targets.live import kconfig
from pinhold.targets.live.pins import edu, gup_test, holders
from pinhold.targets.live.pins.base import Gives, choose
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.taking import ITS_OWN, NEEDS

Lacks = Mapping[str, str]
"""What a guest does not have, by a key of OPTIONS_OF or the name of a mechanism, and why, in words."""

_DISKS = ("PCI", "VIRTIO_PCI", "VIRTIO_BLK")
OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "swap": (*_DISKS, "SWAP"),
    "an ordinary file": (*_DISKS, "EXT4_FS"),
    "direct I/O": (*_DISKS, "EXT4_FS"),
    "transparent huge pages": ("TRANSPARENT_HUGEPAGE",),
    "the huge zero page": ("TRANSPARENT_HUGEPAGE",),
    "2 MiB hugepages": ("HUGETLBFS",),
    "1 GiB hugepages": ("HUGETLBFS",),
    "KSM": ("KSM",),
    "soft-dirty": ("MEM_SOFT_DIRTY",),
    "userfaultfd()": ("USERFAULTFD",),
    "madvise()": ("ADVISE_SYSCALLS",),
    "process_vm_readv()": ("CROSS_MEMORY_ATTACH",),
    "gup_test": ("DEBUG_FS", "GUP_TEST"),
    "vfio": ("PCI", *edu.OPTIONS),
    "io_uring": ("IO_URING",),
}
"""What steps need, and the options that it takes, in the order in which a guest misses them."""

_MECHANISM = {"direct_io": "direct I/O", "process_vm": "process_vm_readv()"}
_HAS_NO: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "swap": ("swap_kib", ("0",)),
    "an ordinary file": ("files", ("none",)),
    "transparent huge pages": ("thp", ("none", "never")),
    "the huge zero page": ("huge_zero_page", ("n",)),
    "2 MiB hugepages": ("hugetlb_2M", ("none",)),
    "1 GiB hugepages": ("hugetlb_1G", ("none",)),
    "soft-dirty": ("MEM_SOFT_DIRTY", ("n",)),
}
"""What a guest says of itself: a name of its configuration, and the values that mean that it has none."""

_OLD = (
    "gup_test takes no pins that last before 6.2: a guest finds out whether this kernel has it by hand (c77369b437f9)"
)


def by_configuration(config: Mapping[str, str], release: str, modules: bool, pinprobe: bool) -> dict[str, str]:
    """What a kernel lacks by its configuration; nothing but pinprobe where that is not known.

    modules: whether its modules come along: without them an option that is m is off.
    """
    found = {} if pinprobe else {"pinprobe": _NO_PROBE, "pinprobe_short": _NO_PROBE}
    for thing, options in OPTIONS_OF.items():
        if why := _without(options, config, modules):
            found[thing] = why
    if "gup_test" not in found and release_of(release or "0") < gup_test.FIRST and release:
        found["gup_test"] = _OLD
    return found


_NO_PROBE = "there is no pinprobe for this kernel"


def _without(options: tuple[str, ...], config: Mapping[str, str], modules: bool) -> str | None:
    why = kconfig.without(*options, config=config)
    if why or modules:
        return why
    built = next((name for name in options if config.get(name) == "m"), None)
    return f"CONFIG_{built} is a module of this kernel, and its modules are not here" if built else None


def by_guest(info: TargetInfo, configured: Lacks) -> dict[str, str]:
    """What a kernel that was booted lacks: what it says itself, in the words of its configuration where that tells."""
    found = {thing: why for thing, why in configured.items() if thing not in _HAS_NO and thing not in info.mechanisms}
    for thing, (name, none) in _HAS_NO.items():
        if info.config.get(name) in none:
            found[thing] = configured.get(thing, f"this guest has none ({name}: {info.config[name]})")
    for name, said in info.mechanisms.items():
        if said != "available":
            found[name] = said
        elif name in _MECHANISM:
            found.pop(_MECHANISM[name], None)
    return found


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """A pin mechanism as the guest will have it."""

    name: str
    summary: str
    gives: Gives
    why: str | None

    def unavailable(self) -> str | None:
        return self.why


def reasons(scenario: Scenario, lacks: Lacks, release: str) -> list[str]:
    """Why it will be skipped, each reason once; nothing where it will run."""
    found = [f"needs {thing}: {lacks[thing]}" for thing in _things(scenario) if thing in lacks]
    for step in scenario.steps:
        if isinstance(step, Hold) and (why := _pin(step, lacks, release)):
            found.append(why)
        if isinstance(step, NumaHint):
            found.append("a NUMA scan comes when the scheduler likes: on a model alone")
        if isinstance(step, Madvise) and (since := ADVICE[step.advice].since) and _older(release, since):
            found.append(f"needs {ADVICE[step.advice].constant}: since {since}")
    return list(dict.fromkeys(found))


def _older(release: str, since: str) -> bool:
    return bool(release) and release_of(release) < release_of(since)


_NEEDED: Mapping[type[Step], str] = {
    ClearSoftDirty: "soft-dirty",
    UffdioContinue: "userfaultfd()",
    DirectRead: "direct I/O",
    DirectWrite: "direct I/O",
    ProcessVmReadv: "process_vm_readv()",
    ProcessVmWritev: "process_vm_readv()",
    Madvise: "madvise()",
}


def _things(scenario: Scenario) -> Iterator[str]:
    """What it needs, by the keys of OPTIONS_OF."""
    needs = needs_of([scenario])
    asked = {
        "swap": needs.swap > 0,
        "transparent huge pages": needs.thp,
        "the huge zero page": needs.huge_zero,
        "2 MiB hugepages": needs.hugepages.get("2M", 0) > 0,
        "1 GiB hugepages": needs.hugepages.get("1G", 0) > 0,
        "KSM": needs.ksm,
        "an ordinary file": any(map(_on_disk, scenario.steps)),
    }
    yield from (thing for thing, needed in asked.items() if needed)
    yield from (_NEEDED[type(step)] for step in scenario.steps if type(step) in _NEEDED)


def _on_disk(step: Step) -> bool:
    """Direct I/O is that of an ordinary file, whatever memory it is for."""
    return isinstance(step, DirectRead | DirectWrite) or (isinstance(step, Map) and step.memory.on_disk)


def _pin(step: Hold, lacks: Lacks, release: str) -> str | None:
    """Why nothing takes the pin that the step asks for."""
    if not isinstance(step, Pin | Vmsplice | IoUring):
        return None
    there: dict[str, Any] = {
        name: _Foreseen(name, each.summary, each.gives, lacks.get(name))
        for name, each in holders(release or None).items()
    }
    if not isinstance(step, Pin):
        there = {ITS_OWN[type(step)]: there[ITS_OWN[type(step)]]}
    try:
        choose(NEEDS[type(step)](step), step.via if isinstance(step, Pin) else None, there)
    except CannotDo as refusal:
        return str(refusal)
    return None
