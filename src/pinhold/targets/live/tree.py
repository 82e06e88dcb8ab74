"""The processes of one scenario as the controller sees them: by name, with deadlines, and none left behind."""

from __future__ import annotations

import errno
import os
import signal as signals
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar, cast

from pinhold.targets.base import Broken, CannotDo, Livelock
from pinhold.targets.live.channel import Channel, Closed
from pinhold.targets.live.nursery import Nursery
from pinhold.targets.live.progress import Deadline, Overdue
from pinhold.targets.live.protocol import (
    Answer,
    BrokenDown,
    Cannot,
    Exit,
    Failed,
    Fork,
    Keep,
    Look,
    Request,
    Said,
    Seen,
    Wait,
    Watch,
    decode,
    encode,
)

R = TypeVar("R", bound=Said)


class Died(Broken):
    """A process ended that was not told to; `signal` 0: it exited by itself."""

    def __init__(self, name: str, signal: int) -> None:
        how = f"was killed by {signals.Signals(signal).name}" if signal else "ended by itself"
        if signal == signals.SIGXCPU:
            how = "used up the processor time that a scenario has"
        elif signal == signals.SIGKILL:
            how += ", as the kernel does where memory runs out: the machine's, or what a cgroup allows"
        super().__init__(f"process {name} {how}")
        self.signal = signal


@dataclass(slots=True)
class Member:
    """parent: its name, None where the fork server is the parent.  seen: what it told last of its watched pages, by
    region; fresh: since anything could have changed there."""

    channel: Channel
    pid: int
    parent: str | None
    seen: dict[str, Sequence[Seen]] = field(default_factory=dict)
    fresh: bool = False
    _pagemap: int | None = None

    @property
    def pagemap(self) -> int:
        """A descriptor of its pagemap, opened once.  Raises OSError where it has just ended."""
        if self._pagemap is None:
            self._pagemap = os.open(f"/proc/{self.pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        return self._pagemap

    def close(self) -> None:
        """Nothing of it is open here any more; where it lives, it ends."""
        self.channel.close()
        if self._pagemap is not None:
            os.close(self._pagemap)
            self._pagemap = None


class Tree:
    """deadline: what one message may take."""

    def __init__(self, nursery: Nursery, deadline: Deadline) -> None:
        self._nursery = nursery
        self._deadline = deadline
        self._loops = False
        self._members: dict[str, Member] = {}
        self._ended: dict[str, str] = {}
        self._unborn: set[str] = set()
        self.leader = 0

    def names(self) -> Iterator[str]:
        """The live processes, in the order in which they were made."""
        return iter(self._members)

    def pid(self, name: str) -> int:
        return self._members[name].pid

    def pids(self) -> list[int]:
        """Of the live processes."""
        return [member.pid for member in self._members.values()]

    def start(self, name: str, watch: Watch) -> None:
        """The first process, and what it and its children look at."""
        channel, far = Channel.pair()
        allowed = sorted(os.sched_getaffinity(0))
        cpu = allowed[os.getpid() % len(allowed)]
        try:
            with far:
                self.leader = self._nursery.spawn(far, cpu, self._deadline.whole)
        except BaseException:
            channel.close()
            raise
        self._members[name] = Member(channel, self.leader, None)
        self._receive(name, "start")
        self.ask(name, watch)

    def ask(self, name: str, request: Request[R], fds: Sequence[int] = (), also: Sequence[int] = ()) -> R:
        """The reply to a request.

        Raises OSError with what the kernel answered there, CannotDo, Broken, Died, Livelock where the process runs or
        hangs in the kernel for ever.
        """
        return self.ask_for_files(name, request, fds, also)[0]

    def ask_for_files(
        self, name: str, request: Request[R], fds: Sequence[int] = (), also: Sequence[int] = ()
    ) -> tuple[R, list[int]]:
        """The reply to a request, and the descriptors that came with it.  Raises as ask()."""
        self._send(name, request, fds)
        reply, received = self._receive(name, request.op, also)
        _raise_for(reply, name, request)
        return cast(R, reply), received

    def _send(self, name: str, request: Said, fds: Sequence[int] = ()) -> None:
        member = self._member(name)
        try:
            member.channel.send(encode(request), fds)
        except Closed:
            self._bury(name)

    def look(self, name: str, request: Request[R]) -> R:
        """The reply to a request that only looks.  Raises CannotDo, Broken, Died, Livelock."""
        try:
            return self.ask(name, request)
        except OSError as error:
            raise Broken(f"process {name} failed to {request.op}: {error.strerror}") from None

    def stale(self, names: Iterable[str] | None = None) -> None:
        """What these processes, or all, have told of their pages may not be so any more."""
        for name in self._members if names is None else names:
            self._members[name].fresh = False

    def fresh(self) -> None:
        """What all processes have told of their pages last is taken to be so still."""
        for member in self._members.values():
            member.fresh = True

    def seen(self) -> dict[str, Mapping[str, Sequence[Seen]]]:
        """What each process sees of its watched pages, by its name and region.  Raises Broken, Livelock.

        It is asked, but where it has told so with the answer to the last request of a step.
        """
        asked = [name for name, member in self._members.items() if not member.fresh]
        try:
            for name in asked:
                self._send(name, Look())
            for name in asked:
                reply, _ = self._receive(name, Look.op, stales=False)
                _raise_for(reply, name, Look())
        except Died as death:
            raise Broken(f"{death} while it was looked at") from None
        return {name: dict(member.seen) for name, member in self._members.items()}

    def pagemap(self, name: str) -> int:
        """A descriptor, of a live process.  Raises OSError where that has just ended."""
        return self._members[name].pagemap

    def _member(self, name: str) -> Member:
        if name in self._unborn:
            raise CannotDo(f"there is no {name}: the step that forks it failed")
        if name not in self._members:
            raise Broken(f"process {name} is gone: {self._ended.get(name, 'it was never started')}")
        return self._members[name]

    def _receive(self, name: str, op: str, also: Sequence[int] = (), stales: bool = True) -> tuple[Said, list[int]]:
        """also: other processes that it waits for.  stales: what it did may have changed what the others told."""
        member = self._members[name]
        try:
            message, fds = member.channel.receive(self._deadline.patience([member.pid, *also]))
            answer = decode(message)
            assert isinstance(answer, Answer)
            if isinstance(answer.seen, int):
                for fd in fds:
                    os.close(fd)
                raise Broken(f"process {name} failed to look: {os.strerror(answer.seen)}")
            if answer.seen is not None:
                if stales:
                    self.stale()
                member.seen |= answer.seen
                member.fresh = True
            return decode(answer.reply), fds
        except Closed:
            self._bury(name)
        except Overdue as late:
            member.close()
            del self._members[name]
            self._ended[name] = f"it did not finish {op}"
            self._loops |= late.endless
            raise (Livelock if late.endless else Broken)(f"process {name} did not finish {op}: {late}") from None

    def _bury(self, name: str) -> NoReturn:
        """A process is gone without having been told to: find out how, and raise Died."""
        status = self._reap(name)
        death = Died(name, -status if status < 0 else 0)
        self._ended[name] = str(death)
        raise death

    def _reap(self, name: str) -> int:
        """The exit status of a process that has ended or is about to."""
        member = self._members.pop(name)
        member.close()
        if member.parent in self._members:
            status = self.ask(member.parent, Wait(member.pid), also=[member.pid]).status
        else:
            status = self._nursery.wait(member.pid)
        if status is None:
            raise Broken(f"process {name} (pid {member.pid}) closed its channel and still runs")
        return status

    def fork(self, name: str, child: str) -> int:
        """fork() in `name`; 0 or the errno."""
        channel, far = Channel.pair()
        try:
            with far:
                pid = self.ask(name, Fork(), [far.fileno()]).pid
        except OSError as error:
            channel.close()
            self._unborn.add(child)
            return error.errno or errno.EIO
        except BaseException:
            channel.close()
            raise
        self._members[child] = Member(channel, pid, name)
        self._ended.pop(child, None)
        self._unborn.discard(child)
        self._receive(child, "start")
        self._members[name].fresh = True  # a child that starts changes nothing of its parent's
        return 0

    def exit(self, name: str) -> None:
        """The process exits and is waited for; its children live on."""
        exiting = self._member(name)
        children = [child for child, member in self._members.items() if member.parent == name]
        for child in children:
            self.ask(child, Keep(True))
        try:
            exiting.channel.send(encode(Exit()))
        except Closed:
            self._bury(name)
        status = self._reap(name)
        if status:
            raise Broken(f"process {name} exited with status {status}")
        self._ended[name] = "it has exited"
        for child in children:
            self._members[child].parent = None
            self.ask(child, Keep(False))

    def close(self) -> None:
        """End what still runs.  Raises Broken where a process cannot be killed."""
        for member in self._members.values():
            member.close()
        self._members.clear()
        stuck = self._nursery.end(self.leader, self._loops) if self.leader else None
        if stuck is not None:
            raise Broken(f"a process of the scenario (session {self.leader}) cannot be killed: {stuck}")


def _raise_for(reply: Said, name: str, request: Said) -> None:
    """What a reply says that is none to the request."""
    match reply:
        case Failed(number):
            raise OSError(number, os.strerror(number))
        case Cannot(reason):
            raise CannotDo(reason)
        case BrokenDown(what):
            raise Broken(f"process {name} failed in {request.op}: {what.strip()}")
