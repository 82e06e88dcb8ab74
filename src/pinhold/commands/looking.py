"""Where `pinhold pins` and `watch` look: the kernel that runs here, a crash dump, or a guest."""

from __future__ import annotations

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.runs import Progress
from pinhold.inspect.proc import NoProcess, Reader
from pinhold.inspect.records import Selection, Told

_KINDS = ("live", "vmcore:FILE", "qmp:SOCKET")


class Looking:
    """source: what --on says.  Raises UsageError for what is none."""

    def __init__(self, source: str) -> None:
        kind, colon, rest = source.partition(":")
        if kind in ("vmcore", "qmp") and rest:
            raise NothingToRun(f"{source} cannot be looked into yet: --on live can")
        if kind != "live" or colon:
            raise UsageError(f"--on takes {', '.join(_KINDS)}, not {source!r}: {nearest(source, _KINDS)}")

    def look(self, selection: Selection) -> Told:
        """One look.  Raises UsageError for a process that is not there, NothingToRun where nothing can be told."""
        try:
            told = self.again(selection)
        except NoProcess as reason:
            raise UsageError(str(reason)) from None
        if selection.of_frames or not told.looked.total:
            raise NothingToRun(" ".join(told.missing))
        return told

    def again(self, selection: Selection) -> Told:
        """The same, whatever comes of it.  Raises NoProcess, and NothingToRun where nothing can be read."""
        progress = Progress("pins", 0, "processes")
        try:
            return Reader(at=progress.of).look(selection)
        except OSError as error:
            raise NothingToRun(f"{error.filename or '/proc'} cannot be read: {error.strerror}") from None
        finally:
            progress.clear()
