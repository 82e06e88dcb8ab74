"""What host and guest say to each other over the second serial port: frames of JSON with length and CRC.

A frame is a magic word, the length and the CRC-32 of its body, and the body, which is compressed JSON.  What is not a
frame, or a damaged one, is `Damaged`: a result is never guessed.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

Message = dict[str, Any]

MAGIC = b"\x02PIN"
_HEAD = struct.Struct("<4sII")
MOST = 16 << 20
"""Bytes of a body."""


class Damaged(Exception):
    """What came is no frame, or not the frame that was sent."""


def encode(message: Message) -> bytes:
    """One frame."""
    body = zlib.compress(json.dumps(message, separators=(",", ":")).encode(), 1)
    return _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


class Decoder:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now.  Raises Damaged."""
        self._bytes += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if not MAGIC.startswith(bytes(self._bytes[:4])[:4]):
            raise Damaged(f"no frame begins with {bytes(self._bytes[:8]).hex()}")
        if len(self._bytes) < _HEAD.size:
            return None
        _, length, crc = _HEAD.unpack_from(self._bytes)
        if length > MOST:
            raise Damaged(f"a frame of {length} bytes")
        if len(self._bytes) < _HEAD.size + length:
            return None
        body = bytes(self._bytes[_HEAD.size : _HEAD.size + length])
        del self._bytes[: _HEAD.size + length]
        if zlib.crc32(body) != crc:
            raise Damaged(f"a frame of {length} bytes has the wrong checksum")
        try:
            message = json.loads(zlib.decompress(body))
        except (ValueError, zlib.error) as error:
            raise Damaged(f"a frame holds no JSON: {error}") from None
        if not isinstance(message, dict):
            raise Damaged("a frame holds no JSON object")
        return message
