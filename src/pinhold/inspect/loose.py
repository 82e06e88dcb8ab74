"""Pinned folios that no known holder has: looked at again a moment later, for what is gone by then was I/O in flight.

Direct I/O pins the pages of its buffer (since 6.5; before, it holds references) and keeps them in a bio, which is in no
list of a process's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from drgn import FaultError

from pinhold.inspect.errors import CannotLook
from pinhold.inspect.folio import Folio
from pinhold.inspect.holders.kept import Run
from pinhold.inspect.records import State
from pinhold.inspect.state import Judged, by_rmap
from pinhold.inspect.view import View

CHANGED = "it changed each time that it was read"
GIVEN_BACK = "given back a moment later: I/O in flight, such as direct I/O"

MOMENT = 0.1
"""Seconds between the looks: most I/O takes less."""


class Loose:
    """Those of one look."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._found: list[tuple[Folio, list[Judged]]] = []

    def add(self, folio: Folio) -> None:
        """One that the scan came upon.  What cannot be read has been freed meanwhile."""
        try:
            self._found.append((folio, self._judged(folio)))
        except (FaultError, CannotLook):
            self._found.append((folio, []))

    @property
    def wait(self) -> float:
        """Seconds until the second look: 0 where there is none, of a kernel that stands still for ever."""
        return MOMENT if self._found and self._view.source.goes_on else 0.0

    def settled(self) -> Iterator[tuple[Judged, bool]]:
        """Each of its whole folio, and whether it was given back between the two looks."""
        for folio, first in self._found:
            if not self._view.source.goes_on:
                yield from ((_whole(judged, folio), False) for judged in first)
                continue
            lasting = self._lasting(folio)
            yield from ((_whole(judged, folio), False) for judged in lasting or ())
            if lasting is None:
                gone = first[0] if first else Judged(Run(folio.pfn, 1), folio, State.UNKNOWN)
                yield _whole(replace(gone, folio=folio, state=State.UNKNOWN, reason=GIVEN_BACK), folio), True

    def _lasting(self, folio: Folio) -> list[Judged] | None:
        """What is still pinned; twice the same, where the kernel runs on.  None: it is not."""
        try:
            first = second = self._judged(folio)
            if self._view.source.changes:
                second = self._judged(folio)
            if not all(judged.folio.pins for judged in second):
                return None
            if list(map(without_counts, first)) == list(map(without_counts, second)):
                return second
        except (FaultError, CannotLook):
            return None
        return [replace(judged, state=State.UNKNOWN, reason=CHANGED) for judged in second]

    def _judged(self, folio: Folio) -> list[Judged]:
        """By its head.  Raises CannotLook, drgn.FaultError."""
        return list(by_rmap(self._view, Run(folio.pfn, 1)))


def _whole(judged: Judged, folio: Folio) -> Judged:
    return replace(judged, run=replace(judged.run, pages=folio.pages))


def without_counts(judged: Judged) -> tuple[object, ...]:
    """What has to be the same twice; the folio's counts go up and down."""
    return judged.run, judged.state, judged.reason, judged.places, judged.folio.pfn, judged.folio.kind
