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

_USUAL = (
    b'"zero","hugetlb","file","swapped","none",{"verdict":{"kind":"held","violated","held","pinprobe",[["p",0,'
    b'null,null,null,null,null],["P","x",1,"present",1,"anon",null,1,255],["C","x",511,"present",2,"anon",null,2,1]],[]'
    b'{"step":{"index":3,"outcome":[0,null],"check":null,"seen":[0,[["P","x",0,"present",0,"anon",true,1,1],'
)
"""What most messages are made of: a preset dictionary, as they are short and many, and go byte by byte."""


_TEXT = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))


class Damaged(Exception):
    """What came is no frame, or not the frame that was sent."""


_JSON = json.JSONEncoder(separators=(",", ":"))
_WINDOW, _MEMORY = 12, 5
"""Of zlib, 32 KiB in all: the usual 256 KiB come afresh from the kernel for each message, page fault by page fault,
which a guest under TCG feels."""


def encode(message: Message) -> bytes:
    """One frame."""
    packer = zlib.compressobj(wbits=_WINDOW, memLevel=_MEMORY, zdict=_USUAL)
    body = packer.compress(_JSON.encode(message).encode()) + packer.flush()
    return _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


class Garbled(Damaged):
    """Where a frame should begin is text: what somebody said who knows nothing of frames."""

    def __init__(self, text: str) -> None:
        super().__init__(f"no frame, but text: {text}")
        self.text = text


class Decoder:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now.  Raises Damaged, Garbled."""
        self._bytes += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if not MAGIC.startswith(bytes(self._bytes[:4])[:4]):
            head = bytes(self._bytes[:8])
            if _TEXT.issuperset(head):
                raise Garbled(self._bytes.decode("utf-8", "replace"))
            raise Damaged(f"no frame begins with {head.hex()}")
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
            message = json.loads(zlib.decompressobj(zdict=_USUAL).decompress(body))
        except (ValueError, zlib.error) as error:
            raise Damaged(f"a frame holds no JSON: {error}") from None
        if not isinstance(message, dict):
            raise Damaged("a frame holds no JSON object")
        return message
