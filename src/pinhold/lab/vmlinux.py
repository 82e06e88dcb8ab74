"""The ELF kernel inside a bzImage: QEMU starts it by PVH, which saves the guest the slow decompression."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from pinhold import trust

_MAGIC = b"HdrS"
_PVH_NOTE = struct.pack("<III", 4, 4, 18) + b"Xen\0"
"""XEN_ELFNOTE_PHYS32_ENTRY with a 32-bit address; some kernels have eight bytes there."""
_PVH_NOTE_64 = struct.pack("<III", 4, 8, 18) + b"Xen\0"


def payload(image: bytes) -> bytes | None:
    """The compressed kernel of a bzImage, by its setup header; None where it is no such image."""
    if image[0x202:0x206] != _MAGIC:
        return None
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start : start + length]


def decompress(data: bytes) -> bytes | None:
    """By its magic; None where this machine has no tool for it."""
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data[:-4])
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data.startswith(magic):
            with suppress(trust.NoProgram):
                command = [trust.program(tool), "-dc"]
                done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)
                return done.stdout or None  # a trailing length makes the tools complain after all data
    return None


def extract(image: Path, out: Path) -> bool:
    """Write the ELF kernel to `out` where that can be done and started; False where the image has to be booted."""
    data = payload(image.read_bytes())
    kernel = decompress(data) if data else None
    if kernel is None or kernel[:4] != b"\x7fELF" or not startable(kernel):
        return False
    partial = out.with_suffix(".partial")
    partial.write_bytes(kernel)
    os.replace(partial, out)
    return True


def startable(kernel: bytes) -> bool:
    """Whether it has the PVH entry that QEMU needs (CONFIG_PVH)."""
    return _PVH_NOTE in kernel or _PVH_NOTE_64 in kernel
