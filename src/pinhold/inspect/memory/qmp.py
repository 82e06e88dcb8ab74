"""Any QEMU guest, by a QMP socket: QEMU tells where in itself the guest's memory is, and it is read there.

The guest is stopped while it is looked at (0.8 ms, and no longer than the looking), and goes on where it ran before.
It needs neither `-device vmcoreinfo` nor memory in a file, and the socket stays the only connection.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.memory.source import Source, of_physical

_SECONDS = 10.0
_MOST_LINE = 1 << 22
_HOW = "start the guest with -qmp unix:PATH,server=on,wait=off"
_FLAT = re.compile(r"^\s*([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ram\): (\S+)(?: @[0-9a-f]+)?", re.MULTILINE)
_HOST = re.compile(r"Host virtual address for 0x[0-9a-f]+ \(.*\) is (0x[0-9a-f]+)")
_LEAST = 1 << 20
"""Bytes of a range of RAM that may hold a kernel, or its page tables: below lies the first MiB, with firmware in it."""


class Monitor:
    """A QMP connection.  Commands and their answers; events are passed over."""

    def __init__(self, path: str, seconds: float = _SECONDS) -> None:
        """seconds: that an answer may take.  Raises CannotLook."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(seconds)
        self._lines = self._socket.makefile("rb")
        try:
            self._socket.connect(path)
            if "QMP" not in self._line():
                raise CannotLook(f"qmp:{path}: what listens there speaks no QMP: {_HOW}")
            self("qmp_capabilities")
        except OSError as wrong:
            self.close()
            busy = ": another program is connected to it" if isinstance(wrong, TimeoutError) else ""
            raise CannotLook(f"qmp:{path}: {wrong.strerror or wrong}{busy}: {_HOW}") from None
        except BaseException:
            self.close()
            raise

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Raises CannotLook, OSError."""
        words = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
        self._socket.sendall(json.dumps(words).encode() + b"\n")
        while True:
            answer = self._line()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise CannotLook(f"qmp:{self._path}: {command}: {answer['error'].get('desc', 'it failed')}")

    def _line(self) -> dict[str, Any]:
        line = self._lines.readline(_MOST_LINE)
        if not line.endswith(b"\n"):
            raise CannotLook(f"qmp:{self._path}: QEMU has hung up")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise CannotLook(f"qmp:{self._path}: what listens there speaks no QMP: {_HOW}")
        return answer

    def human(self, command: str) -> str:
        """What QEMU's monitor for people says.  Raises CannotLook, OSError."""
        return str(self("human-monitor-command", **{"command-line": command}))

    def peer(self) -> int:
        """The process that listens there."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The guest stands still for so long; one that stood before stays as it is."""
        running = self._asked("query-status").get("running") is True
        if running:
            self._asked("stop")
        try:
            yield
        finally:
            if running:
                self._asked("cont")

    def _asked(self, command: str) -> dict[str, Any]:
        """Raises CannotLook."""
        try:
            answer = self(command)
        except OSError as wrong:
            raise CannotLook(f"qmp:{self._path}: {command}: {wrong.strerror or wrong}") from None
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


def source(path: str) -> Source:
    """The guest that answers on that socket.  Raises CannotLook."""
    name = f"qmp:{path}"
    monitor = Monitor(path)
    try:
        pid = monitor.peer()
        try:
            memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as wrong:
            raise CannotLook(
                f"{name}: the memory of QEMU (process {pid}) cannot be read: {wrong.strerror}: "
                "be root, or its user with CAP_SYS_PTRACE"
            ) from None
    except BaseException:
        monitor.close()
        raise

    def close() -> None:
        os.close(memory)
        monitor.close()

    try:
        places = _ram(monitor)

        def read(address: int, count: int) -> bytes:
            for there, host in places:
                if address in there:
                    return os.pread(memory, count, host + address - there.start)
            return b""

        with monitor.stopped():
            if not places or not _readable(memory, places[0][1]):
                raise CannotLook(
                    f"{name}: process {pid} listens there and is not the QEMU that has the guest: "
                    f"QEMU must have opened the socket itself: {_HOW}"
                )
            program, info = of_physical(read, [there for there, _ in places])
    except BaseException:
        close()
        raise
    return Source(name, program, info, goes_on=True, pause=monitor.stopped, close=close)


def _readable(memory: int, host: int) -> bool:
    with suppress(OSError):
        return len(os.pread(memory, 8, host)) == 8
    return False


def _ram(monitor: Monitor) -> list[tuple[range, int]]:
    """The guest's memory: physical addresses, and where each range lies in QEMU.  Raises CannotLook, OSError."""
    tree = monitor.human("info mtree -f")
    view = next((part for part in tree.split("FlatView #") if re.search(r' AS "memory"', part)), tree)
    found = []
    for first, last, _ in _FLAT.findall(view):
        there = range(int(first, 16), int(last, 16) + 1)
        if len(there) < _LEAST:
            continue
        host = _HOST.search(monitor.human(f"gpa2hva {there.start:#x}"))
        if host is not None:
            found.append((there, int(host[1], 16)))
    return found
