"""How states were reached is kept in a temporary file, and comes back from there."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("numba")

import numpy as np

from by_hand import by_hand
from pinhold.explore import levels, packing
from pinhold.explore.budget import UsedUp
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.levels import Levels, Written
from pinhold.explore.room import PARENT, VIA
from pinhold.explore.scope import library
from pinhold.explore.world import world
from pinhold.mm import releases


def test_what_was_written_in_pieces_is_read_as_one() -> None:
    """Levels of no piece, one and several; and the way to any state, from the last step to the first."""
    made = Levels()
    for sizes in ((), (1,), (2, 3), (4, 1, 1)):
        level = Written()
        first = count(10 * len(made))
        for size in sizes:
            parents = np.array([n // 2 for n in range(size)], PARENT)
            made.put(level, parents, np.array([next(first) for _ in range(size)], VIA))
        made.append(level)
    assert [level.vias.tolist() for level in made] == [[], [10], [*range(20, 25)], [*range(30, 36)]]
    assert made[3].parents.tolist() == [0, 0, 1, 1, 0, 0]
    assert made.at(2, 4) == (1, 24)
    way = made.way(3, 3)
    assert (next(way), next(way)) == (33, 21)


def fail_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """From then on the disk is full."""
    number, write = count(), os.pwrite

    def pwrite(file: int, data: bytes, place: int) -> int:
        if next(number) >= writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data, place)

    monkeypatch.setattr(levels.os, "pwrite", pwrite)


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """That room for temporary files is used up, and where they are."""
    fail_after(monkeypatch, 0)
    with pytest.raises(UsedUp, match=r"temporary files is used up \(/.*: No space left on device\)"):
        Levels().put(Written(), np.zeros(1, PARENT), np.zeros(1, VIA))


def test_a_search_that_a_full_disk_ends_goes_on_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It ends as by any limit, and what it puts aside comes to the numbers of a search in one go."""
    monkeypatch.setattr(packing, "BLOCK", 4)
    scope = library()["dirty-cow"]
    made = world(scope, releases.row(scope.rules))
    by_hand(monkeypatch, made, tmp_path)
    whole = CompiledSearch(made).run()
    for writes in (1, 9, 18):
        with monkeypatch.context() as full:
            fail_after(full, writes)
            part = CompiledSearch(made).run(checkpoint=tmp_path / "search")
        assert "temporary files" in part.limit
        assert part.states < whole.states
        rest = CompiledSearch(made).run(checkpoint=tmp_path / "search")
        assert (rest.levels, rest.transitions, rest.uses) == (whole.levels, whole.transitions, whole.uses)
        (tmp_path / "search").unlink()
