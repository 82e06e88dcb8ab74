"""What /proc/PID/fdinfo says of files that hold pins.

io_uring_show_fdinfo() (fs/io_uring.c in 5.10, io_uring/fdinfo.c since 6.1) prints the registered buffers after all that
users can name, as "INDEX: ADDRESS/LENGTH"; where another task has the ring's lock, it prints their number alone (until
6.17), or nothing.  dma_buf_show_fdinfo() (drivers/dma-buf/dma-buf.c) names the exporter and the size.
"""

from __future__ import annotations

import re

_HEAD = re.compile(r"^UserBufs:\t([0-9]+)$", re.MULTILINE)
_LINE = re.compile(r" *([0-9]+): (?:0x([0-9a-f]+)/([0-9]+)|<none>)")
_NOBODY = 0, 0xFFFF_FFFF_FFFF_FFFF
"""Addresses of what is no memory of a user: a buffer of the kernel itself (6.15, ublk), an empty slot (up to 6.12)."""


def fixed_buffers(text: str) -> list[tuple[int, int]] | None:
    """(address, length) of each registered buffer of a ring; None where the kernel did not list them this time.

    Files that are registered stand before them by their names, which may hold anything: so the last heading counts.
    """
    heads = list(_HEAD.finditer(text))
    if not heads:
        return None
    lines = text[heads[-1].end() + 1 :].splitlines()
    found = []
    for index in range(int(heads[-1][1])):
        line = _LINE.fullmatch(lines[index]) if index < len(lines) else None
        if line is None or int(line[1]) != index:
            return None
        if line[2] is not None and int(line[2], 16) not in _NOBODY:
            found.append((int(line[2], 16), int(line[3])))
    return found


def exported(text: str) -> tuple[str, int] | None:
    """(exporter, bytes) of a DMA buffer.

    The name that a user may give it stands last.
    """
    size = re.search(r"^size:\t([0-9]+)$", text, re.MULTILINE)
    name = re.search(r"^exp_name:\t(\S+)$", text, re.MULTILINE)
    return (name[1], int(size[1])) if size and name else None
