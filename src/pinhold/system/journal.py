"""The journal: what was changed, written down and on disk before it is changed.

JSON, one record a line.  First {"journal": 1, "boot", "main", "guardian"}; then for each change its record, with its
`change` number, before it is made; {"change": N, "got": VALUE} when it has been made; {"change": N, "end": HOW} when
it has been put back or given up.  A last line that is cut off was never acted upon.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Any

from pinhold.system.changes import Change, from_record
from pinhold.system.host import Host

VERSION = 1


class JournalFailed(Exception):
    """The journal cannot be kept or read; the message says why."""


@dataclass(slots=True)
class Entry:
    """One change.  got: what the machine had right after it, None where that is not known; end: how it ended."""

    change: Change
    number: int
    got: str | None = None
    end: str | None = None


def path(host: Host) -> str:
    """Where the journal is."""
    return os.path.join(host.state, "journal")


class Journal:
    """boot: of which boot it is; main: the process that asked for the changes; entries: in the order they were made."""

    def __init__(self, host: Host, boot: str, main: int, entries: list[Entry]) -> None:
        self.boot = boot
        self.main = main
        self.entries = entries
        self._host = host
        self._fd: int | None = None

    @classmethod
    def create(cls, host: Host, main: int) -> Journal:
        """An empty journal, on disk.  The caller has the lock.  Raises JournalFailed."""
        journal = cls(host, host.boot(), main, [])
        try:
            journal._fd = host.create(path(host))
            journal._append({"journal": VERSION, "boot": journal.boot, "main": main, "guardian": os.getpid()})
        except (OSError, JournalFailed) as error:
            with contextlib.suppress(OSError):
                host.forget(path(host))
            journal.close()
            raise error if isinstance(error, JournalFailed) else _failed(host, error) from None
        return journal

    @classmethod
    def load(cls, host: Host) -> Journal | None:
        """The journal that is there, or None.  Raises JournalFailed where it cannot be understood."""
        try:
            with open(path(host), "rb") as file:
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(host, error) from None
        if not lines:
            return cls(host, "", 0, [])
        try:
            first, *records = [json.loads(line) for line in lines]
            if first["journal"] != VERSION:
                raise JournalFailed(
                    f"{path(host)} is of another version of pinhold: run that version's pinhold restore"
                )
            return cls(host, str(first["boot"]), int(first["main"]), _entries(records))
        except (ValueError, KeyError, TypeError) as error:
            raise JournalFailed(f"{path(host)} cannot be understood ({error!r}): look at it and remove it") from None

    @property
    def of_this_boot(self) -> bool:
        return self.boot == self._host.boot()

    def begin(self, change: Change) -> Entry:
        """On disk when this returns: only now may the change be made.  Raises JournalFailed."""
        entry = Entry(change, len(self.entries))
        self._append({"change": entry.number, **change.record()})
        self.entries.append(entry)
        return entry

    def made(self, entry: Entry, got: str) -> None:
        """The change has been made, and this is what the machine has now.  Raises JournalFailed."""
        entry.got = got
        self._append({"change": entry.number, "got": got})

    def ended(self, entry: Entry, how: str) -> None:
        """The change has been put back or given up.  Putting the others back matters more than writing this down."""
        entry.end = how
        with contextlib.suppress(JournalFailed):
            self._append({"change": entry.number, "end": how})

    def discard(self) -> None:
        """Nothing of it is left to do.  Raises JournalFailed."""
        self.close()
        try:
            self._host.forget(path(self._host))
        except OSError as error:
            raise _failed(self._host, error) from None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, record: dict[str, Any]) -> None:
        try:
            if self._fd is None:
                self._fd = os.open(path(self._host), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._host.append(self._fd, json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise _failed(self._host, error) from None


def _failed(host: Host, error: OSError) -> JournalFailed:
    return JournalFailed(f"no journal can be kept in {host.state}: {error.strerror or error}")


def _entries(records: list[dict[str, Any]]) -> list[Entry]:
    found: list[Entry] = []
    for record in records:
        number = record["change"]
        if number == len(found):
            found.append(Entry(from_record(record), number))
        elif "got" in record:
            found[number].got = str(record["got"])
        else:
            found[number].end = str(record["end"])
    return found
