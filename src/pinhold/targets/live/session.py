"""One scenario on the running kernel."""

from __future__ import annotations

import builtins
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from pinhold.scenario.hugepages import USUAL, hugepages_needed
from pinhold.scenario.observation import FrameNames, Observation, Run
from pinhold.scenario.steps import (
    Action,
    Advance,
    Capability,
    ClearSoftDirty,
    DeviceRead,
    DeviceWrite,
    DirectRead,
    DirectWrite,
    Drain,
    Exit,
    Fork,
    Hold,
    IoUring,
    Ksm,
    LimitMemlock,
    Madvise,
    Map,
    Mprotect,
    Mremap,
    NumaHint,
    Pin,
    Poke,
    ProcessVmReadv,
    ProcessVmWritev,
    Range,
    Read,
    Scenario,
    Schedule,
    Settle,
    Start,
    Step,
    SwapIn,
    SwapOut,
    UffdioContinue,
    Unmap,
    Unpin,
    Vmsplice,
    Write,
    Writeback,
)
from pinhold.scenario.watch import region_pages, watched
from pinhold.targets.base import SCHEDULED, Broken, CannotDo, Outcome
from pinhold.targets.dispatch import on
from pinhold.targets.live import ksmd, pagemap
from pinhold.targets.live import protocol as p
from pinhold.targets.live.files import Files
from pinhold.targets.live.kernel import RunningKernel
from pinhold.targets.live.looking import Looking
from pinhold.targets.live.nursery import Nursery
from pinhold.targets.live.pagemap import Sight
from pinhold.targets.live.pins.external import External
from pinhold.targets.live.process import process_name
from pinhold.targets.live.progress import Deadline, Overdue
from pinhold.targets.live.syscalls import PAGE
from pinhold.targets.live.taking import LivePins
from pinhold.targets.live.tree import Died, Tree
from pinhold.targets.live.views import Known, Views

_AWAITED = 512

_WRITEBACK = Deadline(60.0, 60.0)
"""A device that has not written by then, whoever else it serves, will not."""


class LiveSession:
    """See targets.base.Session.  external: programs of the user's that pin, preferred to the built-in mechanisms."""

    def __init__(
        self,
        scenario: Scenario,
        kernel: RunningKernel,
        sight: Sight,
        nursery: Nursery,
        deadline: Deadline,
        external: Mapping[str, External] | None = None,
    ) -> None:
        self._scenario = scenario
        self._kernel = kernel
        self._sight = sight
        names = FrameNames()
        self._views = Views(watched(scenario), sight, names)
        self._hugepages = hugepages_needed(scenario)
        self._pools: set[str] = set()
        self._tree = Tree(nursery, deadline)
        self._files = Files()
        self._regions: dict[str, dict[str, Known]] = {}
        self._freed: set[str] = set()
        self._pins = LivePins(scenario, self._tree, external or {})
        self._looking = Looking(self._tree, sight, self._views, names, self._pins)
        self._mapped = 0
        self._merged = False
        self._errno = 0

    def pools(self) -> Mapping[str, str]:
        return self._kernel.pools()

    def start(self) -> None:
        """Start the process P."""
        ksmd.stop(self._kernel)
        try:
            self._tree.start("P", self._views.watch())
        except Died as death:
            raise Broken(f"{death} before the first step") from None
        self._regions["P"] = {}

    def close(self) -> None:
        """Raises Broken where a process cannot be killed."""
        with ExitStack() as last:
            last.callback(self._views.close)
            last.callback(self._files.close)
            if self._merged:
                last.callback(ksmd.forget, self._kernel)
            last.callback(self._tree.close)
            for name in self._pins.names():
                last.callback(self._pins.release, name)

    def do(self, action: Action) -> Outcome:
        """Do one step.  A process that is killed by the step is EFAULT, with a note that says so.

        Raises CannotDo, before anything is done, where a place that it names is not mapped.
        """
        for place in action.places():
            self._region(place.proc, place.range.region)
        self._pins.forget_contents()
        self._tree.stale()
        self._looking.after(action)
        try:
            outcome = DO[type(action)](self, action)
        except Died as death:
            if death.signal not in (signal.SIGSEGV, signal.SIGBUS):
                raise Broken(f"{death}") from None
            outcome = Outcome(errno.EFAULT, str(death))
        self._errno = outcome.errno
        return outcome

    # Actions

    def _ask(self, proc: str, request: p.Request[p.Done]) -> Outcome:
        try:
            self._tree.ask(proc, request)
        except OSError as error:
            return Outcome(error.errno or errno.EIO)
        return Outcome()

    def _region(self, proc: str, name: str) -> Known:
        try:
            return self._regions[proc][name]
        except KeyError:
            raise CannotDo(f"{name} is not mapped in {proc}: the step that maps it failed or came later") from None

    def _pages(self, proc: str, range: Range) -> p.Pages:
        pages = self._region(proc, range.region).pages
        return p.Pages(range.region, range.first, pages if range.end is None else range.end)

    def _unmap(self, step: Unmap) -> Outcome:
        return self._ask(step.proc, p.Unmap(*self._pages(step.proc, step.range)))

    def _read(self, step: Read | SwapIn) -> Outcome:
        return self._ask(step.proc, p.Read(*self._pages(step.proc, step.range)))

    def _write(self, step: Write) -> Outcome:
        return self._ask(step.proc, p.Write(*self._pages(step.proc, step.range), step.byte))

    def _mprotect(self, step: Mprotect) -> Outcome:
        return self._ask(step.proc, p.Mprotect(*self._pages(step.proc, step.range), step.prot))

    def _uffdio_continue(self, step: UffdioContinue) -> Outcome:
        return self._ask(step.proc, p.UffdioContinue(*self._pages(step.proc, step.range)))

    def _writeback(self, step: Writeback) -> Outcome:
        return self._ask(step.proc, p.Writeback(*self._pages(step.proc, step.range)))

    def _numa_hint(self, _: NumaHint) -> Outcome:
        raise CannotDo("a NUMA scan comes when the scheduler likes, not when a scenario does; run it on a model")

    def _drain(self, _: Drain) -> Outcome:
        return self._ask(next(iter(self._tree.names())), p.Drain())

    def _memlock(self, step: LimitMemlock) -> Outcome:
        return self._ask(step.proc, p.LimitMemlock(step.pages))

    def _capability(self, step: Capability) -> Outcome:
        return self._ask(step.proc, p.Capability(step.ipc_lock))

    def _hold(self, step: Hold) -> Outcome:
        return self._pins.take(step, self._pages(step.proc, step.range))

    def _process_vm_readv(self, step: ProcessVmReadv) -> Outcome:
        return self._pins.copy(step, "process_vm", self._pages(step.proc, step.range))

    def _process_vm_writev(self, step: ProcessVmWritev) -> Outcome:
        return self._pins.fill(step, "process_vm", self._pages(step.proc, step.range))

    def _direct_write(self, step: DirectWrite) -> Outcome:
        self._refuse(self._kernel.missing_files())
        return self._pins.copy(step, "direct_io", self._pages(step.proc, step.range))

    def _direct_read(self, step: DirectRead) -> Outcome:
        self._refuse(self._kernel.missing_files())
        return self._pins.fill(step, "direct_io", self._pages(step.proc, step.range))

    def _poke(self, step: Poke) -> Outcome:
        return self._pins.poke(step, self._pages(step.proc, step.range))

    def _unpin(self, step: Unpin) -> Outcome:
        self._pins.release(step.pin)
        return Outcome()

    def _device_read(self, step: DeviceRead) -> Outcome:
        self.pin_contents(step.pin)
        return Outcome()

    def _device_write(self, step: DeviceWrite) -> Outcome:
        return self._pins.write_through(step.pin, step.byte)

    def _schedule(self, _: Schedule) -> Outcome:
        raise CannotDo(SCHEDULED)

    def _map(self, step: Map) -> Outcome:
        pages = region_pages(step)
        kind = step.memory
        if kind.thp:
            self._refuse(self._kernel.missing_thp(zero=kind.zero))
        if kind.on_disk:
            self._refuse(self._kernel.missing_files())
        if not kind.hugetlb:
            self._mapped += pages * PAGE
            self._refuse(self._kernel.missing_memory(self._mapped))
        else:
            self._refuse_without_hugepages(step)
        try:
            file = self._files.for_map(step, pages)
        except OSError as error:
            number = error.errno or errno.EIO
            return self._mapped_or_not(step, errno.ENOMEM if self._pool_is_short(step, number) else number)
        size = (step.size or "2M") if kind.hugetlb else None
        request = p.Map(step.region, step.kind, pages, step.shared, step.prot, size)
        try:
            made = self._tree.ask(step.proc, request, [] if file is None else [file])
        except OSError as error:
            return self._mapped_or_not(step, error.errno or errno.EIO)
        huge = "pud" if size == "1G" else "pmd"
        self._regions[step.proc][step.region] = Known(made.address, pages, kind, step.shared, huge)
        return self._mapped_or_not(step, 0)

    def _mapped_or_not(self, step: Map, number: int) -> Outcome:
        if number:
            self._files.forget(step.region)
        return Outcome(number, self._missing_hugepages(step) if self._pool_is_short(step, number) else None)

    def _pool_is_short(self, step: Map, number: int) -> bool:
        """A file in huge pages fails with ENOSPC on some kernels."""
        return step.memory.hugetlb and number in (errno.ENOMEM, errno.ENOSPC)

    def _missing_hugepages(self, step: Map) -> str:
        size = step.size or "2M"
        return self._kernel.missing_hugepages(size, self._hugepages[size])

    def _refuse_without_hugepages(self, step: Map) -> None:
        """Before the first of them is mapped: a process that gets none when it writes is killed by the kernel.

        A scenario that needs more than the usual pool has is about just that.
        """
        size = step.size or "2M"
        if size in self._pools:
            return
        self._pools.add(size)
        pool = self._kernel.hugepages(size)
        if pool is None or pool.to_be_had < self._hugepages[size] <= USUAL[size]:
            raise CannotDo(self._missing_hugepages(step))

    def _refuse(self, reason: str | None) -> None:
        if reason is not None:
            raise CannotDo(reason)

    def _fork(self, step: Fork) -> Outcome:
        number = self._tree.fork(step.proc, step.child)
        if number == 0:
            self._regions[step.child] = dict(self._regions[step.proc])
        return Outcome(number)

    def _exit(self, step: Exit) -> Outcome:
        """A process takes its pins with it: their descriptors close after its memory is gone, as in do_exit()."""
        self._tree.exit(step.proc)
        self._pins.exited(step.proc)
        return Outcome()

    def _madvise(self, step: Madvise) -> Outcome:
        return self._advise(step.proc, step.range, step.advice)

    def _advise(self, proc: str, range: Range, advice: str) -> Outcome:
        """Page-out needs swap, except for what is on disk or was advised to be free: that goes without."""
        if advice == "free":
            self._freed.add(range.region)
        if advice != "pageout":
            return self._ask(proc, p.Madvise(*self._pages(proc, range), advice))
        if not self._region(proc, range.region).kind.on_disk and range.region not in self._freed:
            self._refuse(self._kernel.missing_swap())
        frames = self._frames(proc, range)
        outcome = self._ask(proc, p.Madvise(*self._pages(proc, range), advice))
        self._await_writeback(frames)
        return outcome

    def _frames(self, proc: str, range: Range) -> list[int]:
        """The frame numbers of the range's pages (of the first ones, where they are many) that are present."""
        return [frame for frame in self._frames_of_pages(proc, range) if frame is not None]

    def _frames_of_pages(self, proc: str, range: Range) -> list[int | None]:
        """Page by page the frame number, of the first ones where they are many; None: not present, or not shown."""
        span = self._pages(proc, range)
        pages = [*builtins.range(span.first, min(span.end, span.first + _AWAITED))]
        return [pagemap.pfn(word) for word in self._tree.look(proc, p.Frames(range.region, pages)).words]

    def _await_writeback(self, frames: Sequence[int]) -> None:
        """Let the device finish: until then nobody can take the pages out of the swap cache, and a write copies them.
        Without privilege the frames are not known, and nobody waits."""
        patience = _WRITEBACK.patience([os.getpid()])
        for frame in frames:
            while self._views.is_written_back(frame):
                self._tree.stale()
                try:
                    patience()
                except Overdue:
                    raise CannotDo(f"needs a faster swap device: not written in {_WRITEBACK.asleep:g} s") from None
                time.sleep(0.001)

    def _swap_out(self, step: SwapOut) -> Outcome:
        outcome = self._advise(step.proc, step.range, "pageout")
        if outcome.errno:
            return outcome
        states = self._states(step.proc, step.range)
        stayed = sum(count for _, count, state in states if state in ("present", "huge"))
        return Outcome(errno.EBUSY, f"{stayed} pages stayed in memory") if stayed else outcome

    def _ksm(self, step: Ksm) -> Outcome:
        """Advise both ranges and wait for ksmd; what it has not merged after some whole scans, it keeps apart."""
        self._refuse(self._kernel.missing_ksm())
        self._refuse(ksmd.neighbour(self._kernel, self._tree.pids()))
        if not self._sight.frames:
            raise CannotDo("needs to see page frames, to know when KSM has merged two pages (CAP_SYS_ADMIN)")
        for proc, range in ((step.proc, step.range), (step.other_proc, step.other_range)):
            outcome = self._ask(proc, p.Madvise(*self._pages(proc, range), "mergeable"))
            if outcome.errno:
                return outcome
        self._merged = True

        def apart() -> int:
            frames = self._frames_of_pages(step.proc, step.range)
            others = self._frames_of_pages(step.other_proc, step.other_range)
            return sum(one is None or one != other for one, other in zip(frames, others, strict=False))

        with ksmd.running(self._kernel):
            ksmd.wait(self._kernel, self._tree.pids(), lambda: apart() == 0)
        self._tree.stale()
        stayed = apart()
        return Outcome(0, f"{stayed} pages stayed apart") if stayed else Outcome()

    def _mremap(self, step: Mremap) -> Outcome:
        pages = self._pages(step.proc, step.range)
        of = self._region(step.proc, step.range.region)
        part = pages.end - pages.first < of.pages
        if part and of.kind.hugetlb and not of.shared and not self._kernel.disposable:
            raise CannotDo(
                "mremap() of a part of a private hugetlb mapping: the kernel would lose the reserve of what stays, and"
                " this machine that many huge pages until it is booted again; a scenario with a vm_only line is for"
                " virtual machines"
            )
        try:
            moved = self._tree.ask(step.proc, p.Mremap(*pages, step.to))
        except OSError as error:
            return Outcome(error.errno or errno.EIO)
        self._regions[step.proc][step.to] = replace(of, address=moved.address, pages=moved.pages)
        self._files.share(step.range.region, step.to)
        return Outcome()

    def _clear_softdirty(self, step: ClearSoftDirty) -> Outcome:
        if not self._sight.soft_dirty:
            raise CannotDo(
                "this kernel tracks no soft-dirty (CONFIG_MEM_SOFT_DIRTY is off), so the page would not stay read-only"
            )
        return self._ask(step.proc, p.ClearSoftDirty())

    def pin_contents(self, pin: str) -> Sequence[Run]:
        """Every page that the pin holds, or that was copied, numbered from 0."""
        return self._pins.contents(pin)

    # Looking

    def places(self) -> dict[str, tuple[int, dict[str, int]]]:
        """Of each live process its pid and where its regions are, for who looks at the kernel from outside."""
        return {
            name: (self._tree.pid(name), {region: known.address for region, known in self._regions[name].items()})
            for name in self._tree.names()
        }

    def observe(self) -> Observation:
        """Every watched page of every live process, first and last page of every live pin."""
        return Observation(self._errno, *self._looking.at(self._regions, self._merged))

    def contents(self, proc: str, range: Range) -> Sequence[Run]:
        """What the process reads where its pages are present, page by page."""
        runs = self._tree.look(proc, p.Contents(*self._pages(proc, range))).runs
        return [Run(first, count, byte) for first, count, byte in runs]

    def _states(self, proc: str, range: Range) -> list[tuple[int, int, str]]:
        reply = self._tree.look(proc, p.States(*self._pages(proc, range)))
        if not reply.huge_known and any(state == "present" for _, _, state in reply.runs):
            raise CannotDo("this kernel does not show which pages are mapped by a huge entry")
        return [(first, count, state) for first, count, state in reply.runs]

    def unsound(self) -> Sequence[str]:
        """No kernel tells it."""
        raise CannotDo("only a model knows whether every safety property holds")

    def page_state(self, proc: str, range: Range) -> Sequence[tuple[int, int, str]]:
        """(first, count, state): "huge" where one huge entry maps the pages."""
        return self._states(proc, range)

    def pin_counters(self) -> tuple[int, int] | None:
        """(acquired, released) FOLL_PIN references of the whole system; None where they are not exact."""
        return pagemap.pin_counters()

    @property
    def leader(self) -> int:
        """The pid of the scenario's first process, which is also its session and its process group."""
        return self._tree.leader

    def kernel_names(self) -> tuple[str, ...]:
        """The words by which the kernel's log names the scenario's processes, and this program."""
        return process_name(self.leader), f"PID: {os.getpid()}"


DO: Mapping[type[Step], Callable[[LiveSession, Any], Outcome]] = dict(
    (
        on(Map, LiveSession._map),
        on(Unmap, LiveSession._unmap),
        on(Read, LiveSession._read),
        on(Write, LiveSession._write),
        on(Fork, LiveSession._fork),
        on(Exit, LiveSession._exit),
        on(Mprotect, LiveSession._mprotect),
        on(Madvise, LiveSession._madvise),
        on(Mremap, LiveSession._mremap),
        on(SwapOut, LiveSession._swap_out),
        on(SwapIn, LiveSession._read),
        on(UffdioContinue, LiveSession._uffdio_continue),
        on(Writeback, LiveSession._writeback),
        on(NumaHint, LiveSession._numa_hint),
        on(Ksm, LiveSession._ksm),
        on(ClearSoftDirty, LiveSession._clear_softdirty),
        on(Drain, LiveSession._drain),
        on(LimitMemlock, LiveSession._memlock),
        on(Capability, LiveSession._capability),
        on(Pin, LiveSession._hold),
        on(Vmsplice, LiveSession._hold),
        on(IoUring, LiveSession._hold),
        on(Unpin, LiveSession._unpin),
        on(ProcessVmReadv, LiveSession._process_vm_readv),
        on(ProcessVmWritev, LiveSession._process_vm_writev),
        on(DirectWrite, LiveSession._direct_write),
        on(DirectRead, LiveSession._direct_read),
        on(Poke, LiveSession._poke),
        on(DeviceRead, LiveSession._device_read),
        on(DeviceWrite, LiveSession._device_write),
        on(Start, LiveSession._schedule),
        on(Advance, LiveSession._schedule),
        on(Settle, LiveSession._schedule),
    )
)
"""What does each action."""
