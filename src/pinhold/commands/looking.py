"""Where `pinhold pins` and `watch` look: the kernel that runs here, a crash dump, or a guest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.runs import Progress
from pinhold.inspect import KINDS, errors
from pinhold.inspect.errors import CannotLook
from pinhold.inspect.proc import Reader, counters
from pinhold.inspect.records import At, NotThere, Selection, Told

if TYPE_CHECKING:
    from pinhold.inspect.view import View

LIVE = "live"


class Looking:
    """A kernel that is looked into once or again and again: into its memory, or where only /proc can be read, that.

    source: what --on says.  Raises UsageError for what is none, NothingToRun where it cannot be looked into.
    """

    def __init__(self, source: str) -> None:
        kind, colon, rest = source.partition(":")
        if bool(colon) != (kind != LIVE) or (kind != LIVE and not rest) or kind not in ("vmcore", "qmp", LIVE):
            raise UsageError(f"--on takes {', '.join(KINDS)}, not {source!r}: {nearest(source, KINDS)}")
        self._live = kind == LIVE
        self._view: View | None = None
        try:
            self._view = _view(source)
        except CannotLook as reason:
            if not self._live:
                raise NothingToRun(str(reason)) from None
            self._why = str(reason)

    def look(self, selection: Selection) -> Told:
        """One look.  Raises UsageError for what is not there, NothingToRun where nothing can be told."""
        try:
            told = self.again(selection)
        except NotThere as reason:
            raise UsageError(str(reason)) from None
        if self._view is None and (selection.of_frames or not told.looked.total):
            raise NothingToRun(" ".join(told.missing))
        return told

    def again(self, selection: Selection) -> Told:
        """The same, whatever comes of it.  Raises NotThere, and NothingToRun where nothing can be read."""
        progress = Progress("pins", 0, "processes")
        try:
            return self._by(selection, progress.of)
        except CannotLook as reason:
            raise NothingToRun(str(reason)) from None
        except OSError as error:
            raise NothingToRun(f"{error.filename or '/proc'} cannot be read: {error.strerror}") from None
        finally:
            progress.clear()

    def _by(self, selection: Selection, at: At) -> Told:
        if self._view is not None:
            from pinhold.inspect.pinned import Look

            told = Look(self._view, at).look(selection)
            return replace(told, counters=counters()) if self._live else told
        told = Reader(at=at).look(selection)
        return told if told.missing else replace(told, missing=(f"Nothing more can be told: {self._why}.",))

    def close(self) -> None:
        """Let go of the kernel."""
        if self._view is not None:
            self._view.close()


def _view(source: str) -> View:
    """Raises CannotLook."""
    if reason := errors.missing():
        raise CannotLook(reason)
    from pinhold.inspect.opening import opened

    return opened(source)
