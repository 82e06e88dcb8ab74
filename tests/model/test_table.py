"""The table of fingerprints grows a part at a time, and a search looks at its memory before it grows."""

from __future__ import annotations

import random
import tracemalloc
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("numba")

import numpy as np

from by_hand import by_hand, loop_by_hand
from pinhold.explore import compiled_search, engine, frontier, packing, table, threads
from pinhold.explore.budget import Budget, Clock, Progress
from pinhold.explore.checkpoint import Checkpoint
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.result import SearchResult
from pinhold.explore.room import address
from pinhold.explore.scope import library
from pinhold.explore.table import Table
from pinhold.explore.world import World, world
from pinhold.mm import releases


def some(count: int) -> list[int]:
    """Fingerprints, all different."""
    numbers = random.Random(count)
    return [numbers.randrange(1, 2**63) * numbers.choice((1, -1)) for _ in range(count)]


def test_a_table_grows_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for beyond what it then has is for one part; every fingerprint is new once, and is found in the
    grown table, and in the parts of before as far as it was there."""
    monkeypatch.setattr(table, "FIRST", 16)
    asked: list[int] = []
    seen = Table(loop_by_hand(monkeypatch), asked.append)
    fingerprints = some(4000)
    before = seen.parts_now()
    for number, h in enumerate(fingerprints):
        size = seen.nbytes
        grown = len(asked)
        seen.make_room(1)
        assert all(more <= size / 4 for more in asked[grown:])
        assert sum(asked[grown:]) - (seen.nbytes - size) <= size / 4
        if number == 1000:
            before = seen.parts_now()
        assert engine.insert(address(seen.directory), h)
    assert not any(engine.insert(address(seen.directory), h) for h in fingerprints)
    assert sum(seen.counts) == len(fingerprints)
    assert sorted(h for piece in seen.pieces() for h in piece.tolist()) == sorted(fingerprints)
    assert all(engine.known(address(before.directory), h) for h in fingerprints[:1000])
    assert all(count <= table.FULLEST * size + 1 for count, size in zip(seen.counts, seen.sizes, strict=True))


def test_many_that_belong_to_one_part_find_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there is said to be room for, even if chance puts them all into one part."""
    monkeypatch.setattr(table, "FIRST", 16)
    seen = Table(loop_by_hand(monkeypatch), lambda more: None)
    for start in range(0, 400, 100):
        seen.make_room(100)
        assert 100 <= min(table.FULL * seen.sizes - seen.counts) < min(seen.sizes - seen.counts)
        for h in range(start + 1, start + 101):
            assert engine.insert(address(seen.directory), h)
    assert max(seen.counts) == 400


def in_small(monkeypatch: pytest.MonkeyPatch, folder: Path) -> World:
    """A scope of which Python goes through all; a table, blocks and stretches as small as it is."""
    monkeypatch.setattr(table, "FIRST", 4)
    monkeypatch.setattr(table, "LARGE", 16)
    monkeypatch.setattr(packing, "BLOCK", 4)
    monkeypatch.setattr(frontier, "PLAIN", 2000)
    monkeypatch.setattr(compiled_search, "WORTH_IT", 2)
    monkeypatch.setattr(threads, "COST", 1)
    scope = library()["dirty-cow"]
    made = world(scope, releases.row(scope.rules))
    by_hand(monkeypatch, made, folder)
    return made


def numbers(search: CompiledSearch, r: SearchResult) -> tuple[object, ...]:
    return r.levels, r.transitions, r.uses, r.sites, [level.parents.tolist() for level in search.levels]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_search_ends_before_its_memory_does(jobs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With however little memory, from what it has at first to what it needs and looks ahead for: it never has more.
    What it puts aside in the middle of a level goes on, by one thread or several, to the numbers of a search in one go.
    """
    made = in_small(monkeypatch, tmp_path)
    had: list[Progress] = []
    search = CompiledSearch(made, jobs=jobs)
    whole = numbers(search, search.run(Budget(), had.append))
    first = CompiledSearch(made, jobs=jobs).used()
    most = max(progress.bytes for progress in had)
    enough = most + (1 + threads.AHEAD * jobs) * search.most(len(search.room.states))
    ended = set()
    for bytes_ in (*range(first, most + 1, (most - first) // 4), enough):
        had.clear()
        search, file = CompiledSearch(made, jobs=jobs), tmp_path / f"{bytes_}"
        part = search.run(Budget(bytes=bytes_), had.append, file)
        assert all(progress.bytes <= bytes_ for progress in had)
        ended.add(part.limit[:10])
        search = CompiledSearch(made, jobs=4 - jobs)
        assert numbers(search, search.run(checkpoint=file)) == whole
    assert ended == {"the memory", ""}


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_a_level_had_begun_to_find_is_found_again(
    jobs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ended at any look, in the middle of a level or not, a search goes on from the level's start."""
    made = in_small(monkeypatch, tmp_path)
    search = CompiledSearch(made, jobs=jobs)
    looks: list[Progress] = []
    whole = numbers(search, search.run(Budget(), looks.append))
    begun = 0
    for last in range(5, len(looks), len(looks) // 6):
        search, file = CompiledSearch(made, jobs=jobs), tmp_path / f"{last}"
        clock = Clock(Budget())

        def enough(progress: Progress, number: count[int] = count(1), clock: Clock = clock, last: int = last) -> None:  # noqa: B008
            if next(number) == last:
                clock.budget = Budget(bytes=1)

        monkeypatch.setattr(compiled_search, "Clock", lambda budget, clock=clock: clock)
        assert search.run(Budget(), enough, file).limit
        monkeypatch.setattr(compiled_search, "Clock", Clock)
        with np.load(file) as saved:
            begun += len(saved["unfinished"])
        search = CompiledSearch(made, jobs=4 - jobs)
        assert numbers(search, search.run(checkpoint=file)) == whole
    assert begun


def test_a_checkpoint_is_written_without_a_second_copy(tmp_path: Path) -> None:
    """What is written in pieces is made piece by piece: of 64 MiB never more than some of them at a time."""
    count, size = 64, 1 << 17
    nothing = np.zeros(0, np.int64)
    pieces = (np.full(size, number + 1, np.int64) for number in range(count))
    tracemalloc.start()
    try:
        Checkpoint("key", pieces, nothing, nothing, [], [], nothing, 0, nothing, nothing).save(tmp_path / "file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "file").stat().st_size > count * size * 8
    assert peak < count * size * 8 / 8
