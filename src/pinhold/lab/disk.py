"""A guest's disks: memory files of this program, sparse, without a name, and gone with the guest."""

from __future__ import annotations

import os
import subprocess
from typing import IO

from pinhold import trust
from pinhold.lab.errors import LabError

MKFS = "mkfs.ext4"
_SBIN = "/usr/sbin"
"""Where the system has it, which an ordinary user's PATH leaves out."""

_SECONDS = 60
_OPTIONS = (
    "-q", "-F",
    "-O", "^has_journal,^resize_inode",  # nothing that writes by itself
    "-E", "lazy_itable_init=0,nodiscard",
    "-N", "256", "-m", "0",
)  # fmt: skip


def memory_file(name: str, data: bytes = b"") -> IO[bytes]:
    """A file in memory that has this content."""
    file = os.fdopen(os.memfd_create(f"pinhold-{name}", 0), "w+b", buffering=0)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    return file


def empty(name: str, mebibytes: int) -> IO[bytes]:
    """A disk of zeros."""
    file = memory_file(name)
    file.truncate(mebibytes << 20)
    return file


def _mkfs() -> str:
    """The program.  Raises NoProgram."""
    usual = os.path.join(_SBIN, MKFS)
    return usual if os.access(usual, os.X_OK) else trust.program(MKFS)


def missing() -> str | None:
    """Why no disk can be formatted as ext4 here, in words."""
    try:
        _mkfs()
    except trust.NoProgram as reason:
        return f"the guest's disk for them needs {reason}: apt-get install e2fsprogs"
    return None


def ext4(name: str, mebibytes: int) -> IO[bytes]:
    """A disk with an empty ext4.  Raises LabError."""
    try:
        program = _mkfs()
    except trust.NoProgram as reason:
        raise LabError(f"a disk with ext4 needs {reason}") from None
    file = empty(name, mebibytes)
    try:
        done = subprocess.run(
            [program, *_OPTIONS, f"/proc/self/fd/{file.fileno()}"],
            pass_fds=[file.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env=trust.environment(),
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        file.close()
        said = f": {' '.join(done.stderr.split())}" if done else f" within {_SECONDS} s"
        raise LabError(f"{program} made no file system{said}")
    return file
