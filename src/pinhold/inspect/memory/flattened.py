"""Dumps in makedumpfile's flattened format, as QEMU writes its compressed ones: pieces of a file in any order.

A header of 4096 bytes, then records: offset and size (64 bits, big-endian) and so many bytes; -1, -1 is the last.
"""

from __future__ import annotations

import os
import struct
import tempfile
from typing import IO

from pinhold.inspect.errors import CannotLook

SIGNATURE = b"makedumpfile"
_HEADER = 4096
_RECORD = struct.Struct(">qq")
_TYPE = struct.Struct(">qq")
_FLATTENED = 1
_MOST = 1 << 46
"""Bytes of the file that it makes: more is damage (it is sparse)."""

_PIECE = 1 << 20


def is_flattened(file: IO[bytes]) -> bool:
    """By its first bytes; leaves the file at its beginning."""
    file.seek(0)
    head = file.read(16 + _TYPE.size)
    file.seek(0)
    return (
        head[: len(SIGNATURE)] == SIGNATURE
        and len(head) == 16 + _TYPE.size
        and _TYPE.unpack_from(head, 16)[0] == _FLATTENED
    )


def unflatten(file: IO[bytes]) -> IO[bytes]:
    """The dump itself, in an unnamed temporary file.  Raises CannotLook, OSError."""
    file.seek(_HEADER)
    out = tempfile.TemporaryFile(prefix="pinhold-")  # noqa: SIM115
    try:
        while True:
            record = file.read(_RECORD.size)
            if len(record) < _RECORD.size:
                raise CannotLook("this flattened dump is cut off: it has no last record")
            offset, size = _RECORD.unpack(record)
            if (offset, size) == (-1, -1):
                break
            if offset < 0 or size <= 0 or offset + size > _MOST:
                raise CannotLook(f"this flattened dump is damaged: it has a record of {size} bytes at {offset}")
            out.seek(offset)
            _copy(file, out, size)
    except BaseException:
        out.close()
        raise
    out.seek(0, os.SEEK_SET)
    return out


def _copy(file: IO[bytes], out: IO[bytes], size: int) -> None:
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise CannotLook("this flattened dump is cut off within a record")
        out.write(piece)
        size -= len(piece)
