"""What a kernel counts and notes of one page of a process: seen from outside of a real one, and in the specification.

No process sees this of itself.  What a side does not know is None, and a comparison passes over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields

Place = tuple[str, str, int]
"""Process, region and page, as of a PageView."""


@dataclass(frozen=True, slots=True)
class Counts:
    """level, writable, dirty, soft_dirty: of the entry (soft_dirty of a swap entry too); swap_exclusive: what a swap
    entry keeps of anon_exclusive.

    refcount: without what batches for the LRU lists hold, which are drained when others fill them, and without that of
    a file system's buffers; pincount: of a large
    folio; mapcount: of the page, by itself and with its folio; large_mapcount: of all pages of a large folio;
    anon_exclusive: of the page, or of the head where one entry maps the folio.  swapcache, swapbacked, folio_dirty:
    flags of the folio, swapbacked as it is once the batches are drained.
    """

    level: str | None = None
    writable: bool | None = None
    dirty: bool | None = None
    soft_dirty: bool | None = None
    swap_exclusive: bool | None = None
    order: int | None = None
    refcount: int | None = None
    pincount: int | None = None
    mapcount: int | None = None
    large_mapcount: int | None = None
    anon_exclusive: bool | None = None
    swapcache: bool | None = None
    swapbacked: bool | None = None
    folio_dirty: bool | None = None


FIELDS = tuple(f.name for f in fields(Counts))

Look = Mapping[Place, Counts]
"""All watched pages after one step."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """One value that differs.  step: which step of the scenario was done; left, right: the values."""

    step: int
    place: Place
    field: str
    left: object
    right: object

    def __str__(self) -> str:
        proc, region, page = self.place
        return f"step {self.step + 1}, {proc} {region}[{page}]: {self.field} {self.left}, {self.right}"


@dataclass(slots=True)
class Tally:
    """compared: how many values of each field both sides had; unlike: those that differ, in order."""

    compared: Counter[str] = field(default_factory=Counter)
    unlike: list[Unlike] = field(default_factory=list)

    def add(self, step: int, left: Look, right: Look) -> None:
        """Compare what both sides had after one step."""
        for place in left.keys() & right.keys():
            for name, one, other in known(left[place], right[place]):
                self.compared[name] += 1
                if one != other:
                    self.unlike.append(Unlike(step, place, name, one, other))


def known(left: Counts, right: Counts) -> Iterator[tuple[str, object, object]]:
    """(field, left, right) of what both sides know."""
    values: Sequence[tuple[str, object, object]] = list(zip(FIELDS, astuple(left), astuple(right), strict=True))
    return (each for each in values if each[1] is not None and each[2] is not None)
