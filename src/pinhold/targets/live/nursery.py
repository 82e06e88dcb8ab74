"""The fork server as the controller has it: one small helper that starts the processes of scenarios, and leaves none of
them behind.

It is executed afresh, so that scenarios inherit nothing of the program that uses pinhold, and it is the subreaper of
everything that they fork.  It ends, and ends them, when the controller's end of its channel closes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TypeVar, cast

from pinhold.targets.base import Broken, Unavailable
from pinhold.targets.live import stuck
from pinhold.targets.live.channel import Channel, Closed
from pinhold.targets.live.progress import Deadline, Overdue
from pinhold.targets.live.protocol import Failed, Reap, ReapGroup, Request, Said, Signal, Spawn, decode, encode

R = TypeVar("R", bound=Said)

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pinhold.targets.live.helper import main; main(int(sys.argv[2]))"
)
_TERM = Deadline(2.0, 2.0)
_KILL = Deadline(60.0, 20.0)
_LOOPS = Deadline(1.0, 1.0)
"""What a process may spend on its end: asked to, killed, and killed while it loops in the kernel, which it notices at
once or never."""

_ANSWER = Deadline(120.0, 120.0)

_FINISH_SECONDS = 12.0
"""At the end of the program nobody waits longer for the helper: the processes that it starts die with it."""


class Nursery:
    """The controller's handle of the helper.  It is started when first needed and ends with this object.

    start: the helper's program, with the directory of its modules and a socket as arguments.
    """

    def __init__(self, start: str = _START) -> None:
        self._program = start
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._helper = 0

    def _start(self) -> Channel:
        if not sys.executable:
            raise Unavailable("the live target needs to start Python, and this program does not say where it is")
        channel, far = Channel.pair()
        root = str(Path(__file__).resolve().parents[3])
        with far:
            helper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", self._program, root, str(far.fileno())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        weakref.finalize(self, _finish, channel, helper)
        self._helper = helper.pid
        return channel

    def ready(self) -> None:
        """Start the helper if there is none yet.  Raises Unavailable."""
        with self._lock:
            if self._channel is None:
                self._channel = self._start()

    def warm(self) -> None:
        """Start it, and wait until it serves.  Raises Unavailable, Broken."""
        self._ask(Reap(os.getpid()))  # which is none of its children

    def _ask(self, request: Request[R], fds: tuple[int, ...] = ()) -> R:
        """The helper's answer, which never has to wait long for anything but a processor."""
        with self._lock:
            if self._channel is None:
                self._channel = self._start()
            try:
                self._channel.send(encode(request), fds)
                reply = decode(self._channel.receive(_ANSWER.patience([self._helper]))[0])
            except Closed:
                self._channel = None
                raise Broken("the helper that starts processes has died") from None
            except Overdue as late:
                self._channel.close()
                self._channel = None
                raise Broken(f"the helper that starts processes did not {request.op}: {late}") from None
        if isinstance(reply, Failed):
            raise Broken(f"the helper that starts processes failed to {request.op}: {os.strerror(reply.errno)}")
        return cast(R, reply)

    def spawn(self, far: socket.socket, cpu: int, seconds: int | None) -> int:
        """Start the first process of a scenario on `cpu`, at the other end of `far`; its pid.

        seconds: of processor time that it and each of its children may use.
        """
        return self._ask(Spawn(cpu, seconds), (far.fileno(),)).pid

    def wait(self, pid: int) -> int | None:
        """The exit status (negative: the signal) of a process without a parent of its own that is about to end; None:
        it still runs."""
        patience = Deadline().patience([pid])
        with contextlib.suppress(Overdue):
            while not (reply := self._ask(Reap(pid))).over:
                patience()
            return reply.status
        return None

    def end(self, leader: int, loops: bool = False) -> str | None:
        """Terminate, then kill, the whole group of a scenario and reap it; what cannot be killed, in words, or None.

        loops: a process of it loops in the kernel.
        """
        ways = ((signal.SIGKILL, _LOOPS),) if loops else ((signal.SIGTERM, _TERM), (signal.SIGKILL, _KILL))
        for number, deadline in ways:
            patience = deadline.patience(stuck.members(leader))
            gone = self._ask(Signal(leader, int(number))).gone
            with contextlib.suppress(Overdue):
                while not gone:
                    patience()
                    gone = self._ask(ReapGroup(leader)).gone
                return None
        return stuck.describe(leader)


def _finish(channel: Channel, helper: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, which can end no finalizer, ends the waiting alone: without its channel the helper ends by itself."""
    channel.close()
    with contextlib.suppress(KeyboardInterrupt):
        try:
            helper.wait(_FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            helper.kill()
            helper.wait()
