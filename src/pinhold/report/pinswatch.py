"""What has changed between two looks at pinned memory, in words: what `pinhold watch` tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pinhold.inspect.records import TRANSIENT, State, Told
from pinhold.report.pinsgroups import Row, charged, joined, rows_by_process, size_words

_BY = tuple[int | None, str]
"""Address and holder: what makes a row of one look the same as one of another."""


def begun(told: Told) -> str:
    """What there is at the first look."""
    rows = _held(told)
    stale = sum(row.state is State.STALE for row in rows)
    words = f"{len(rows)} held, {stale} of them STALE" if rows else "nothing is seen to be held"
    return f"{', '.join(charged(one) for one in told.processes)}; {words}"


def changes(before: Told, after: Told) -> Iterator[tuple[str, bool]]:
    """Each a sentence, and whether something has become STALE; neighbours that changed alike are one."""
    old, new = _rows(before), _rows(after)
    became = [
        _as(row, f"was {old[key].state}") for key, row in new.items() if key in old and row.state != old[key].state
    ]
    came = [_as(row, "") for key, row in new.items() if key not in old]
    went = [_as(row, "") for key, row in old.items() if key not in new]
    for row in _joined(became):
        yield f"{row.state}: {_words(row)}, {row.reason}", row.state is State.STALE
    for row in _joined(came):
        yield f"held: {_words(row)}, {row.state}", row.state is State.STALE
    for row in _joined(went):
        yield f"given back: {_words(row)}, was {row.state}", False
    for was, now in zip(map(charged, before.processes), map(charged, after.processes), strict=False):
        if was != now:
            yield f"charged: {now}, was {was}", False


def _rows(told: Told) -> dict[_BY, Row]:
    return {(row.at, row.holder): row for row in _held(told)}


def _held(told: Told) -> list[Row]:
    """A row for each record; of I/O in flight every look has others, which are left out."""
    return [row for row in rows_by_process(told) if row.holder != TRANSIENT]


def _as(row: Row, reason: str) -> Row:
    """With what is to be said of it in place of the reason."""
    return replace(row, reason=reason)


def _joined(rows: list[Row]) -> Iterator[Row]:
    return joined(sorted(rows, key=lambda row: (row.holder, row.at is None, row.at or 0)), frames=False)


def _words(row: Row) -> str:
    where = "" if row.at is None else f"{row.at:x}, "
    return f"{where}{'' if row.size is None else f'{size_words(row.size)}, '}{row.holder}"
