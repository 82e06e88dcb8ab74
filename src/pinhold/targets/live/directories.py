"""Where files go, by what their file system is: that of the temporary directory, or else that of /var/tmp.

A file of tmpfs is shared memory under another name: nobody writes it back, nobody tracks which of its pages are dirty,
and its direct I/O copies.  So an ordinary file is never made there.

Known hole: an overlay whose upper directory is on tmpfs passes for a file system that writes back.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator

from pinhold.targets.live import syscalls

MEMORY_ONLY = {0x01021994: "tmpfs", 0x858458F6: "ramfs", 0x958458F6: "hugetlbfs"}
"""f_type of statfs(2) of those that have nothing behind them to write back to."""

DIRECT = {0xEF53: "ext4", 0x58465342: "xfs"}
"""f_type of those that hand the pages of direct I/O to the block layer, whatever else they are mounted with."""

_OTHERS = {0x9123683E: "btrfs", 0xF2F52010: "f2fs", 0x794C7630: "overlayfs", 0x01021997: "9p", 0x6969: "nfs"}


def candidates() -> list[str]:
    """The directories that are looked at."""
    return list(dict.fromkeys((tempfile.gettempdir(), "/var/tmp")))


def kind(directory: str) -> str | None:
    """The name of its file system, as far as it has one here, else its number; None where it cannot be looked at."""
    number = syscalls.file_system(directory)
    if number is None:
        return None
    return {**MEMORY_ONLY, **DIRECT, **_OTHERS}.get(number, f"0x{number:x}")


def ordinary() -> str:
    """A directory whose files are written back.  Raises FileNotFoundError, whose words say what was looked at."""
    for directory in _ordinary():
        return directory
    names = candidates()
    kinds = " and ".join(dict.fromkeys(kind(name) or "nothing" for name in names))
    words = f"the files of {' and '.join(names)} are on {kinds}, and nothing writes them back: set TMPDIR"
    raise FileNotFoundError(errno.ENOENT, words)


def ordinary_kind() -> str | None:
    """The name of that directory's file system; None where there is none."""
    return next((kind(directory) for directory in _ordinary()), None)


def _ordinary() -> Iterator[str]:
    for name in candidates():
        number = syscalls.file_system(name)
        if number is not None and number not in MEMORY_ONLY and os.access(name, os.W_OK | os.X_OK):
            yield name
