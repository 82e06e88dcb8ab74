"""The kinds of change: how each is made, and how it is put back if it is still ours.

A change knows the value that it found and the one that it wants, so it can be put back by another process from its
record alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Protocol

from pinhold.system.host import Host

RESTORED = "restored"
CONFLICT = "conflict"

_POOL_ASK_AGAIN = (0.1, 0.5)
"""Seconds to wait before the kernel is asked again for the pages that it did not find."""

_POOL_SECONDS = 10.0
_POOL_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Undone:
    """How a change ended (RESTORED or CONFLICT), in words too."""

    how: str
    words: str


class Change(Protocol):
    """One change to the machine."""

    def record(self) -> dict[str, Any]:
        """What from_record() needs to make it again."""

    def make(self, host: Host) -> str:
        """Make it; what the machine has now.  Raises OSError."""

    def undo(self, host: Host, got: str | None) -> Undone:
        """Put it back, unless it is no longer ours.  Doing it again changes nothing.

        got: what make() gave; None where that is not known, as make() may have been cut off anywhere.  Raises OSError.
        """

    def words(self) -> str:
        """What it changes, in words."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A file of /sys or /proc with one value, `old` before and `new` during the change."""

    path: str
    old: str
    new: str

    def record(self) -> dict[str, Any]:
        return {"kind": "setting", "path": self.path, "old": self.old, "new": self.new}

    def words(self) -> str:
        return f"/{self.path} from {self.old} to {self.new}"

    def make(self, host: Host) -> str:
        host.write(self.path, self.new)
        return host.value(self.path)

    def undo(self, host: Host, got: str | None) -> Undone:
        now = host.value(self.path)
        if now != self.old:
            if now != (self.new if got is None else got):
                return _conflict(self.path, now, got or self.new, self.old)
            host.write(self.path, self.old)
            now = host.value(self.path)
            if now != self.old:
                raise OSError(None, f"it is {now} after {self.old} was written to it")
        return Undone(RESTORED, f"/{self.path} is {self.old} again")


@dataclass(frozen=True, slots=True)
class Pool:
    """The hugetlb pages of one size that the kernel keeps.  folder: of that size's files; old, new: numbers of pages.

    Pages beyond the pool ("surplus") are other programs' business and are not counted.
    """

    folder: str
    old: int
    new: int

    @property
    def _path(self) -> str:
        return f"{self.folder}/nr_hugepages"

    def record(self) -> dict[str, Any]:
        return {"kind": "pool", "folder": self.folder, "old": self.old, "new": self.new}

    def words(self) -> str:
        return f"/{self._path} from {self.old} to {self.new}"

    def make(self, host: Host) -> str:
        """A page that somebody has for a moment keeps the kernel from freeing a whole GiB: it is asked again."""
        host.write(self._path, str(self.new))
        for pause in _POOL_ASK_AGAIN:
            if persistent(host, self.folder) >= self.new:
                break
            time.sleep(pause)
            host.write(self._path, str(self.new))
        return str(persistent(host, self.folder))

    def undo(self, host: Host, got: str | None) -> Undone:
        """The kernel may have found fewer pages than asked for: without `got`, any number up to that is ours."""
        now = persistent(host, self.folder)
        if now != self.old:
            ours = range(self.old, self.new + 1) if got is None else (int(got),)
            if now not in ours:
                return _conflict(self._path, str(now), got or str(self.new), str(self.old))
            host.write(self._path, str(self.old))
            self._await_old(host)
        return Undone(RESTORED, f"/{self._path} is {self.old} again")

    def _await_old(self, host: Host) -> None:
        """A page that was in use goes when its last user lets go of it, as a process does that is being killed."""
        deadline = time.monotonic() + _POOL_SECONDS
        while (now := persistent(host, self.folder)) != self.old:
            if time.monotonic() > deadline:
                raise OSError(None, f"it is {now} after {self.old} was written to it")
            time.sleep(_POOL_POLL)


def persistent(host: Host, folder: str) -> int:
    """The pages of a pool without its surplus."""
    return host.number(f"{folder}/nr_hugepages") - host.number(f"{folder}/surplus_hugepages")


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap file of pinhold's own.  loop: through a loop device, for file systems that cannot be swapped to."""

    path: str
    size: int
    loop: bool = False

    def record(self) -> dict[str, Any]:
        return {"kind": "swap", "path": self.path, "size": self.size, "loop": self.loop}

    def words(self) -> str:
        return f"a swap file of {self.size >> 20} MiB, {self.path}{', by a loop device' if self.loop else ''}"

    def make(self, host: Host) -> str:
        host.make_swap_file(self.path, self.size)
        if self.loop:
            host.swap_on_loop(self.path)
        else:
            host.swap_on(self.path)
        return self.path

    def undo(self, host: Host, got: str | None) -> Undone:
        for area in host.swaps():
            if area == self.path or host.backing_file(area) == self.path:
                host.swap_off(area)
        host.remove(self.path)
        return Undone(RESTORED, f"the swap file {self.path} is gone")


def _conflict(path: str, now: str, ours: str, old: str) -> Undone:
    return Undone(
        CONFLICT,
        f"/{path} is {now}: pinhold had set it to {ours}, somebody has changed it since, and it was left alone "
        f"(it was {old} before)",
    )


_KINDS: dict[str, type[Setting] | type[Pool] | type[Swap]] = {"setting": Setting, "pool": Pool, "swap": Swap}


def from_record(record: dict[str, Any]) -> Change:
    """The change of a record.  Raises KeyError, TypeError for what is none."""
    fields = {name: value for name, value in record.items() if name not in ("change", "kind")}
    change = _KINDS[record["kind"]](**fields)
    path = change.folder if isinstance(change, Pool) else change.path
    if os.path.isabs(path) != isinstance(change, Swap) or ".." in path.split("/"):
        raise KeyError(path)
    return change
