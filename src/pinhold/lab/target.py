"""`vm:REL` and `vm:PATH`: a kernel in QEMU as a target.

One boot serves all scenarios of a run that need the same machine; several guests of one kernel share a long run.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from pinhold.lab import disk, layout
from pinhold.lab.conversation import Conversation, GuestLost
from pinhold.lab.errors import LabError
from pinhold.lab.initramfs import build
from pinhold.lab.kconfig import configuration, suspected, text, unbootable
from pinhold.lab.kvm import accelerator
from pinhold.lab.lane import Lane, Look
from pinhold.lab.luggage import Luggage
from pinhold.lab.modules import Modules, needs
from pinhold.lab.own import own_kernel, version
from pinhold.lab.qemu import Setup, missing
from pinhold.lab.store import Kernel, Store
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Scenario
from pinhold.scenario.watch import gigantic
from pinhold.targets.base import SCHEDULED, CannotDo, Session, Unavailable
from pinhold.targets.live.pins import gup_test
from pinhold.targets.live.pins.release import release_of
from pinhold.targets.live.progress import DEADLINE
from pinhold.targets.runner import Result

MEMORY = 640
"""MiB: the interpreter, a few processes, and the pages of a scenario."""

HUGE_PAGES = 16
GIGANTIC_PAGES = 4
SWAP = 256
FILES = 256
"""MiB of the disks, of which the machine gives what is written to them."""

DEVICES = 2
"""Edu devices: so many pins by VFIO at a time."""

DRIVERS = (
    "virtio_pci",
    "virtio_blk",
    "crc32c_generic",  # ext4 asks for "crc32c", which is no module's name
    "crc32c_cryptoapi",
    "ext4",
    "vfio_iommu_type1",
    "vfio_pci",
)
ZRAM = ("lzo_rle", "lz4", "zstd", "zram")
PINPROBE = "pinprobe"
WORTH_A_BOOT = 16
"""So many scenarios take about as long as a boot."""

EARLY = "earlyprintk=serial,ttyS0,115200"
"""So that a kernel is heard that ends before it has a console, or cannot unpack itself: for one's own alone."""

_GIB = 1024
_SPARE = 2048
"""MiB that a guest leaves to the rest of the machine."""


def kernel_of(wanted: str, store: Store | None = None) -> Kernel:
    """The kernel that "vm:" is followed by: a name or a series in the store, or the path of a bzImage."""
    if "/" in wanted or os.path.exists(wanted):
        return own_kernel(Path(wanted))
    return (store or Store()).find(wanted)


class Counter(Protocol):
    """Looks at the guests of one lane from outside."""

    def counted(self, run: Callable[[Look], Result]) -> Result:
        """What a run comes to, with counts in its observations; `run` is given what has to look after each step."""

    def close(self) -> None:
        """Nothing is kept of any guest."""


class VmTarget:
    """One kernel.

    luggage: what the user gives its guests.  big: whether scenarios with 1 GiB pages are run: they take gigabytes and
    most of the time.  device: pins are read by the edu device.  deadline: seconds of processor time of one step.
    counting: makes what looks at guests from outside, so that observations have counts (counts.Counter), by the
    target's name.
    """

    def __init__(
        self,
        wanted: str,
        kernel: Kernel | None = None,
        luggage: Luggage = Luggage(),  # noqa: B008
        big: bool = True,
        device: bool = False,
        deadline: float = DEADLINE,
        counting: Callable[[str], Counter] | None = None,
    ) -> None:
        """Raises LabError where there is no such kernel."""
        self.big = big
        self._device = device
        self._deadline = deadline
        self.counting = counting
        self._counters: dict[Lane, Counter] = {}
        self._stopped = threading.Event()
        self.name = self.what = f"vm:{wanted}"
        self.kernel = kernel or kernel_of(wanted)
        self._luggage = luggage
        self._lanes: list[Lane] = []
        self._share = 1
        self._info: TargetInfo | None = None

    def _lane(self) -> Lane:
        return Lane(self.name, self._boot)

    def _first(self) -> Lane:
        if not self._lanes:
            self._lanes.append(self._lane())
        return self._lanes[0]

    def share(self, guests: int) -> None:
        """Let so many guests of this kernel run side by side, where a run is long enough."""
        self._share = guests

    def unavailable(self) -> str | None:
        """Why no guest can be booted here, found out without booting."""
        return missing()

    def info(self) -> TargetInfo:
        """Boots the kernel, where it has not been booted yet.  Raises Unavailable."""
        if self._info is None:
            try:
                info = self._first().booted(gigantic=False).info
            except (GuestLost, LabError) as reason:
                raise Unavailable(str(reason)) from None
            config = {**info.config, **self._gigantic()}
            rules = info.rules or self.kernel.release
            self._info = replace(info, name=self.name, what=self.what, config=config, rules=rules)
        return self._info

    def _gigantic(self) -> dict[str, str]:
        """The pool of 1 GiB pages, which a guest of its own has; nothing where this machine has no memory for it."""
        here = self.big and _room_for_gigantic()
        return {"hugetlb_1G": f"{GIGANTIC_PAGES} free of {GIGANTIC_PAGES}"} if here else {}

    def open(self, scenario: Scenario) -> AbstractContextManager[Session]:
        """Scenarios run as a whole in the guest: run_all() does it."""
        raise CannotDo("a guest runs whole scenarios")

    def run_all(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """The results in order.  Those that need 1 GiB pages come from a boot of their own."""
        lanes = min(self._share, 1 + len(scenarios) // WORTH_A_BOOT)
        while len(self._lanes) < lanes:
            self._lanes.append(self._lane())
        turns = _Turns(scenarios)
        runs = self._one_by_one(scenarios, turns) if lanes == 1 else self._side_by_side(scenarios, turns, lanes)
        return _in_order(runs)

    def watch(self, scenario: Scenario, look: Look) -> Result:
        """One scenario; after each step `look` is called with the guest and the record of the step, while the guest's
        agent waits: seen.py looks at its kernel."""
        return self._run(self._first(), scenario, look)

    def _one_by_one(self, scenarios: Sequence[Scenario], turns: _Turns) -> Iterator[tuple[int, Result]]:
        """(which, result) in the order in which they end."""
        while (turn := turns.take(gigantic_first=False)) is not None:
            yield turn, self._run(self._first(), scenarios[turn])

    def _side_by_side(self, scenarios: Sequence[Scenario], turns: _Turns, lanes: int) -> Iterator[tuple[int, Result]]:
        """The same, from several guests.  The last one has the 1 GiB pages, and begins with them."""
        ended: SimpleQueue[tuple[int, Result] | BaseException] = SimpleQueue()

        def work(lane: Lane, last: bool) -> None:
            try:
                while (turn := turns.take(last) if last else turns.take_small()) is not None:
                    ended.put((turn, self._run(lane, scenarios[turn])))
            except BaseException as defect:
                ended.put(defect)
            finally:
                lane.close()  # a guest dies with the thread that has booted it

        with ThreadPoolExecutor(lanes) as pool:
            for number, lane in enumerate(self._lanes[:lanes], 1):
                pool.submit(work, lane, number == lanes)
            left = len(scenarios)
            try:
                while left:
                    end = ended.get()
                    if isinstance(end, BaseException):
                        raise end
                    left -= 1
                    yield end
            finally:
                if left:
                    turns.clear()
                    self._stopped.set()

    def _run(self, lane: Lane, scenario: Scenario, look: Look | None = None) -> Result:
        if scenario.small is not None:
            return lane.without(scenario, "skipped", SCHEDULED)
        if gigantic(scenario) and not self.big:
            return lane.without(scenario, "skipped", "1 GiB pages are left out on this target; with --on it has them")
        if self.counting is None or look is not None:
            return lane.run(scenario, look)
        if lane not in self._counters:
            self._counters[lane] = self.counting(self.name)
        return self._counters[lane].counted(partial(lane.run, scenario))

    def _boot(self, gigantic: bool) -> Conversation:
        """A guest, with 1 GiB pages where they are needed and this machine has the memory."""
        if self._stopped.is_set():
            raise LabError("it was stopped")
        if reason := missing() or unbootable(self.kernel):
            raise LabError(reason)
        setup = self._setup(gigantic and _room_for_gigantic())
        kind = accelerator(lambda trial: self._conversation(setup, trial).close())
        guest = self._conversation(setup, kind)
        for name in self._luggage.names():
            if name in guest.missing:
                console = guest.console()
                guest.close()
                said = f"; the end of its console: {console}" if console else ""
                raise LabError(f"{name} cannot be had in this guest: {guest.missing[name]}{said}")
        return guest

    def _conversation(self, setup: Setup, accelerator: str) -> Conversation:
        try:
            return Conversation(replace(setup, accelerator=accelerator), self.name, self._stopped, self._deadline)
        except GuestLost as lost:
            hint = suspected(self.kernel, str(lost))
            raise GuestLost(lost.kind, f"{lost}; {hint}") if hint else lost from None

    def _setup(self, gigantic: bool) -> Setup:
        kernel = self.kernel
        zram = self._luggage.swap == "zram"
        own = self._luggage.code(version(kernel.image) if len(self._luggage.modules) > 1 else None)
        wanted = [*DRIVERS, *(ZRAM if zram else ()), *(name for code in own.values() for name in needs(code))]
        modules = Modules(kernel.modules).closure(wanted) if kernel.modules else {}
        if kernel.pinprobe is not None:
            modules[PINPROBE] = kernel.pinprobe.read_bytes()
        modules |= own
        no_files = disk.missing()
        settings = {
            "zram" if zram else "swap": SWAP,
            "programs": self._luggage.commands(),
            "reply": self._luggage.reply,
            "deadline": self._deadline,
            "absent": {layout.FILES: no_files} if no_files else {},
        }
        unpacked = _unpacked(kernel)
        return Setup(
            kernel=unpacked or kernel.image,
            initramfs=build(modules, settings, {**self._luggage.files(), **_config_file(kernel)}),
            memory=MEMORY + HUGE_PAGES * 2 + (GIGANTIC_PAGES * _GIB if gigantic else 0),
            swap=SWAP,
            files=0 if no_files else FILES,
            huge=HUGE_PAGES,
            gigantic=GIGANTIC_PAGES if gigantic else 0,
            edu=DEVICES,
            icount=self._device or not (kernel.pinprobe or _has_gup_test(kernel)),
            append=EARLY if kernel.own else "",
        )

    def stop(self) -> None:
        """See BatchTarget."""
        self._stopped.set()

    def close(self) -> None:
        """End the guests; the next scenario boots another."""
        for counter in self._counters.values():
            counter.close()
        self._counters.clear()
        for lane in self._lanes:
            lane.close()


class _Turns:
    """Which scenario is whose: indices, each given out once."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self._small = deque(index for index, s in enumerate(scenarios) if not gigantic(s))
        self._gigantic = deque(index for index, s in enumerate(scenarios) if gigantic(s))

    def take(self, gigantic_first: bool) -> int | None:
        """The next one, of those with 1 GiB pages first or last; None where none is left."""
        kinds = (self._gigantic, self._small) if gigantic_first else (self._small, self._gigantic)
        for kind in kinds:
            with suppress(IndexError):
                return kind.popleft()
        return None

    def take_small(self) -> int | None:
        """The next one without 1 GiB pages."""
        with suppress(IndexError):
            return self._small.popleft()
        return None

    def clear(self) -> None:
        """Give out no more."""
        self._small.clear()
        self._gigantic.clear()


def _in_order(runs: Iterator[tuple[int, Result]]) -> Iterator[Result]:
    """Results in the order of their numbers, each as soon as it and all before it are there."""
    done: dict[int, Result] = {}
    following = 0
    for number, result in runs:
        done[number] = result
        while following in done:
            yield done.pop(following)
            following += 1


def _has_gup_test(kernel: Kernel) -> bool:
    """Whether pins go by gup_test, which is known of a kernel that is new enough."""
    return configuration(kernel).get("GUP_TEST") == "y" and release_of(kernel.release) >= gup_test.FIRST


def _config_file(kernel: Kernel) -> dict[str, bytes]:
    """The kernel's configuration, where the guest looks for it."""
    known = text(kernel)
    return {f"/boot/config-{version(kernel.image)}": known.encode()} if known else {}


def _unpacked(kernel: Kernel) -> Path | None:
    """The stock kernel as ELF, which boots without unpacking itself; None where there is none."""
    if kernel.own:
        return None
    folder = next((path for path in kernel.image.parents if path.name == kernel.name), kernel.image.parent)
    return folder / "vmlinux" if (folder / "vmlinux").exists() else None


def _room_for_gigantic() -> bool:
    return _free_mebibytes() >= MEMORY + GIGANTIC_PAGES * _GIB + _SPARE


def _free_mebibytes() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        found = dict(line.split(":", 1) for line in file)
    return int(found["MemAvailable"].split()[0]) // 1024
