"""Small messages, with file descriptors, between the controller and the processes of a scenario.

Both ends are one Python, started by one program: a message travels as marshal has it, which costs a tenth of JSON.
"""

from __future__ import annotations

import marshal
import os
import socket
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

POLL_SECONDS = 0.25
"""How often one who waits looks whether that is in vain."""

Message = Any
"""Of what marshal takes: numbers, text, bytes, None, and lists, tuples and dictionaries of those."""

_LENGTH = struct.Struct("=I")
_SPACE = socket.CMSG_SPACE(8 * array("i").itemsize)
_MOST_BYTES = 64 << 20
_PIECE = 1 << 16
_POLL = struct.pack("@ll", 0, int(POLL_SECONDS * 1e6))
"""A timeval."""


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a stream socket pair: whole messages, in order."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _POLL)
        self._sock = sock
        self._come = bytearray()

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """A channel and the socket to hand to the other side."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(near), far

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Raises Closed.  The descriptors stay open here."""
        body = marshal.dumps(message)
        data = memoryview(_LENGTH.pack(len(body)) + body)  # in one piece: each piece would wake the other end
        try:
            if fds:
                data = data[socket.send_fds(self._sock, [data], list(fds)) :]
            if data:
                self._sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from None

    def receive(self, patience: Callable[[], None] | None = None) -> tuple[Message, list[int]]:
        """The next message and its descriptors.  Waits for ever, or until `patience`, which is called now and then
        while nothing comes, ends that by raising.  Raises Closed."""
        fds: list[int] = []
        try:
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size, patience, fds))
            if length > _MOST_BYTES:
                raise Closed(f"a message of {length} bytes")
            message: Message = marshal.loads(self._read(length, patience, fds))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return message, fds

    def _read(self, count: int, patience: Callable[[], None] | None, fds: list[int]) -> bytes:
        """The next bytes.  What has come beyond them is kept: a whole message comes in one piece, if it is small."""
        while len(self._come) < count:
            try:
                # Not socket.recv_fds(): it drops its flags.
                data, ancillary, _, _ = self._sock.recvmsg(_PIECE, _SPACE, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:  # SO_RCVTIMEO
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
            self._come += data
        taken = bytes(memoryview(self._come)[:count])
        del self._come[:count]
        return taken

    def close(self) -> None:
        self._sock.close()
