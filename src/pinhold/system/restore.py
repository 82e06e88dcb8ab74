"""Putting everything back that a journal tells of, latest first."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from pinhold.system.changes import CONFLICT, Swap
from pinhold.system.host import Host
from pinhold.system.journal import Journal, path

RUN_RESTORE = "run pinhold restore"


@dataclass(slots=True)
class Report:
    """Sentences: what was restored, what was somebody else's by then, what could not be put back."""

    restored: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def message(self) -> dict[str, Any]:
        return asdict(self)


def undo(host: Host, journal: Journal) -> Report:
    """Put back what is not yet.  The journal goes when nothing is left to do.  Raises JournalFailed."""
    report = Report()
    for entry in reversed(journal.entries):
        if entry.end is not None:
            continue
        try:
            done = entry.change.undo(host, entry.got)
        except (OSError, ValueError) as error:
            why = error.strerror or error.args[-1] if isinstance(error, OSError) else error
            report.failed.append(f"not put back: {entry.change.words()}: {why}")
            continue
        (report.conflicts if done.how == CONFLICT else report.restored).append(done.words)
        journal.ended(entry, done.how)
    if report.failed:
        journal.close()
    else:
        journal.discard()
    return report


def discard_of_another_boot(host: Host, journal: Journal) -> str:
    """Settings do not outlive a boot; a swap file does.  Gives a note.  Raises JournalFailed, OSError."""
    for entry in journal.entries:
        if isinstance(entry.change, Swap) and entry.change.path not in host.swaps():
            host.remove(entry.change.path)
    journal.discard()
    return f"the journal of an earlier boot ({path(host)}) was discarded: its settings went with that boot"


def unrestored(journal: Journal) -> str:
    """Why nothing is changed over this journal."""
    left = "; ".join(entry.change.words() for entry in journal.entries if entry.end is None)
    if os.path.exists(f"/proc/{journal.main}"):
        return (
            f"process {journal.main} has changed {left}, and puts it back when it ends; if it does not, {RUN_RESTORE}"
        )
    return f"changes by process {journal.main}, which is gone, have not been put back ({left}): {RUN_RESTORE}"
