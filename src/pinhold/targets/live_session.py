"""One scenario on the running kernel."""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from pinhold.scenario.observation import FrameNames, Observation, PageView, PinView, Run
from pinhold.scenario.step import (
    Action,
    Capability,
    ClearSoftDirty,
    DeviceRead,
    DeviceWrite,
    Drain,
    Exit,
    ExpectPinByte,
    ExpectPinSees,
    Fork,
    LimitMemlock,
    Madvise,
    Map,
    Mprotect,
    Mremap,
    Pin,
    Range,
    Read,
    Scenario,
    SwapIn,
    SwapOut,
    Unmap,
    Unpin,
    Vmsplice,
    Write,
)
from pinhold.scenario.watch import region_pages, watched
from pinhold.targets import pagemap
from pinhold.targets.base import Broken, CannotDo, Outcome
from pinhold.targets.channel import Message
from pinhold.targets.files import Files
from pinhold.targets.machine import Machine
from pinhold.targets.nursery import Nursery
from pinhold.targets.pagemap import FrameWords, Sight
from pinhold.targets.pins import MECHANISMS
from pinhold.targets.pins.base import FOLL_GET, Mechanism, Need, choose
from pinhold.targets.syscalls import PAGE
from pinhold.targets.tree import Died, Tree

HUGE_KINDS = ("thp", "hugezero")
HUGETLB_KINDS = ("hugetlb", "memfd_hugetlb")
ON_DISK = ("tmpfile", "file")


@dataclass(frozen=True, slots=True)
class Known:
    """What the controller knows of a region: its base pages, its kind, and whether it is shared."""

    pages: int
    kind: str
    shared: bool


@dataclass(slots=True)
class Held:
    """A live pin of process `proc`.  frames: raw frame numbers of its first and last page, as the page table had them
    when the pin was taken; contents: what was read through it since the last action."""

    proc: str
    mechanism: Mechanism
    fds: list[int]
    pages: int
    frames: dict[int, int | None] = field(default_factory=dict)
    contents: list[Run] | None = None


class LiveSession:
    """See targets.base.Session."""

    def __init__(
        self,
        scenario: Scenario,
        machine: Machine,
        sight: Sight,
        nursery: Nursery,
        step_seconds: float,
        whole_seconds: float,
    ) -> None:
        self._scenario = scenario
        self._machine = machine
        self._sight = sight
        self._watched = watched(scenario)
        self._tree = Tree(nursery, step_seconds, whole_seconds)
        self._files = Files()
        self._frame_words = FrameWords()
        self._names = FrameNames()
        self._regions: dict[str, dict[str, Known]] = {}
        self._pins: dict[str, Held] = {}
        self._mapped = 0
        self._errno = 0

    def start(self) -> None:
        """Start the process P."""
        try:
            self._tree.start("P")
        except Died as death:
            raise Broken(f"{death} before the first step") from None
        self._regions["P"] = {}

    def close(self) -> None:
        """Raises Broken where a process cannot be killed."""
        with ExitStack() as last:
            last.callback(self._frame_words.close)
            last.callback(self._files.close)
            last.callback(self._tree.close)
            for name in list(self._pins):
                last.callback(self._release, name)

    def do(self, action: Action) -> Outcome:
        """Do one step.  A process that is killed by the step is EFAULT, with a note that says so."""
        for pin in self._pins.values():
            pin.contents = None
        try:
            outcome = self._do(action)
        except Died as death:
            if death.signal not in (signal.SIGSEGV, signal.SIGBUS):
                raise Broken(f"{death}") from None
            outcome = Outcome(errno.EFAULT, str(death))
        self._errno = outcome.errno
        return outcome

    def _do(self, action: Action) -> Outcome:  # noqa: PLR0911, PLR0912
        match action:
            case Map():
                return self._map(action)
            case Unmap(proc, range):
                return self._act(proc, "unmap", range)
            case Read(proc, range) | SwapIn(proc, range):
                return self._act(proc, "read", range)
            case Write(proc, range, byte):
                return self._act(proc, "write", range, byte=byte)
            case Fork(proc, child):
                return self._fork(proc, child)
            case Exit(proc):
                return self._exit(proc)
            case Mprotect(proc, range, prot):
                return self._act(proc, "mprotect", range, prot=prot)
            case Madvise(proc, range, advice):
                return self._madvise(proc, range, advice)
            case Mremap():
                return self._mremap(action)
            case SwapOut(proc, range):
                return self._swap_out(proc, range)
            case ClearSoftDirty(proc):
                return self._clear_softdirty(proc)
            case Drain():
                return self._ask(next(iter(self._tree.names())), "drain")
            case LimitMemlock(proc, pages):
                return self._ask(proc, "memlock", pages=pages)
            case Capability(proc, on):
                return self._ask(proc, "capability", on=on)
            case Pin() | Vmsplice():
                return self._take(action)
            case Unpin(pin):
                self._release(pin)
                return Outcome()
            case DeviceRead(pin):
                self.pin_contents(pin)
                return Outcome()
            case DeviceWrite(pin):
                raise CannotDo(f"{self._pin(pin).mechanism.name} cannot write through a pin")

    # Actions

    def _ask(self, proc: str, op: str, **arguments: Any) -> Outcome:
        reply, _ = self._tree.ask(proc, {"op": op, **arguments})
        return Outcome(int(reply.get("errno", 0)))

    def _region(self, proc: str, name: str) -> Known:
        try:
            return self._regions[proc][name]
        except KeyError:
            raise CannotDo(f"{name} is not mapped in {proc}: the step that maps it failed or came later") from None

    def _pages(self, proc: str, range: Range) -> Message:
        end = self._region(proc, range.region).pages if range.end is None else range.end
        return {"region": range.region, "first": range.first, "end": end}

    def _act(self, proc: str, op: str, range: Range, **arguments: Any) -> Outcome:
        return self._ask(proc, op, **self._pages(proc, range), **arguments)

    def _map(self, step: Map) -> Outcome:
        pages = region_pages(step)
        if step.kind in HUGE_KINDS:
            self._refuse(self._machine.missing_thp(step.kind))
        if step.kind not in HUGETLB_KINDS:
            self._mapped += pages * PAGE
            self._refuse(self._machine.missing_memory(self._mapped))
        elif self._machine.free_hugepages(step.size or "2M") is None:
            raise CannotDo(self._machine.missing_hugepages(step.size or "2M", pages))
        try:
            file = self._files.for_map(step, pages)
        except OSError as error:
            number = errno.ENOMEM if step.kind in HUGETLB_KINDS else error.errno or errno.EIO
            return self._mapped_or_not(step, pages, number)
        message = {
            "op": "map",
            "region": step.region,
            "kind": step.kind,
            "pages": pages,
            "shared": step.shared,
            "prot": step.prot,
            "size": (step.size or "2M") if step.kind in HUGETLB_KINDS else None,
        }
        reply, _ = self._tree.ask(step.proc, message, [] if file is None else [file])
        number = int(reply.get("errno", 0))
        if number == 0:
            self._regions[step.proc][step.region] = Known(pages, step.kind, step.shared)
        return self._mapped_or_not(step, pages, number)

    def _mapped_or_not(self, step: Map, pages: int, number: int) -> Outcome:
        if number and step.kind in HUGETLB_KINDS:
            return Outcome(number, self._machine.missing_hugepages(step.size or "2M", pages))
        return Outcome(number)

    def _refuse(self, reason: str | None) -> None:
        if reason is not None:
            raise CannotDo(reason)

    def _fork(self, proc: str, child: str) -> Outcome:
        number = self._tree.fork(proc, child)
        if number == 0:
            self._regions[child] = dict(self._regions[proc])
        return Outcome(number)

    def _exit(self, proc: str) -> Outcome:
        """A process takes its pins with it: their descriptors close after its memory is gone, as in do_exit()."""
        self._tree.exit(proc)
        for name in [name for name, pin in self._pins.items() if pin.proc == proc]:
            self._release(name)
        return Outcome()

    def _madvise(self, proc: str, range: Range, advice: str) -> Outcome:
        if advice == "pageout" and self._region(proc, range.region).kind not in ON_DISK:
            self._refuse(self._machine.missing_swap())
        return self._act(proc, "madvise", range, advice=advice)

    def _swap_out(self, proc: str, range: Range) -> Outcome:
        outcome = self._madvise(proc, range, "pageout")
        if outcome.errno:
            return outcome
        stayed = sum(count for _, count, state in self._states(proc, range) if state in ("present", "huge"))
        return Outcome(errno.EBUSY, f"{stayed} pages stayed in memory") if stayed else outcome

    def _mremap(self, step: Mremap) -> Outcome:
        pages = self._pages(step.proc, step.range)
        outcome = self._ask(step.proc, "mremap", **pages, to=step.to)
        if outcome.errno == 0:
            of = self._regions[step.proc][step.range.region]
            self._regions[step.proc][step.to] = Known(pages["end"] - pages["first"], of.kind, of.shared)
            self._files.share(step.range.region, step.to)
        return outcome

    def _clear_softdirty(self, proc: str) -> Outcome:
        if not self._sight.soft_dirty:
            raise CannotDo(
                "this kernel tracks no soft-dirty (CONFIG_MEM_SOFT_DIRTY is off), so the page would not stay read-only"
            )
        return self._ask(proc, "clear_softdirty")

    # Pins

    def _need(self, step: Pin | Vmsplice) -> Need:
        readable = any(
            isinstance(later, ExpectPinByte | ExpectPinSees | DeviceRead) and later.pin == step.pin
            for later in self._scenario.steps
        )
        writable = any(isinstance(later, DeviceWrite) and later.pin == step.pin for later in self._scenario.steps)
        if isinstance(step, Vmsplice):
            return Need(FOLL_GET, fast=True, readable=readable, writable=writable)
        return Need(
            longterm=step.longterm,
            write=step.write,
            fast=step.fast,
            force=step.force,
            readable=readable,
            writable=writable,
            user=step.user,
        )

    def _take(self, step: Pin | Vmsplice) -> Outcome:
        need = self._need(step)
        mechanism = choose(need, step.via if isinstance(step, Pin) else None, MECHANISMS)
        pages = self._pages(step.proc, step.range)
        message = {"op": "acquire", "mechanism": mechanism.name, "write": need.write, "fast": need.fast, **pages}
        reply, fds = self._tree.ask(step.proc, message)
        if reply.get("errno"):
            return Outcome(int(reply["errno"]))
        held = int(reply["held"])
        self._pins[step.pin] = pin = Held(step.proc, mechanism, fds, held)
        seen = sorted({0, held - 1})
        shown = [pages["first"] + page for page in seen]
        words, _ = self._tree.ask(step.proc, {"op": "frames", "region": step.range.region, "pages": shown})
        pin.frames = {page: pagemap.pfn(word) for page, word in zip(seen, words["words"], strict=True)}
        return Outcome(0, mechanism.name)

    def _pin(self, name: str) -> Held:
        try:
            return self._pins[name]
        except KeyError:
            raise CannotDo(f"{name} holds nothing: the step that takes it failed or came later") from None

    def _release(self, name: str) -> None:
        pin = self._pin(name)
        del self._pins[name]
        pin.mechanism.release(pin.fds)

    def pin_contents(self, pin: str) -> Sequence[Run]:
        """Every page that the pin holds, numbered from 0."""
        held = self._pin(pin)
        if not held.mechanism.gives.readable:
            raise CannotDo(f"{held.mechanism.name} cannot read back what it holds")
        if held.contents is None:
            held.contents = held.mechanism.read_back(held.fds, held.pages)
        return held.contents

    # Looking

    def observe(self) -> Observation:
        """Every watched page of every live process, first and last page of every live pin."""
        self._names.begin()
        pages = [view for proc in self._tree.names() for view in self._look(proc)]
        pins = [view for name, pin in self._pins.items() for view in self._pin_views(name, pin)]
        self._names.end()
        return Observation(self._errno, tuple(pages), tuple(pins))

    def _look(self, proc: str) -> list[PageView]:
        message = {
            "op": "look",
            "regions": {region: self._watched[region] for region in self._regions[proc]},
            "zero": not self._sight.flags,
            "huge": self._sight.anon_exclusive,
        }
        try:
            reply, _ = self._tree.ask(proc, message)
        except Died as death:
            raise Broken(f"{death} while it was looked at") from None
        return [
            self._view(proc, region, page, seen)
            for region, views in reply["regions"].items()
            for page, seen in zip(self._watched[region], views, strict=True)
        ]

    def _view(self, proc: str, region: str, page: int, seen: Sequence[Any]) -> PageView:
        word, byte, zero, huge = seen
        state = pagemap.state(word)
        if state != "present":
            return PageView(proc, region, page, state)
        known = self._regions[proc][region]
        frame = pagemap.pfn(word)
        flags = self._frame_words.flags(frame)
        if flags is None:
            private_anonymous = known.kind in ("anon", "zeropage", *HUGE_KINDS) and not known.shared
            kind = pagemap.kind_without_flags(word, known.kind, private_anonymous, zero)
            exclusive = None
        else:
            kind, exclusive = self._sight.kind(flags), self._sight.exclusive(flags, huge)
        return PageView(
            proc,
            region,
            page,
            state,
            frame=None if frame is None else self._names.name(frame),
            kind=kind,
            exclusive=exclusive,
            mapcount=self._frame_words.count(frame),
            byte=byte,
        )

    def _pin_views(self, name: str, pin: Held) -> list[PinView]:
        return [
            PinView(name, page, None if frame is None else self._names.name(frame), _byte_at(pin.contents, page))
            for page, frame in pin.frames.items()
        ]

    def contents(self, proc: str, range: Range) -> Sequence[Run]:
        """What the process reads where its pages are present, page by page."""
        reply, _ = self._tree.ask(proc, {"op": "contents", **self._pages(proc, range)})
        return [Run(first, count, byte) for first, count, byte in reply["runs"]]

    def _states(self, proc: str, range: Range) -> list[tuple[int, int, str]]:
        reply, _ = self._tree.ask(proc, {"op": "states", **self._pages(proc, range)})
        if not reply["huge_known"] and any(state == "present" for _, _, state in reply["runs"]):
            raise CannotDo("this kernel does not show which pages are mapped by a huge entry")
        return [(first, count, state) for first, count, state in reply["runs"]]

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


def _byte_at(runs: Sequence[Run] | None, page: int) -> int | None:
    for run in runs or ():
        if run.first <= page < run.first + run.count:
            return run.byte
    return None
