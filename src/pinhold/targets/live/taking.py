"""What takes pages in one scenario on the running kernel: pins that are held, copies that were made, memory filled."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pinhold.scenario.forms import Role, Thing
from pinhold.scenario.observation import FrameNames, PinView, Run
from pinhold.scenario.printer import format_step
from pinhold.scenario.ranges import Range, encode_range
from pinhold.scenario.steps import (
    Copy,
    DeviceRead,
    DeviceWrite,
    ExpectPinByte,
    ExpectPinSees,
    Fill,
    Hold,
    IoUring,
    Pin,
    Poke,
    Scenario,
    Step,
    Vmsplice,
)
from pinhold.targets.base import CannotDo, Outcome
from pinhold.targets.live import pagemap
from pinhold.targets.live import protocol as p
from pinhold.targets.live.folios import Folios
from pinhold.targets.live.pins import COPIERS, HOLDERS, MECHANISMS, PROC_MEM, PTRACE
from pinhold.targets.live.pins.base import FOLL_GET, Access, Holder, Need, Taken, choose
from pinhold.targets.live.pins.external import External
from pinhold.targets.live.syscalls import pidfd_getfd
from pinhold.targets.live.tree import Tree


@dataclass(slots=True)
class Held:
    """A live pin of process `proc`.  region, first: where its pages begin; frames: raw frame numbers of its first and
    last page, as the page table had them when the pin was taken; contents: what was read through it since the last
    action."""

    proc: str
    region: str
    first: int
    need: Need
    mechanism: Holder | External
    taken: Taken
    frames: dict[int, int | None] = field(default_factory=dict)
    contents: list[Run] | None = None

    def view(self, name: str) -> PinView:
        """What is the same of all its pages."""
        held = encode_range(Range(self.region, self.first, self.first + self.taken.pages))
        return PinView(name, 0, owner=self.proc, range=held, flags=self.need.flags())


@dataclass(slots=True)
class Copied:
    """What a step copied from process `proc`.  shown: whether it was looked at since the last action."""

    proc: str
    runs: list[Run]
    shown: bool = False


class LivePins:
    """external: programs of the user's that pin, by name; they are preferred to the built-in mechanisms.

    The span of a step is the message that names its region and pages.
    """

    def __init__(self, scenario: Scenario, tree: Tree, external: Mapping[str, External]) -> None:
        self._scenario = scenario
        self._tree = tree
        self._external = external
        self._held: dict[str, Held] = {}
        self._copies: dict[str, Copied] = {}

    def names(self) -> list[str]:
        """Of all that is held or was copied."""
        return [*self._held, *self._copies]

    def forget_contents(self) -> None:
        """An action is about to be done: what was read through pins may be stale."""
        for pin in self._held.values():
            pin.contents = None
        for copy in self._copies.values():
            copy.shown = False

    # Taking

    def _access(self, step: Hold) -> Access:
        """What the scenario does through the pin, later."""
        through = [later for later in self._scenario.steps if later.named(Role.USES, Thing.PIN) == step.pin]
        return Access(
            read=any(isinstance(later, ExpectPinByte | ExpectPinSees | DeviceRead) for later in through),
            write=any(isinstance(later, DeviceWrite) for later in through),
        )

    def _choose(self, step: Hold, need: Need) -> Holder | External:
        """The mechanism that does the step: the one that it names, or the first that fits, the user's own first."""
        via = step.via if isinstance(step, Pin) else None
        if via is not None and via in MECHANISMS and via not in HOLDERS:
            raise CannotDo(f"needs a {need}: {via} gives {MECHANISMS[via].summary} only")
        candidates: dict[str, Holder | External] = {**self._external}
        if isinstance(step, Pin):
            candidates |= HOLDERS
        else:
            name = ITS_OWN[type(step)]
            candidates[name] = HOLDERS[name]
        try:
            return choose(need, via, candidates, self._access(step))
        except CannotDo as refusal:
            raise CannotDo(f"{refusal}{_another_step(step, need)}") from None

    def take(self, step: Hold, span: p.Pages) -> Outcome:
        """Raises CannotDo where nothing here takes the pages exactly as asked."""
        need = NEEDS[type(step)](step)
        mechanism = self._choose(step, need)
        try:
            taken = self._acquire(step.proc, need, mechanism, span)
        except OSError as error:
            number = error.errno or errno.EIO
            charged = need.user != "none"
            note = self._memlock_note(step.proc) if charged and number == errno.ENOMEM else None
            return Outcome(number, note, by=mechanism.name)
        self._held[step.pin] = pin = Held(step.proc, span.region, span.first, need, mechanism, taken)
        seen = sorted({0, taken.pages - 1})
        shown = [span.first + page for page in seen]
        words = self._tree.look(step.proc, p.Frames(span.region, shown)).words
        pin.frames = {page: pagemap.pfn(word) for page, word in zip(seen, words, strict=True)}
        return Outcome(0, mechanism.name, by=mechanism.name)

    def _memlock_note(self, proc: str) -> str | None:
        """The limit of the process that was to pin: the scenario may have set it."""
        pid = self._tree.ask(proc, p.Who()).pid
        try:
            soft, _ = resource.prlimit(pid, resource.RLIMIT_MEMLOCK)
        except OSError:
            return None
        if soft == resource.RLIM_INFINITY:
            return None
        return f"needs a higher RLIMIT_MEMLOCK than the {soft // 1024} kB of {proc}, or CAP_IPC_LOCK, to pin this much"

    def _acquire(self, proc: str, need: Need, mechanism: Holder | External, span: p.Pages) -> Taken:
        """Raises OSError with what the kernel, or the program, answered."""
        if isinstance(mechanism, External):
            where = self._tree.ask(proc, p.Where(*span))
            return mechanism.take(Owner(self._tree, proc, where.pid), where.address, where.pages, need.write)
        charged = sum(pin.taken.charged for pin in self._held.values())
        request = p.Acquire(*span, mechanism.name, need.write, bool(need.fast), charged)
        reply, fds = self._tree.ask_for_files(proc, request)
        if reply.keep:
            fds = [pidfd_getfd(reply.pid, fd) for fd in reply.keep]
            self._tree.ask(proc, p.Drop(reply.keep))
        return Taken(fds, reply.held, tuple(reply.detail), reply.charged)

    # What is held

    def _pin(self, name: str) -> Held:
        try:
            return self._held[name]
        except KeyError:
            raise CannotDo(f"{name} holds nothing: the step that takes it failed or came later") from None

    def contents(self, name: str) -> Sequence[Run]:
        """Every page that the pin holds, or that was copied, numbered from 0."""
        if name in self._copies:
            self._copies[name].shown = True
            return self._copies[name].runs
        held = self._pin(name)
        if not held.mechanism.gives.readable:
            raise CannotDo(f"{held.mechanism.name} cannot read back what it holds")
        if held.contents is None:
            with _refusing(f"{held.mechanism.name} cannot read back what it holds here"):
                held.contents = held.mechanism.read_back(held.taken)
        return held.contents

    def write_through(self, name: str, byte: int) -> Outcome:
        """Fill every page that the pin holds."""
        held = self._pin(name)
        with _refusing(f"{held.mechanism.name} cannot write through what it holds here"):
            held.mechanism.write_through(held.taken, byte)
        return Outcome()

    def release(self, name: str) -> None:
        """Let go of a pin, or forget a copy."""
        if self._copies.pop(name, None) is not None:
            return
        pin = self._pin(name)
        del self._held[name]
        if isinstance(pin.mechanism, External) and pin.proc in self._tree.names():
            pid = self._tree.ask(pin.proc, p.Who()).pid
            pin.mechanism.release(pin.taken, Owner(self._tree, pin.proc, pid))
        else:
            pin.mechanism.release(pin.taken)

    def exited(self, proc: str) -> None:
        """A process has exited: its pins and copies go."""
        for name in [name for name, pin in self._held.items() if pin.proc == proc]:
            self.release(name)
        self._copies = {name: copy for name, copy in self._copies.items() if copy.proc != proc}

    def views(self, names: FrameNames, folios: Folios) -> list[PinView]:
        """First and last page of each pin and of each copy, which holds no frame."""
        return [*self._held_views(names, folios), *self._copy_views()]

    def _held_views(self, names: FrameNames, folios: Folios) -> Iterator[PinView]:
        for name, pin in self._held.items():
            for page, frame in pin.frames.items():
                number = None if frame is None else names.name(frame)
                folio, offset = folios.place(frame)
                seen = replace(pin.view(name), page=page, frame=number, byte=_byte_at(pin.contents, page))
                yield replace(seen, folio=folio, offset=offset)

    def _copy_views(self) -> Iterator[PinView]:
        for name, copy in self._copies.items():
            for page in sorted({0, sum(run.count for run in copy.runs) - 1}):
                byte = _byte_at(copy.runs if copy.shown else None, page)
                yield PinView(name, page, None, byte, owner=copy.proc)

    # Taking for the length of a call

    def copy(self, step: Copy, name: str, span: p.Pages) -> Outcome:
        """process_vm_readv(), or a direct write to a file, by the mechanism of that name."""
        _refuse(COPIERS[name].unavailable())
        try:
            runs = self._tree.ask(step.proc, p.Copy(*span, name)).runs
        except OSError as error:
            return Outcome(error.errno or errno.EIO)
        self._copies[step.pin] = Copied(step.proc, [Run(*run) for run in runs])
        return Outcome(0, name)

    def fill(self, step: Fill, name: str, span: p.Pages) -> Outcome:
        """process_vm_writev(), or a direct read from a file, by the mechanism of that name."""
        _refuse(COPIERS[name].unavailable())
        return self._done(step.proc, p.Fill(*span, name, step.byte), name)

    def poke(self, step: Poke, span: p.Pages) -> Outcome:
        """A forced write, by the way that the step names, else by the first that works here."""
        reason = PROC_MEM.unavailable()
        if step.via == "ptrace" or (step.via is None and reason is not None):
            where = self._tree.ask(step.proc, p.Where(*span))
            try:
                PTRACE.fill(where.pid, where.address, where.pages, step.byte)
            except OSError as error:
                return Outcome(error.errno or errno.EIO)
            return Outcome(0, PTRACE.name)
        _refuse(reason)
        return self._done(step.proc, p.Force(*span, step.byte), PROC_MEM.name)

    def _done(self, proc: str, request: p.Request[p.Done], mechanism: str) -> Outcome:
        try:
            self._tree.ask(proc, request)
        except OSError as error:
            return Outcome(error.errno or errno.EIO)
        return Outcome(0, mechanism)


NEEDS: Mapping[type[Step], Callable[[Any], Need]] = {
    Pin: lambda a: Need(longterm=a.longterm, write=a.write, fast=a.fast, force=a.force, user=a.user),
    Vmsplice: lambda _: Need(FOLL_GET, fast=True),
    IoUring: lambda _: Need(longterm=True, write=True, fast=None, user=None),
}
"""What each step that holds pages asks for, from the step alone."""

ITS_OWN: Mapping[type[Step], str] = {Vmsplice: "vmsplice", IoUring: "io_uring"}
"""Steps that are about one mechanism, beside the user's own ones."""


def _another_step(step: Hold, need: Need) -> str:
    """The step that takes nearly such a pin on every kernel that has io_uring, as the end of a refusal."""
    io_uring = HOLDERS["io_uring"]
    if not isinstance(step, Pin) or not io_uring.gives.meets(replace(need, fast=None, user=None)) or step.via:
        return ""
    if io_uring.unavailable() is not None:
        return ""
    r = format_step(IoUring(step.proc, step.range, step.pin))
    return f"; the step '{r}' takes a writable long-term pin here"


class Owner:
    """See pins.external.Owner."""

    def __init__(self, tree: Tree, proc: str, pid: int) -> None:
        self._tree = tree
        self._proc = proc
        self.pid = pid

    def call(self, number: int, arguments: list[Any], fds: list[int]) -> tuple[int, int, list[str]]:
        reply = self._tree.ask(self._proc, p.Call(number, arguments), fds)
        return reply.value, reply.number, list(reply.buffers)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """What the program itself needs for a look, and does not get, is no step's failure."""
    try:
        yield
    except OSError as error:
        raise CannotDo(f"{what}: {error.strerror}") from None


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise CannotDo(reason)


def _byte_at(runs: Sequence[Run] | None, page: int) -> int | None:
    for run in runs or ():
        if run.first <= page < run.first + run.count:
            return run.byte
    return None
