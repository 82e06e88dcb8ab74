"""The fork server itself, see nursery.py.  It is small: what it has imported is copied for every process that it forks,
and for every one that those fork."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import socket
import time
from typing import NoReturn

from pinhold.targets.live import process, syscalls
from pinhold.targets.live.cgroup import Leaf
from pinhold.targets.live.channel import POLL_SECONDS, Channel, Closed
from pinhold.targets.live.pins import DIRECT_IO
from pinhold.targets.live.protocol import (
    Failed,
    Gone,
    Pid,
    Reap,
    ReapGroup,
    Said,
    Signal,
    Spawn,
    Status,
    decode,
    encode,
)

_POLLS = 8


def main(fd: int) -> NoReturn:
    """Serve the controller on the socket `fd` until it closes."""
    channel = Channel(socket.socket(fileno=fd))
    os.set_inheritable(fd, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    leaf = Leaf.make()
    process.rehearse()
    with contextlib.suppress(OSError):
        DIRECT_IO.ready()
    gc.collect()
    gc.freeze()
    groups: set[int] = set()
    with contextlib.suppress(Closed):
        while True:
            message, fds = channel.receive()
            try:
                reply = _serve(decode(message), fds, groups, channel, leaf)
            except OSError as error:
                reply = Failed(error.errno or errno.EIO)
            channel.send(encode(reply))
    for group in groups:
        _signal(group, signal.SIGTERM)
    for group in groups:
        for _ in range(_POLLS):
            if _gone(group):
                break
        else:
            _signal(group, signal.SIGKILL)
            _gone(group)
    if leaf is not None:
        leaf.remove()
    os._exit(0)


def _serve(request: Said, fds: list[int], groups: set[int], channel: Channel, leaf: Leaf | None) -> Said:
    match request:
        case Spawn(cpu, seconds):
            with socket.socket(fileno=fds[0]) as sock:
                pid = _spawn(sock, cpu, seconds, channel, leaf)
            groups.add(pid)
            return Pid(pid)
        case Reap(pid):
            return _wait(pid)
        case Signal(leader, number):
            _signal(leader, number)
            return _reaped(leader, groups)
        case ReapGroup(leader):
            return _reaped(leader, groups)
    raise TypeError(f"no request to the helper that starts processes: {request}")


def _reaped(leader: int, groups: set[int]) -> Gone:
    gone = _gone(leader)
    if gone:
        groups.discard(leader)
    return Gone(gone)


def _spawn(sock: socket.socket, cpu: int, seconds: int | None, channel: Channel, leaf: Leaf | None) -> int:
    helper = os.getpid()
    os.sched_setaffinity(0, {cpu})
    pid = os.fork()
    if pid:
        return pid
    try:
        channel.close()
        if leaf is not None:
            leaf.enter()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        process.enter(sock, helper, seconds)
    finally:
        os._exit(1)


def _next_exit(target: int) -> tuple[int, int] | None:
    """waitpid() that waits a moment: None where nothing of `target` ends meanwhile.  Raises ChildProcessError."""
    deadline = time.monotonic() + POLL_SECONDS
    while True:
        pid, status = os.waitpid(target, os.WNOHANG)
        left = deadline - time.monotonic()
        if pid:
            return pid, status
        if left <= 0:
            return None
        signal.sigtimedwait({signal.SIGCHLD}, left)  # which may be of another process, or of one that was reaped


def _wait(pid: int) -> Status:
    try:
        found = _next_exit(pid)
    except ChildProcessError:
        return Status(None)
    return Status(None, over=False) if found is None else Status(os.waitstatus_to_exitcode(found[1]))


def _gone(leader: int) -> bool:
    """Reap what has ended of a group, waiting a moment for it; whether nothing of it is left."""
    for target in (leader, -leader):
        with contextlib.suppress(ChildProcessError):
            while True:
                if _next_exit(target) is None:
                    return False
    return True


def _ours(kind: int, number: int) -> bool:
    """Whether a child of this process, alive or not yet reaped, has that pid or group: its number is not reused."""
    try:
        os.waitid(kind, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _signal(leader: int, number: int) -> None:
    """To the group of `leader`, which may not have become a group yet, or have lost its leader."""
    with contextlib.suppress(ProcessLookupError):
        if _ours(os.P_PID, leader):
            os.kill(leader, number)
    with contextlib.suppress(ProcessLookupError):
        if _ours(os.P_PGID, leader):
            os.killpg(leader, number)
