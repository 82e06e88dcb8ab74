"""The fork server: one small helper that starts the processes of scenarios, and leaves none of them behind.

It is executed afresh, so that scenarios inherit nothing of the program that uses pinhold, and it is the subreaper of
everything that they fork.  It ends, and ends them, when the controller's end of its channel closes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import NoReturn

from pinhold.targets import process, stuck, syscalls
from pinhold.targets.base import Broken, Unavailable
from pinhold.targets.cgroup import Leaf
from pinhold.targets.channel import Channel, Closed, Late, Message

_START = "import sys; sys.path.insert(0, sys.argv[1]); from pinhold.targets.nursery import main; main(int(sys.argv[2]))"
_TERM_SECONDS = 2.0
_KILL_SECONDS = 10.0
_ANSWER_SECONDS = 30.0


class Nursery:
    """The controller's handle of the helper.  It is started when first needed and ends with this object.

    start: the helper's program, with the directory of its modules and a socket as arguments.
    """

    def __init__(self, start: str = _START) -> None:
        self._program = start
        self._lock = threading.Lock()
        self._channel: Channel | None = None

    def _start(self) -> Channel:
        if not sys.executable:
            raise Unavailable("the live target needs to start Python, and this program does not say where it is")
        channel, far = Channel.pair()
        root = str(Path(__file__).resolve().parents[2])
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
        return channel

    def ready(self) -> None:
        """Start the helper if there is none yet.  Raises Unavailable."""
        with self._lock:
            if self._channel is None:
                self._channel = self._start()

    def _ask(self, message: Message, fds: tuple[int, ...] = ()) -> Message:
        with self._lock:
            if self._channel is None:
                self._channel = self._start()
            try:
                self._channel.send(message, fds)
                reply = self._channel.receive(_ANSWER_SECONDS)[0]
            except (Closed, Late):
                self._channel = None
                raise Broken("the helper that starts processes has died") from None
        if "failed" in reply:
            raise Broken(f"the helper that starts processes failed to {message['op']}: {reply['failed']}")
        return reply

    def spawn(self, far: socket.socket, cpu: int, seconds: int) -> int:
        """Start the first process of a scenario on `cpu`, at the other end of `far`; its pid."""
        return int(self._ask({"op": "spawn", "cpu": cpu, "seconds": seconds}, (far.fileno(),))["pid"])

    def wait(self, pid: int, seconds: float) -> int | None:
        """The exit status (negative: the signal) of a process without a parent of its own; None: it still runs."""
        status: int | None = self._ask({"op": "wait", "pid": pid, "seconds": seconds})["status"]
        return status

    def end(self, pid: int) -> str | None:
        """Terminate, then kill, the whole group of a scenario and reap it; what cannot be killed, in words, or None."""
        stuck: str | None = self._ask({"op": "end", "pid": pid})["stuck"]
        return stuck


def _finish(channel: Channel, helper: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, which can end no finalizer, ends the waiting alone: without its channel the helper ends by itself."""
    channel.close()
    with contextlib.suppress(KeyboardInterrupt):
        try:
            helper.wait(_TERM_SECONDS + _KILL_SECONDS)
        except subprocess.TimeoutExpired:
            helper.kill()
            helper.wait()


# The helper's side


def main(fd: int) -> NoReturn:
    """Serve the controller on the socket `fd` until it closes."""
    channel = Channel(socket.socket(fileno=fd))
    os.set_inheritable(fd, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    leaf = Leaf.make()
    gc.freeze()
    groups: set[int] = set()
    with contextlib.suppress(Closed):
        while True:
            message, fds = channel.receive()
            try:
                reply = _serve(message, fds, groups, channel, leaf)
            except OSError as error:
                reply = {"failed": error.strerror or str(error)}
            channel.send(reply)
    for group in list(groups):
        _end(group)
    if leaf is not None:
        leaf.remove()
    os._exit(0)


def _serve(message: Message, fds: list[int], groups: set[int], channel: Channel, leaf: Leaf | None) -> Message:
    if message["op"] == "spawn":
        with socket.socket(fileno=fds[0]) as sock:
            pid = _spawn(sock, message["cpu"], message["seconds"], channel, leaf)
        groups.add(pid)
        return {"pid": pid}
    if message["op"] == "wait":
        return {"status": _wait(message["pid"], message["seconds"])}
    if not _end(message["pid"]):
        return {"stuck": stuck.describe(message["pid"])}
    groups.discard(message["pid"])
    return {"stuck": None}


def _spawn(sock: socket.socket, cpu: int, seconds: int, channel: Channel, leaf: Leaf | None) -> int:
    helper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        channel.close()
        if leaf is not None:
            leaf.enter()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        process.enter(sock, helper, cpu, seconds)
    finally:
        os._exit(1)


def _next_exit(target: int, deadline: float) -> tuple[int, int] | None:
    """waitpid() with a deadline: None where it passed.  Raises ChildProcessError."""
    while True:
        pid, status = os.waitpid(target, os.WNOHANG)
        if pid:
            return pid, status
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _wait(pid: int, seconds: float) -> int | None:
    try:
        found = _next_exit(pid, time.monotonic() + seconds)
    except ChildProcessError:
        return None
    return None if found is None else os.waitstatus_to_exitcode(found[1])


def _reap(target: int, deadline: float) -> bool:
    """Reap until nothing of `target` is left; False where the deadline passed."""
    with contextlib.suppress(ChildProcessError):
        while True:
            if _next_exit(target, deadline) is None:
                return False
    return True


def _ours(kind: int, number: int) -> bool:
    """Whether a child of this process, alive or not yet reaped, has that pid or group: its number is not reused."""
    try:
        os.waitid(kind, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _end(leader: int) -> bool:
    """End the group of `leader`, which may not have become a group yet, or have lost its leader."""
    for number, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError):
            if _ours(os.P_PID, leader):
                os.kill(leader, number)
        with contextlib.suppress(ProcessLookupError):
            if _ours(os.P_PGID, leader):
                os.killpg(leader, number)
        if _reap(leader, deadline) and _reap(-leader, deadline):
            return True
    return False
