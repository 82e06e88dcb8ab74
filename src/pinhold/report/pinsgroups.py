"""What is told of pinned memory as groups of rows, in words: what the table and the page of `pinhold pins` show.

A group is a process, a holder or a zone; neighbours that are alike in all else are one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pinhold.inspect.records import Buffer, Holder, Owner, PinnedFolio, Process, ProcessPins, State, Told
from pinhold.report.results import one_line

BY = ("process", "holder", "zone")
NOBODY = "mapped by no process"
NO_ZONE = "no page frame is known"
UNKNOWN_HOLDER = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """at: the address, by zone the page frame number; None: not known.  size in bytes.  pages: how many records are in
    it.  pins: their number, None: not known."""

    at: int | None
    size: int | None
    pages: int
    pins: int | None
    kind: str
    process: str
    holder: str
    state: State
    reason: str

    def continues(self, before: Row) -> bool:
        """Whether it begins where the other ends, and is like it."""
        if (self.at is None) != (before.at is None) or before.size is None or self.size is None:
            return False
        alike = replace(self, at=0, size=0, pages=0, pins=None) == replace(before, at=0, size=0, pages=0, pins=None)
        return alike and (self.pins is None) == (before.pins is None) and before.size // before.pages == self.size


@dataclass(slots=True)
class Group:
    """name: what its rows have in common; note: said beside it."""

    name: str
    note: str
    rows: list[Row]


def groups(told: Told, by: str) -> list[Group]:
    """The groups, each with its rows; processes by their numbers, everything else by name."""
    found: dict[tuple[int, str], Group] = {}
    if by == "process":
        for one in told.processes:
            if one.vm_pin or one.vm_lck:
                found[_order(one.process)] = Group(process_words(one.process), charged(one), [])
    notes = {_order(one.process): charged(one) for one in told.processes} if by == "process" else {}
    for key, row in _rows(told, by):
        group = found.setdefault(key, Group(key[1], notes.get(key, ""), []))
        group.rows.append(row)
    for group in found.values():
        group.rows = list(joined(sorted(group.rows, key=lambda row: (row.at is None, row.at or 0)), by == "zone"))
    return [found[key] for key in sorted(found)]


def _rows(told: Told, by: str) -> Iterator[tuple[tuple[int, str], Row]]:
    """Each with the key of its group."""
    for buffer in told.buffers:
        yield _key(by, buffer.holder.process, buffer.holder, NO_ZONE), _of_buffer(buffer)
    for folio in told.folios:
        zone = f"node {folio.node}, zone {folio.zone}{f', CMA area {one_line(folio.cma)}' if folio.cma else ''}"
        if by == "zone":
            yield (0, zone), _of_folio(folio, folio.pfn, _owners(folio), folio.holders)
        elif by == "holder":
            for holder in folio.holders or (None,):
                yield _key(by, None, holder, zone), _of_folio(folio, _address(folio, holder), _owners(folio), ())
        else:
            for process, address in _places(folio):
                yield _key(by, process, None, zone), _of_folio(folio, address, (), folio.holders)


def _key(by: str, process: Process | None, holder: Holder | None, zone: str) -> tuple[int, str]:
    if by == "zone":
        return 0, zone
    if by == "holder":
        return 0, UNKNOWN_HOLDER if holder is None else holder_words(holder)
    return (1 << 32, NOBODY) if process is None else _order(process)


def _order(process: Process) -> tuple[int, str]:
    return process.pid, process_words(process)


def _owners(folio: PinnedFolio) -> tuple[Process, ...]:
    return tuple(dict.fromkeys(owner.process for owner in folio.owners))


def _address(folio: PinnedFolio, holder: Holder | None) -> int | None:
    if holder is not None and holder.address is not None:
        return holder.address
    return folio.owners[0].address if folio.owners else None


def _places(folio: PinnedFolio) -> Iterable[tuple[Process | None, int | None]]:
    """Whose memory it is, or was: of the owners, or where there is none of those who hold it."""
    owners: Iterable[Owner] = folio.owners
    if folio.owners:
        return [(owner.process, owner.address) for owner in owners]
    held = {holder.process: holder.address for holder in folio.holders if holder.process is not None}
    return list(held.items()) or [(None, None)]


def _of_buffer(buffer: Buffer) -> Row:
    holder = buffer.holder
    process = "" if holder.process is None else process_words(holder.process)
    return Row(
        holder.address, buffer.size, 1, None, "", process, holder_words(holder, False), buffer.state, buffer.reason
    )


def _of_folio(folio: PinnedFolio, at: int | None, owners: Iterable[Process], holders: Iterable[Holder]) -> Row:
    process = "; ".join(map(process_words, owners))
    holder = "; ".join(dict.fromkeys(holder_words(one, False) for one in holders)) or UNKNOWN_HOLDER
    return Row(at, folio.size, 1, folio.pins, folio.kind, process, holder, folio.state, folio.reason)


def rows_by_process(told: Told) -> list[Row]:
    """A row for each record, none joined."""
    return [row for _, row in _rows(told, "process")]


def joined(rows: Iterable[Row], frames: bool) -> Iterator[Row]:
    """Neighbours that are alike, as one; and so is what has no place.  frames: `at` counts page frames, not bytes."""
    before: Row | None = None
    for row in rows:
        if before is not None and row.continues(before) and row.at in (None, _end(before, frames)):
            size = None if before.size is None or row.size is None else before.size + row.size
            pins = None if before.pins is None or row.pins is None else before.pins + row.pins
            before = replace(before, size=size, pages=before.pages + 1, pins=pins)
            continue
        if before is not None:
            yield before
        before = row
    if before is not None:
        yield before


def _end(row: Row, frames: bool) -> int:
    return (row.at or 0) + ((row.size or 0) >> 12 if frames else row.size or 0)


def process_words(process: Process) -> str:
    """ "123 name", fit for a terminal."""
    return f"{process.pid} {one_line(process.name)}"


def holder_words(holder: Holder, whole: bool = True) -> str:
    """The kind, and by which descriptor; whole: of which process."""
    words = [holder.kind, *([f"of module {one_line(holder.module)}"] if holder.module else [])]
    if whole and holder.process is not None:
        words.append(f"of {process_words(holder.process)},")
    if holder.fd is not None:
        words.append(f"fd {holder.fd}")
    return " ".join(words).removesuffix(",")


def charged(one: ProcessPins) -> str:
    """What is charged to a process, in words."""
    return f"VmPin {size_words(one.vm_pin)}, VmLck {size_words(one.vm_lck)}"


def size_words(size: int) -> str:
    """In the largest unit that leaves no rest."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >> shift and not size & ((1 << shift) - 1):
            return f"{size >> shift} {unit}"
    return f"{size} bytes" if size else "0"
