"""`vm:REL` and `vm:PATH`: a kernel in QEMU as a target.

One boot serves all scenarios of a run that need the same machine.  A guest that crashes takes one scenario with it:
that one is `crashed`, with the end of the console, and the rest goes on in a fresh boot.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from pinhold.lab.conversation import Conversation, GuestLost
from pinhold.lab.errors import LabError
from pinhold.lab.initramfs import build
from pinhold.lab.kvm import accelerator
from pinhold.lab.modules import Modules
from pinhold.lab.own import own_kernel
from pinhold.lab.qemu import Setup, missing
from pinhold.lab.store import Kernel, Store
from pinhold.scenario.step import Map, Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import CannotDo, Session, TargetInfo, Unavailable
from pinhold.targets.runner import Result, StepRecord

MEMORY = 640
"""MiB: the interpreter, a few processes, and the pages of a scenario."""

HUGE_PAGES = 16
GIGANTIC_PAGES = 4
SWAP = 256
DRIVERS = ("virtio_pci", "virtio_blk", "vfio_iommu_type1", "vfio_pci")
PINPROBE = "pinprobe"
BOOTS = 2
"""A kernel that did not come up so many times in a row is not booted again."""

_GIB = 1024
_SPARE = 2048
"""MiB that a guest leaves to the rest of the machine."""

OnStep = Callable[[StepRecord], None]


def kernel_of(wanted: str, store: Store | None = None) -> Kernel:
    """The kernel that "vm:" is followed by: a name or a series in the store, or the path of a bzImage."""
    if "/" in wanted or os.path.exists(wanted):
        return own_kernel(Path(wanted))
    return (store or Store()).find(wanted)


class VmTarget:
    """One kernel.

    module: a kernel module of the user's, loaded before the first scenario.  big: whether scenarios with 1 GiB pages
    are run: they take gigabytes and most of the time.  device: pins are read by the edu device.
    """

    def __init__(
        self,
        wanted: str,
        kernel: Kernel | None = None,
        module: Path | None = None,
        big: bool = True,
        device: bool = False,
    ) -> None:
        """Raises LabError where there is no such kernel."""
        self._big = big
        self._device = device
        self._stopped = threading.Event()
        self._failures: list[GuestLost] = []
        self.name = f"vm:{wanted}"
        self.kernel = kernel or kernel_of(wanted)
        self._module = module
        self._guest: Conversation | None = None
        self._gigantic = False
        self._info: TargetInfo | None = None

    def unavailable(self) -> str | None:
        """Why no guest can be booted here, found out without booting."""
        return missing()

    def info(self) -> TargetInfo:
        """Boots the kernel, where it has not been booted yet.  Raises Unavailable."""
        if self._info is None:
            try:
                self._booted(gigantic=False)
            except (GuestLost, LabError) as reason:
                raise Unavailable(str(reason)) from None
        assert self._info is not None
        return self._info

    def open(self, scenario: Scenario) -> AbstractContextManager[Session]:
        """Scenarios run as a whole in the guest: run_all() does it."""
        raise CannotDo("a guest runs whole scenarios")

    def run_all(self, scenarios: Sequence[Scenario], on_step: OnStep | None = None) -> Iterator[Result]:
        """The results in order.  Those that need 1 GiB pages come from a boot of their own, after the others."""
        done: dict[int, Result] = {}
        turns = sorted(range(len(scenarios)), key=lambda index: gigantic(scenarios[index]))
        following = 0
        for turn in turns:
            done[turn] = self._run(scenarios[turn], on_step)
            while following in done:
                yield done.pop(following)
                following += 1

    def _run(self, scenario: Scenario, on_step: OnStep | None) -> Result:
        if gigantic(scenario) and not self._big:
            return self._without(
                scenario, "skipped", f"1 GiB pages are left out here: pinhold run has them on {self.name}"
            )
        if len(self._failures) >= BOOTS:
            return self._without(scenario, self._failures[-1].kind, str(self._failures[-1]))
        try:
            guest = self._booted(gigantic(scenario))
            self._failures.clear()
        except LabError as reason:
            return self._without(scenario, "skipped", str(reason))
        except GuestLost as lost:
            self._failures.append(lost)
            return self._without(scenario, lost.kind, str(lost))
        try:
            return guest.run(scenario, on_step)
        except GuestLost as lost:
            self.close(gently=False)
            return self._without(scenario, lost.kind, str(lost), lost.steps)
        except BaseException:
            self.close(gently=False)
            raise

    def _without(self, scenario: Scenario, kind: str, reason: str, steps: tuple[StepRecord, ...] = ()) -> Result:
        at = steps[-1].index if steps else None
        return Result(self.name, scenario, Verdict(kind, None, reason, at), steps)

    def _booted(self, gigantic: bool) -> Conversation:
        """The guest, with 1 GiB pages where they are needed and this machine has the memory."""
        if self._stopped.is_set():
            raise LabError("it was stopped")
        if self._guest is not None and (self._gigantic or not gigantic):
            return self._guest
        self.close()
        room = gigantic and _free_mebibytes() >= MEMORY + GIGANTIC_PAGES * _GIB + _SPARE
        self._guest = self._boot(self._setup(room))
        self._gigantic = gigantic
        info = self._guest.info
        if self._info is None:
            self._info = replace(info, name=self.name, rules=info.rules or self.kernel.release)
        return self._guest

    def _boot(self, setup: Setup) -> Conversation:
        kind = accelerator(lambda trial: self._conversation(setup, trial).close())
        return self._conversation(setup, kind)

    def _conversation(self, setup: Setup, accelerator: str) -> Conversation:
        return Conversation(replace(setup, accelerator=accelerator), self.name, self._stopped)

    def _setup(self, gigantic: bool) -> Setup:
        kernel = self.kernel
        modules = Modules(kernel.modules).closure(DRIVERS) if kernel.modules else {}
        for extra in (kernel.pinprobe, self._module):
            if extra is not None:
                modules[extra.name.removesuffix(".ko")] = extra.read_bytes()
        unpacked = _unpacked(kernel)
        return Setup(
            kernel=unpacked or kernel.image,
            initramfs=build(modules, {"swap": SWAP}),
            memory=MEMORY + HUGE_PAGES * 2 + (GIGANTIC_PAGES * _GIB if gigantic else 0),
            swap=SWAP,
            huge=HUGE_PAGES,
            gigantic=GIGANTIC_PAGES if gigantic else 0,
            edu=True,
            icount=self._device or not (kernel.pinprobe or kernel.has("GUP_TEST")),
        )

    def stop(self) -> None:
        """See BatchTarget."""
        self._stopped.set()

    def close(self, gently: bool = True) -> None:
        """End the guest; the next scenario boots another."""
        guest, self._guest = self._guest, None
        if guest is not None:
            with suppress(OSError):
                guest.close(gently)


def _unpacked(kernel: Kernel) -> Path | None:
    """The stock kernel as ELF, which boots without unpacking itself; None where there is none."""
    if kernel.own:
        return None
    folder = next((path for path in kernel.image.parents if path.name == kernel.name), kernel.image.parent)
    return folder / "vmlinux" if (folder / "vmlinux").exists() else None


def gigantic(scenario: Scenario) -> bool:
    """Whether it maps 1 GiB pages."""
    return any(isinstance(step, Map) and step.size == "1G" for step in scenario.steps)


def _free_mebibytes() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        found = dict(line.split(":", 1) for line in file)
    return int(found["MemAvailable"].split()[0]) // 1024
