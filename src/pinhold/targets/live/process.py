"""One process of a scenario: does what the controller asks over a channel, and nothing else.

The memory under test is touched by the steps alone.  Replies carry the errno of the step; a failure of the tool itself
is sent as text.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from pinhold.scenario.advice import ADVICE, Advice
from pinhold.scenario.kinds import KINDS
from pinhold.targets.base import CannotDo
from pinhold.targets.dispatch import on
from pinhold.targets.live import content, kconfig, syscalls, uffd
from pinhold.targets.live import protocol as p
from pinhold.targets.live.channel import Channel, Closed
from pinhold.targets.live.eyes import Eyes
from pinhold.targets.live.pins import COPIERS, HOLDERS, PROC_MEM
from pinhold.targets.live.regions import PROT, Arena, Region
from pinhold.targets.live.syscalls import PAGE


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent ends, and end at once if it already has."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Process:
    """The state of one process: its regions, and an own page for what must not touch them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._arena = Arena()
        self._regions: dict[str, Region] = {}
        self._eyes = Eyes()
        self._scratch = syscalls.mmap(
            0, PAGE, syscalls.PROT_READ | syscalls.PROT_WRITE, syscalls.MAP_PRIVATE | syscalls.MAP_ANONYMOUS
        )
        self._files: list[int] = []
        self._handing: list[int] = []

    def serve(self) -> NoReturn:
        """Answer until the controller is gone."""
        with contextlib.suppress(Closed):
            self._send(p.Pid(os.getpid()), looking=True)
            while True:
                self.once()
        os._exit(0)

    def once(self) -> None:
        """Answer one request.  Raises Closed."""
        message, self._files = self._channel.receive()
        self._answer(p.decode(message))

    def close(self) -> None:
        """Have nothing open any more, and no page of its own."""
        self._channel.close()
        self._eyes.close()
        syscalls.munmap(self._scratch, PAGE)

    def _answer(self, request: p.Said) -> None:
        reply: p.Said
        try:
            reply = ANSWERS[type(request)](self, request) or p.Done()
        except OSError as error:
            reply = p.Failed(error.errno or errno.EIO)
        except CannotDo as reason:
            reply = p.Cannot(str(reason))
        except Exception:
            reply = p.BrokenDown(traceback.format_exc(limit=-3))
        for fd in self._files:
            os.close(fd)
        if isinstance(request, p.REMAPS):
            self._eyes.remapped()
        self._send(reply, not isinstance(request, p.STILL))

    def _send(self, reply: p.Said, looking: bool) -> None:
        """With what is to be handed over: the only copies of these descriptors are the controller's from then on."""
        seen: p.News | int | None = None
        if looking:
            try:
                seen = self._eyes.news(self._regions)
            except OSError as error:
                seen = error.errno or errno.EIO
            except Exception:
                reply = p.BrokenDown(traceback.format_exc(limit=-3))
        self._channel.send(p.encode(p.Answer(p.encode(reply), seen)), self._handing)
        for fd in self._handing:
            os.close(fd)
        self._handing = []

    def _span(self, request: p.Ranged[Any]) -> tuple[Region, int, int]:
        """(region, address, pages) of the range in a request."""
        region = self._regions[request.region]
        return region, region.address + request.first * PAGE, request.end - request.first

    # Steps

    def _map(self, message: p.Map) -> p.Address:
        file = self._files[0] if self._files else -1
        made = self._arena.map(KINDS[message.kind], message.pages, message.shared, message.prot, message.size, file)
        self._regions[message.region] = made
        return p.Address(made.address, made.pages, os.getpid())

    def _unmap(self, message: p.Unmap) -> None:
        _, address, pages = self._span(message)
        syscalls.munmap(address, pages * PAGE)

    def _read(self, message: p.Read) -> None:
        region, address, pages = self._span(message)
        allowed = self._eyes.touchable(address, pages, write=False)
        for start, count in self._at_once(region, address, allowed, write=False):
            content.load_each_page(start, count)
        if allowed < pages:
            self._fault(address + allowed * PAGE, write=False)

    def _write(self, message: p.Write) -> None:
        region, address, pages = self._span(message)
        allowed = self._eyes.touchable(address, pages, write=True)
        for start, count in self._at_once(region, address, allowed, write=True):
            content.fill(start, count, message.byte)
        for page in range(address + allowed * PAGE, address + pages * PAGE, PAGE):
            self._fault(page, write=True)
            content.fill(page, 1, message.byte)  # its entry is writable, although the mapping is not

    def _at_once(self, region: Region, address: int, pages: int, write: bool) -> Iterator[tuple[int, int]]:
        """(address, pages) of what can be touched without a look at the kernel in between.  Of hugetlb it is one huge
        page: where there is none for it, who touches it is killed by SIGBUS, and a system call fails with EFAULT."""
        if region.unit == PAGE:
            yield address, pages
            return
        for start in range(address, address + pages * PAGE, region.unit):
            self._fault(start, write)
            yield start, region.unit // PAGE

    def _fault(self, address: int, write: bool) -> None:
        """Touch memory that the process may not touch through the kernel, which answers EFAULT for a SIGSEGV."""
        reader, writer = os.pipe()
        try:
            if write:
                os.write(writer, b"\0")
                syscalls.read_into(reader, address, 1)
            else:
                syscalls.write_from(writer, address, 1)
        finally:
            os.close(reader)
            os.close(writer)

    def _fork(self, message: p.Fork) -> p.Pid:
        parent = os.getpid()
        child = os.fork()
        if child:
            return p.Pid(child)
        # The child has the parent's channel until it has its own: a failure here must not answer there.
        try:
            die_with_parent(parent)
            self._channel.close()
            own = socket.socket(fileno=self._files[0])
            self._channel, self._files = Channel(own), []
            self._eyes.forked()
        except BaseException:
            os._exit(1)
        self.serve()

    def _wait(self, message: p.Wait) -> p.Status:
        """Reap a child that has been told to exit, or has died."""
        _, status = os.waitpid(message.pid, 0)
        return p.Status(os.waitstatus_to_exitcode(status))

    def _exit(self, message: p.Exit) -> NoReturn:
        os._exit(0)

    def _keep(self, message: p.Keep) -> None:
        """Outlive the parent, or die with the present one again."""
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 0 if message.on else signal.SIGKILL)

    def _mprotect(self, message: p.Mprotect) -> None:
        _, address, pages = self._span(message)
        syscalls.mprotect(address, pages * PAGE, PROT[message.prot])

    def _madvise(self, message: p.Madvise) -> None:
        _, address, pages = self._span(message)
        advice = ADVICE[message.advice]
        try:
            syscalls.madvise(address, pages * PAGE, advice.number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                self._check_known(advice)
            raise

    def _check_known(self, advice: Advice) -> None:
        """Raises CannotDo where the kernel does not take the advice for any memory: it looks at that before all else,
        so that an empty range tells it and changes nothing."""
        try:
            syscalls.madvise(self._scratch, 0, advice.number)
        except OSError:
            if advice.since is not None:
                why = f"this kernel has none (it came with {advice.since})"
            elif advice.config is not None:
                why = kconfig.without(advice.config) or f"this kernel has no {advice.config}"
            else:
                return
            raise CannotDo(f"needs {advice.constant}: {why}") from None

    def _mremap(self, message: p.Mremap) -> p.Address:
        region, _, _ = self._span(message)
        self._regions[message.to] = moved = self._arena.move(region, message.first, message.end)
        return p.Address(moved.address, moved.pages, os.getpid())

    def _uffdio_continue(self, message: p.UffdioContinue) -> None:
        """Registered for minor faults only as long as the call takes: nobody waits for a handler."""
        _, address, pages = self._span(message)
        uffd.continue_range(address, pages * PAGE)

    def _writeback(self, message: p.Writeback) -> None:
        _, address, pages = self._span(message)
        syscalls.msync(address, pages * PAGE, syscalls.MS_SYNC)

    def _clear_softdirty(self, message: p.ClearSoftDirty) -> None:
        with open("/proc/self/clear_refs", "wb", buffering=0) as clear_refs:
            clear_refs.write(b"4")

    def _drain(self, message: p.Drain) -> None:
        """MADV_COLD begins with lru_add_drain(); the advice itself goes to a page that is no part of the test."""
        syscalls.madvise(self._scratch, PAGE, syscalls.MADV_COLD)

    def _memlock(self, message: p.LimitMemlock) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        limit = message.pages * PAGE
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, hard if hard == -1 else max(hard, limit)))
        except ValueError:
            raise CannotDo(f"needs RLIMIT_MEMLOCK above {hard // PAGE} pages: that is this user's limit") from None

    def _capability(self, message: p.Capability) -> None:
        if message.on and not syscalls.has_permitted_capability(syscalls.CAP_IPC_LOCK):
            raise CannotDo("needs CAP_IPC_LOCK: this user does not have it")
        syscalls.set_effective_capability(syscalls.CAP_IPC_LOCK, message.on)

    def _acquire(self, message: p.Acquire) -> p.Acquired:
        """Descriptors that cannot be sent stay open here until the controller has duplicated them."""
        _, address, pages = self._span(message)
        holder = HOLDERS[message.mechanism]
        taken = holder.acquire(address, pages, message.write, message.fast, message.charged)
        if holder.sendable:
            self._handing = taken.fds
        keep = [] if holder.sendable else taken.fds
        return p.Acquired(taken.pages, taken.detail, os.getpid(), taken.charged, keep)

    def _drop(self, message: p.Drop) -> None:
        for fd in message.keep:
            os.close(fd)

    def _copy(self, message: p.Copy) -> p.Runs:
        _, address, pages = self._span(message)
        runs = COPIERS[message.mechanism].copy(address, pages)
        return p.Runs([(run.first, run.count, run.byte) for run in runs])

    def _fill(self, message: p.Fill) -> None:
        _, address, pages = self._span(message)
        COPIERS[message.mechanism].fill(address, pages, message.byte)

    def _force(self, message: p.Force) -> None:
        _, address, pages = self._span(message)
        PROC_MEM.fill(address, pages, message.byte)

    def _where(self, message: p.Where) -> p.Address:
        _, address, pages = self._span(message)
        return p.Address(address, pages, os.getpid())

    def _who(self, message: p.Who) -> p.Pid:
        return p.Pid(os.getpid())

    def _call(self, message: p.Call) -> p.Called:
        """A system call for an external pin mechanism."""
        buffers: list[Any] = []
        arguments = [self._argument(argument, buffers) for argument in message.arguments]
        value, number = 0, 0
        try:
            value = syscalls.raw(message.number, *arguments)
        except OSError as error:
            value, number = -1, error.errno or errno.EIO
        return p.Called(value, number, [bytes(buffer).hex() for buffer in buffers])

    def _argument(self, argument: Any, buffers: list[Any]) -> int:
        if isinstance(argument, int):
            return argument
        if "fd" in argument:
            return self._files[int(argument["fd"])]
        data = bytes.fromhex(argument["buffer"])
        buffers.append((ctypes.c_ubyte * len(data)).from_buffer_copy(data))
        return ctypes.addressof(buffers[-1])

    # Looking, which changes nothing

    def _watch(self, message: p.Watch) -> None:
        self._eyes.watch(message)

    def _look(self, message: p.Look) -> None:
        """What every answer tells, unless its request changed nothing."""

    def _frames(self, message: p.Frames) -> p.Words:
        """The pagemap words of single pages."""
        return p.Words(self._eyes.words(self._regions[message.region], message.pages))

    def _contents(self, message: p.Contents) -> p.Runs:
        return p.Runs(self._eyes.contents(*self._span(message)))

    def _states(self, message: p.States) -> p.Stretches:
        return p.Stretches(*self._eyes.states(*self._span(message)))


ANSWERS: Mapping[type[p.Said], Callable[[Process, Any], p.Said | None]] = dict(
    (
        on(p.Map, Process._map),
        on(p.Unmap, Process._unmap),
        on(p.Read, Process._read),
        on(p.Write, Process._write),
        on(p.Fork, Process._fork),
        on(p.Wait, Process._wait),
        on(p.Exit, Process._exit),
        on(p.Keep, Process._keep),
        on(p.Mprotect, Process._mprotect),
        on(p.Madvise, Process._madvise),
        on(p.Mremap, Process._mremap),
        on(p.UffdioContinue, Process._uffdio_continue),
        on(p.Writeback, Process._writeback),
        on(p.ClearSoftDirty, Process._clear_softdirty),
        on(p.Drain, Process._drain),
        on(p.LimitMemlock, Process._memlock),
        on(p.Capability, Process._capability),
        on(p.Acquire, Process._acquire),
        on(p.Drop, Process._drop),
        on(p.Copy, Process._copy),
        on(p.Fill, Process._fill),
        on(p.Force, Process._force),
        on(p.Where, Process._where),
        on(p.Call, Process._call),
        on(p.Watch, Process._watch),
        on(p.Look, Process._look),
        on(p.Frames, Process._frames),
        on(p.Contents, Process._contents),
        on(p.States, Process._states),
        on(p.Who, Process._who),
    )
)
"""What answers each request; None: with Done."""


def process_name(leader: int) -> str:
    """What the processes of a scenario are called, in ps and in the kernel's log; it has room for 15 characters."""
    return f"pinhold-{leader}"


def _tell(path: str, text: str) -> None:
    """Write to a file of /proc, where that may be.  By system calls: a text file would import its encoding anew."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


_ROUNDS = 20
"""After some 8 calls of a function Python has written down in its code what it is called with."""

_USUAL: tuple[p.Said, ...] = (
    p.Watch({"x": (0, 3)}, zero=False),
    p.Map("x", "anon", 4, False, "rw", None),
    p.Write("x", 0, 4, 1),
    p.Look(),
    p.Mprotect("x", 0, 2, "read"),
    p.Read("x", 0, 4),
    p.Madvise("x", 0, 4, "dontneed"),
    p.Frames("x", (0, 3)),
    p.Unmap("x", 0, 4),
    p.Drain(),
)


def rehearse() -> None:
    """Do here what every process does, and leave nothing of it but what the interpreter keeps: what is forked from this
    process finds that, and does not make it again in pages of its own."""
    near, far = Channel.pair()
    actor = Process(Channel(far))
    for _ in range(_ROUNDS):
        for request in _USUAL:
            near.send(p.encode(request))
            actor.once()
            near.receive()
    actor.close()
    near.close()


def enter(sock: socket.socket, parent: int, seconds: int | None) -> NoReturn:
    """Become the first process of a scenario: a session and a name of its own, no core file, and the first that goes
    when memory runs out.  seconds: of CPU time that it may use."""
    os.setsid()
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if seconds is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard == -1 else min(hard, seconds), hard))
    _tell("/proc/self/oom_score_adj", "1000")
    _tell("/proc/self/comm", process_name(os.getpid()))
    gc.disable()
    Process(Channel(sock)).serve()
