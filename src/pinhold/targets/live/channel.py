"""Small JSON messages, with file descriptors, between the controller and the processes of a scenario."""

from __future__ import annotations

import json
import os
import socket
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from pinhold.targets.live.progress import POLL_SECONDS

Message = dict[str, Any]

_LENGTH = struct.Struct("=I")
_SPACE = socket.CMSG_SPACE(8 * array("i").itemsize)
_MOST_BYTES = 64 << 20


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a stream socket pair: whole messages, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """A channel and the socket to hand to the other side."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(near), far

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Raises Closed.  The descriptors stay open here."""
        body = json.dumps(message, separators=(",", ":")).encode()
        data = memoryview(_LENGTH.pack(len(body)) + body)  # in one piece: each piece would wake the other end
        try:
            self._sock.settimeout(None)
            if fds:
                data = data[socket.send_fds(self._sock, [data], list(fds)) :]
            self._sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from None

    def receive(self, patience: Callable[[], None] | None = None) -> tuple[Message, list[int]]:
        """The next message and its descriptors.  Waits for ever, or until `patience`, which is called now and then
        while nothing comes, ends that by raising.  Raises Closed."""
        fds: list[int] = []
        self._sock.settimeout(None if patience is None else POLL_SECONDS)
        try:
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size, patience, fds))
            if length > _MOST_BYTES:
                raise Closed(f"a message of {length} bytes")
            message = json.loads(self._read(length, patience, fds))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return message, fds

    def _read(self, count: int, patience: Callable[[], None] | None, fds: list[int]) -> bytes:
        parts = []
        while count:
            try:
                # Not socket.recv_fds(): it drops its flags.
                data, ancillary, _, _ = self._sock.recvmsg(min(count, 1 << 20), _SPACE, socket.MSG_CMSG_CLOEXEC)
            except TimeoutError:
                if patience is not None:
                    patience()
                continue
            except ConnectionResetError as error:
                raise Closed(str(error)) from None
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds += array("i", content)
            if not data:
                raise Closed("end of stream")
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def close(self) -> None:
        self._sock.close()
