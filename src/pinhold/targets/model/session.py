"""One scenario on the specification.

Each process is an mm slot of one interpreted machine of x86-64 geometry; each step runs to completion in one task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pinhold.mm import flags as k
from pinhold.mm.device import device_write
from pinhold.mm.file import file_create, file_free_slot, file_put, shmem_fallocate
from pinhold.mm.folio import lru_add_drain
from pinhold.mm.fork import mm_init
from pinhold.mm.hugetlb import hugetlbfs_fallocate
from pinhold.mm.invariants import INVARIANTS, check_invariants
from pinhold.mm.kernel import place_of
from pinhold.mm.ksmd import Ksmd
from pinhold.mm.limits import LIMIT_FILE_PAGES, LIMIT_MMS
from pinhold.mm.machine import Machine
from pinhold.mm.mmap import do_mmap
from pinhold.mm.pin import pin_page_at
from pinhold.mm.pinning import unpin
from pinhold.mm.properties import PROPERTIES, violated_properties
from pinhold.mm.rules import BY_NAME
from pinhold.mm.sites import SITES
from pinhold.mm.step import OutOfFuel, run
from pinhold.mm.task import FN_FORK, FN_MREMAP, call
from pinhold.mm.trap import Unspecified, refuse_trapped
from pinhold.mm.users import PROCESS_VM_PAGES, direct_io_flags, process_vm_flags
from pinhold.scenario import steps as s
from pinhold.scenario.kinds import Backing
from pinhold.scenario.observation import Observation, Run
from pinhold.scenario.ran import Decision
from pinhold.scenario.watch import region_pages, watched
from pinhold.targets.base import Broken, Livelock, Outcome
from pinhold.targets.dispatch import on
from pinhold.targets.model.calls import CALLS, PROT, Span, call_of, wanted
from pinhold.targets.model.decisions import decision
from pinhold.targets.model.looking import Held, Looking, Scene
from pinhold.targets.model.names import Names
from pinhold.targets.model.room import missing
from pinhold.targets.model.sight import compress, foll_words, head_of, page_states, pin_walk, walk
from pinhold.targets.model.tasks import Tasks
from pinhold.targets.model.users import free_pin, take, too_small, transfer

FILE_KIND = {Backing.SHMEM: k.FILE_SHMEM, Backing.DISK: k.FILE_PAGECACHE, Backing.HUGETLB: k.FILE_HUGETLB}
PIPE_BUFFERS = 16
"""Pages that a pipe of default size holds, and vmsplice() therefore at most."""

TASK = 0


class ModelSession:
    """One scenario on one machine, whose rules are those of the release or switched against them."""

    def __init__(
        self, machine: Machine, scenario: s.Scenario, release: str, *, properties: bool = False, counts: bool = False
    ) -> None:
        self.m = machine
        self.release = release
        self.scenario = scenario
        self.properties = properties
        geometry = machine.geometry
        self.pmd_pages, self.pud_pages = geometry.pmd_pages, geometry.pud_pages
        self.looking = Looking(watched(scenario, self.pmd_pages, self.pud_pages), counts)
        self.copies: dict[str, tuple[int, Sequence[Run]]] = {}
        self.errno: int | None = None
        self.pin_bytes: dict[str, Sequence[Run]] = {}
        self.names = Names(machine)
        self.ksmd = Ksmd(machine, TASK)
        self.tasks = Tasks(machine, self.names, self.ksmd)
        self.names.started("P", 0)
        mm_init(self.m, 0)

    # --- actions ---

    def do(self, action: s.Action) -> Outcome:
        """Run one action to completion."""
        self.m.trace.sites.clear()
        self.tasks.turns.clear()
        self.pin_bytes.clear()
        try:
            result = DO[type(action)](self, action)
            refuse_trapped(self.m)
        except OutOfFuel as stuck:
            if not self.m.trapped[0]:
                raise self.livelock(stuck) from None
            raise Broken(too_small(self.m, self.m.trapped[0])) from None
        except Unspecified as unknown:
            raise Broken(f"the specification does not go on: {unknown}") from unknown
        except (ValueError, IndexError) as bug:
            where = place_of(bug) or "the specification"
            raise Broken(f"{where} left its bounds: {bug}") from bug
        if self.m.trapped[0]:
            raise Broken(too_small(self.m, self.m.trapped[0]))
        self.errno = -result if result < 0 else 0
        broken = violated_properties(self.m) if self.properties else []
        note = missing(action, self.scenario, self.m.geometry) if self.errno == k.ENOMEM else None
        violated = tuple(PROPERTIES[p] for p in broken)
        return Outcome(self.errno, note, self.decisions(self.m.trace.sites), violated, tuple(self.tasks.turns))

    def livelock(self, stuck: OutOfFuel) -> Livelock:
        """In words: what goes round, and what is decided each time."""
        decisions = self.decisions(stuck.sites)
        if not decisions:
            return Livelock(f"{' and '.join(stuck.functions)}: no end")
        told = (f"{d.function}: {d.sentence}{f' [rule {d.rule}]' if d.rule else ''}" for d in decisions)
        return Livelock(f"{' and '.join(stuck.functions)} go round: {'; '.join(told)}", decisions)

    def decisions(self, numbers: Iterable[int]) -> tuple[Decision, ...]:
        """What was decided, each decision once, in order of first appearance, with how often."""
        sites = ((SITES[number], count) for number, count in Counter(numbers).items())
        return tuple(decision(x, self.release, BY_NAME[x.rule].of(self.m) if x.rule else 0, n) for x, n in sites)

    def operate(self, function: int, span: Span, flags: int = 0, arg: int = 0) -> int:
        call(self.m, TASK, function, *span, flags, arg)
        return run(self.m, TASK)

    def call(self, action: s.Action) -> int:
        """What is one call of the specification."""
        call(self.m, TASK, *call_of(self.m, action, self.names))
        return run(self.m, TASK)

    def start(self, a: s.Start) -> int:
        return self.tasks.start(a.task, a.step)

    def advance(self, a: s.Advance) -> int:
        return self.tasks.advance(a.task, a.steps, a.chance)

    def settle(self, _: s.Settle) -> int:
        return self.tasks.settle()

    def map(self, a: s.Map) -> int:
        pages = region_pages(a, self.pmd_pages, self.pud_pages)
        mm, start = self.names.mm(a.proc), self.names.place(pages)
        flags = PROT[a.prot] | (k.VM_SHARED if a.shared else 0)
        kind = a.memory
        if kind.anonymous:
            flags |= k.VM_HUGEPAGE if kind.thp else k.VM_NOHUGEPAGE
        order = 0
        if kind.hugetlb:
            flags |= k.VM_HUGETLB
            order = self.m.bits * (2 if a.size == "1G" else 1)
        file = k.NO_FILE
        if kind.backing is not None:
            file = self.names.files[a.of] if a.of else file_free_slot(self.m)
            if file < 0:
                return -k.ENOMEM
            if pages >> order > self.m.file_pages:
                raise Broken(too_small(self.m, LIMIT_FILE_PAGES))
            if not a.of:
                err = self.create_file(kind.backing, kind.descriptor, file, order, pages >> order)
                if err:
                    file_put(self.m, file)
                    return err
        err = do_mmap(self.m, mm, start, start + pages, flags, file, order, int(a.readonly))
        if file != k.NO_FILE and (not kind.descriptor or (err and not a.of)):
            file_put(self.m, file)  # nobody has it open
        if err == 0:
            self.names.regions[a.proc][a.region] = (start, pages)
            if file != k.NO_FILE:
                self.names.files[a.region] = file
        return err

    def create_file(self, backing: Backing, descriptor: bool, file: int, order: int, units: int) -> int:
        """A file of `units` pages of zeros, allocated as fallocate() does (not for an anonymous hugetlb mapping)."""
        file_create(self.m, file, FILE_KIND[backing], order)
        if not descriptor:
            return 0
        return hugetlbfs_fallocate(self.m, file, units) if order else shmem_fallocate(self.m, file, units)

    def fork(self, a: s.Fork) -> int:
        free = self.names.free_mm()
        if free < 0:
            raise Broken(too_small(self.m, LIMIT_MMS))
        result = self.operate(FN_FORK, (self.names.mm(a.proc), 0, 0), 0, free)
        if result >= 0:
            self.names.forked(a, free)
            self.ksmd.forked(self.names.mm(a.proc), free)
        return result

    def exit(self, a: s.Exit) -> int:
        mm, pins = self.names.mm(a.proc), self.names.pins
        for name in [name for name, pin in pins.items() if self.m.pin_mm[pin] == mm]:
            unpin(self.m, pins.pop(name))
        self.copies = {name: copy for name, copy in self.copies.items() if copy[0] != mm}
        result = self.call(a)
        self.ksmd.exited(mm)
        self.names.exited(a.proc)
        return result

    def mremap(self, a: s.Mremap) -> int:
        span = self.names.span(a.proc, a.range)
        start = self.names.place_like(*span)
        result = self.operate(FN_MREMAP, span, 0, start)
        if result == 0:
            self.names.regions[a.proc][a.to] = (start, span[2] - span[1])
        return result

    def swap_out(self, a: s.SwapOut) -> int:
        self.ksmd.rmap_walk(*self.names.span(a.proc, a.range))
        result = self.call(a)
        if result == 0 and any(state in ("present", "huge") for _, _, state in self.page_state(a.proc, a.range)):
            return -k.EBUSY
        return result

    def madvise(self, a: s.Madvise) -> int:
        if a.advice == "pageout":
            self.ksmd.rmap_walk(*self.names.span(a.proc, a.range))
        result = self.call(a)
        if a.advice == "mergeable":
            self.ksmd.advised(self.names.mm(a.proc))
        return result

    def ksm(self, a: s.Ksm) -> int:
        """Both ranges are advised, and ksmd scans all that is."""
        for proc, r in ((a.proc, a.range), (a.other_proc, a.other_range)):
            result = self.madvise(s.Madvise(proc, r, "mergeable"))
            if result < 0:
                return result
        self.ksmd.run()
        return 0

    def drain(self, _: s.Drain) -> int:
        lru_add_drain(self.m)
        return 0

    def memlock(self, a: s.LimitMemlock) -> int:
        self.limit_memlock(self.names.mm(a.proc), a.pages)
        return 0

    def limit_memlock(self, mm: int, pages: int) -> None:
        """RLIMIT_MEMLOCK of a process; -1: unlimited."""
        most = (1 << (8 * self.m.layout.slots["mm_memlock"].width - 1)) - 1  # more than any such machine has
        self.m.mm_memlock[mm] = min(pages, most)

    def capability(self, a: s.Capability) -> int:
        self.m.mm_ipc_lock[self.names.mm(a.proc)] = int(a.ipc_lock)
        return 0

    def hold(self, a: s.Pin) -> int:
        return self.take_pin(a.pin, self.names.span(a.proc, a.range), *self.wanted(a))

    def wanted(self, a: s.Hold) -> tuple[int, int]:
        """The FOLL_* flags and the user of a step that takes pages.  Raises CannotDo for a mechanism of its own."""
        return wanted(self.m, a)

    def vmsplice(self, a: s.Vmsplice) -> int:
        mm, start, end = self.names.span(a.proc, a.range)
        span = (mm, start, min(end, start + PIPE_BUFFERS))
        flags, user = self.wanted(a)
        result = self.take_pin(a.pin, span, flags, user)
        if result == PIPE_BUFFERS < end - start:
            self.take_too_many(mm, start + PIPE_BUFFERS, end, flags)
        return result

    def take_too_many(self, mm: int, start: int, end: int, flags: int) -> None:
        """vmsplice() faults in what follows, too, before it finds the pipe full, and lets it go.  Linux:
        iter_to_pipe() (fs/splice.c), which takes as many pages at a time as a pipe holds."""
        pin = free_pin(self.m)
        if take(self.m, TASK, pin, (mm, start, min(end, start + PIPE_BUFFERS)), flags) > 0:
            unpin(self.m, pin)

    def io_uring(self, a: s.IoUring) -> int:
        return self.take_pin(a.pin, self.names.span(a.proc, a.range), *self.wanted(a))

    def take_pin(self, name: str, span: Span, flags: int, user: int) -> int:
        pin = free_pin(self.m)
        result = take(self.m, TASK, pin, span, flags, user)
        if result > 0:
            self.names.pins[name] = pin
        return result

    def process_vm_readv(self, a: s.ProcessVmReadv) -> int:
        return self.copy(a.pin, self.names.span(a.proc, a.range), process_vm_flags(False), PROCESS_VM_PAGES)

    def direct_write(self, a: s.DirectWrite) -> int:
        span = self.names.span(a.proc, a.range)
        return self.copy(a.pin, span, direct_io_flags(self.m, False), span[2] - span[1])

    def copy(self, name: str, span: Span, flags: int, chunk: int) -> int:
        """Copy what a pin that does not last sees; a short copy is a failure and has no name."""
        pages: list[tuple[int, int | None]] = []
        result = transfer(self.m, TASK, span, flags, chunk, lambda pin: pages.extend(pin_walk(self.m, pin)))
        if result == 0:
            self.copies[name] = span[0], compress(iter(pages))
        return result

    def process_vm_writev(self, a: s.ProcessVmWritev) -> int:
        return self.fill(self.names.span(a.proc, a.range), process_vm_flags(True), PROCESS_VM_PAGES, a.byte)

    def direct_read(self, a: s.DirectRead) -> int:
        span = self.names.span(a.proc, a.range)
        return self.fill(span, direct_io_flags(self.m, True), span[2] - span[1], a.byte)

    def fill(self, span: Span, flags: int, chunk: int, byte: int) -> int:
        """Fill memory through a pin that does not last."""
        return transfer(self.m, TASK, span, flags, chunk, lambda pin: device_write(self.m, pin, byte))

    def unpin(self, a: s.Unpin) -> int:
        if self.copies.pop(a.pin, None) is None:
            unpin(self.m, self.names.pin(a.pin))
            del self.names.pins[a.pin]
        return 0

    def device_read(self, a: s.DeviceRead) -> int:
        self.pin_contents(a.pin)
        return 0

    def device_write(self, a: s.DeviceWrite) -> int:
        device_write(self.m, self.names.pin(a.pin), a.byte)
        return 0

    # --- looking ---

    def pools(self) -> Mapping[str, str]:
        return {}

    def unsound(self) -> Sequence[str]:
        """The safety properties that do not hold.  Raises Broken where the state is none that can be."""
        if broken := check_invariants(self.m):
            raise Broken(f"an invariant of the specification does not hold: {INVARIANTS[broken]}")
        return [PROPERTIES[bit] for bit in violated_properties(self.m)]

    def observe(self) -> Observation:
        errno, self.errno = self.errno, None
        scene = self.scene()
        return self.looking.at(self.looking.rows(scene), scene.pins, errno)

    def scene(self) -> Scene:
        """What there is to look at now."""
        pins = [held for name in self.names.pins for held in self.held(name)]
        pins += (held for name in self.copies for held in self.copied(name))
        return Scene(self.m, self.names.mms, self.names.regions, pins)

    def held(self, name: str) -> Iterator[Held]:
        """The first and the last page of a pin."""
        m, pin = self.m, self.names.pins[name]
        mm, count = m.pin_mm[pin], m.pin_count[pin]
        told = self.names.process(mm), self.names.range(mm, m.pin_addr[pin], count), foll_words(m.pin_flags[pin])
        for page in (0, count - 1)[:count]:
            pfn = pin_page_at(m, pin, page)
            yield Held(name, page, self.read_of(name, page), *told, pfn, head_of(m, pfn))

    def copied(self, name: str) -> Iterator[Held]:
        """The first and the last page of a copy."""
        mm, runs = self.copies[name]
        count = sum(run_.count for run_ in runs)
        for page in (0, count - 1)[:count]:
            yield Held(name, page, self.read_of(name, page), self.names.process(mm))

    def read_of(self, name: str, page: int) -> int | None:
        """What the step at hand has read of a pin's page."""
        read = self.pin_bytes.get(name, ())
        return next((run_.byte for run_ in read if run_.first <= page < run_.first + run_.count), None)

    def contents(self, proc: str, range: s.Range) -> Sequence[Run]:
        """What the process would read, without a fault: present pages only."""
        mm, start, end = self.names.span(proc, range)
        return compress(walk(self.m, mm, start, end))

    def pin_contents(self, pin: str) -> Sequence[Run]:
        runs = self.copies[pin][1] if pin in self.copies else compress(pin_walk(self.m, self.names.pin(pin)))
        self.pin_bytes[pin] = runs
        return runs

    def page_state(self, proc: str, range: s.Range) -> Sequence[tuple[int, int, str]]:
        """Runs of pages in the same state."""
        return page_states(self.m, *self.names.span(proc, range), range.first)


DO: Mapping[type[s.Step], Callable[[ModelSession, Any], int]] = {
    **dict.fromkeys(CALLS, ModelSession.call),
    **dict(
        (
            on(s.Map, ModelSession.map),
            on(s.Fork, ModelSession.fork),
            on(s.Exit, ModelSession.exit),
            on(s.Mremap, ModelSession.mremap),
            on(s.SwapOut, ModelSession.swap_out),
            on(s.Madvise, ModelSession.madvise),
            on(s.Ksm, ModelSession.ksm),
            on(s.Drain, ModelSession.drain),
            on(s.LimitMemlock, ModelSession.memlock),
            on(s.Capability, ModelSession.capability),
            on(s.Pin, ModelSession.hold),
            on(s.Vmsplice, ModelSession.vmsplice),
            on(s.IoUring, ModelSession.io_uring),
            on(s.Unpin, ModelSession.unpin),
            on(s.ProcessVmReadv, ModelSession.process_vm_readv),
            on(s.ProcessVmWritev, ModelSession.process_vm_writev),
            on(s.DirectWrite, ModelSession.direct_write),
            on(s.DirectRead, ModelSession.direct_read),
            on(s.DeviceRead, ModelSession.device_read),
            on(s.DeviceWrite, ModelSession.device_write),
            on(s.Start, ModelSession.start),
            on(s.Advance, ModelSession.advance),
            on(s.Settle, ModelSession.settle),
        )
    ),
}
"""What runs each action; a negative result is its errno."""
