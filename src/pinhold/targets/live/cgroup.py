"""A cgroup (version 2) for a scenario's processes: bounded memory and number of processes, where that may be.

Only a child of pinhold's own cgroup is made, and only where that one already hands its controllers down: nothing of
the machine's cgroups is changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_PREFIX = "pinhold-"
_PROCESSES = 256
_REMOVE_SECONDS = 2.0
"""What is not empty by then stays, until the next helper comes (_remove_orphans())."""


def own(root: Path = Path("/")) -> Path | None:
    """The directory of this process's cgroup; None where there is no cgroup2 file system."""
    try:
        mounts = (root / "proc/self/mountinfo").read_text()
        groups = (root / "proc/self/cgroup").read_text()
    except OSError:
        return None
    mount = re.search(r"^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    group = re.search(r"^0::(/.*)$", groups, re.MULTILINE)
    if mount is None or group is None:
        return None
    shown = os.path.relpath(group[1], mount[1])
    return root / mount[2].lstrip("/") / shown if not shown.startswith("..") else None


def missing(root: Path = Path("/")) -> str | None:
    """Why there can be no cgroup for scenarios, or None."""
    folder = own(root)
    if folder is None:
        return "there is no cgroup of version 2 here"
    if not os.access(folder, os.W_OK):
        return "this user cannot make a cgroup: scenarios are bounded by rlimits alone"
    try:
        handed = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return "this cgroup does not say what it hands down"
    if not {"memory", "pids"} & set(handed):
        return "this cgroup hands neither memory nor pids down: scenarios are bounded by rlimits alone"
    return None


class Leaf:
    """The cgroup of one helper's scenarios."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, root: Path = Path("/")) -> Leaf | None:
        """A fresh one, for three quarters of the available memory; None where there can be none."""
        parent = own(root)
        if parent is None or missing(root) is not None:
            return None
        _remove_orphans(parent)
        leaf = cls(parent / f"{_PREFIX}{os.getpid()}")
        try:
            leaf.folder.mkdir()
        except OSError:
            return None
        for name, limit in (("memory.max", _available(root) * 3 // 4), ("pids.max", _PROCESSES)):
            with contextlib.suppress(OSError):
                _write(leaf.folder / name, str(limit))
        return leaf

    def enter(self) -> None:
        """Put the calling process there."""
        with contextlib.suppress(OSError):
            _write(self.folder / "cgroup.procs", "0")

    def remove(self) -> None:
        """Kill what is still there, and take it away."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        with contextlib.suppress(OSError):
            _write(self.folder / "cgroup.kill", "1")
        while True:
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)


def _available(root: Path) -> int:
    """Bytes of memory that are free or can be made so."""
    match = re.search(r"^MemAvailable:\s+(\d+)", (root / "proc/meminfo").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _write(file: Path, text: str) -> None:
    """Never makes a file: a limit that the kernel does not offer is left out."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _remove_orphans(parent: Path) -> None:
    """Those of helpers that were killed: they are empty, as their processes went with them."""
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError):
                folder.rmdir()
