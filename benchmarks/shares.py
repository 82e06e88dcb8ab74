"""What shared-out searches cost, measured here, and where more workers stop helping, by simulation.

    python benchmarks/shares.py [SCOPE] [--states N]

A scope is searched with the truth in files, by this process alone, and each task's processor time and the bytes that it
writes are taken down.  Then its levels, made N states by stretching, are played through for 1, 10, 100 and 1,000
workers: tasks of the sizes that they have, handed out one after the other by a scheduler that takes ENGINE seconds for
each, two barriers a level.  ENGINE and BARRIER are Dask's, measured by tasks that do nothing.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.external.search import OWNERS, PIECE, ExternalSearch, owners_for
from pinhold.explore.scope import library
from pinhold.explore.world import world
from pinhold.mm import releases

ENGINE, BARRIER = 0.0033, 0.006
"""Seconds of a scheduler for a task, and until all workers know that a level has ended."""

WORKERS = (1, 10, 100, 1000)


@dataclass
class Measured:
    """Does tasks, and takes down what they cost: processor seconds and bytes written, by kind."""

    seconds: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return 1

    def each(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        for call in calls:
            folder = Path(call[0]) / f"{call[2]:04d}"
            before, start = bytes_in(folder), time.process_time()
            told = task(*call)
            name = task.__name__
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
            self.written[name] = self.written.get(name, 0) + bytes_in(folder) - before
            yield told


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0


def played(levels: Sequence[int], expand: float, merge: float, workers: int, owners: int) -> float:
    """Seconds for these levels.  expand, merge: seconds a state of the level before, and a new one."""
    total = 0.0
    for parents, new in zip(levels, (*levels[1:], 0), strict=True):
        pieces = max(1, -(-parents // PIECE))
        total += phase([expand * parents / pieces] * pieces, workers)
        total += phase([merge * new / owners] * owners if new > PIECE else [merge * new], workers)
    return total


def phase(tasks: Sequence[float], workers: int) -> float:
    """Until the last of these tasks has ended: each is handed out in turn, to whoever is free first."""
    free = [0.0] * workers
    handed = end = 0.0
    for task in tasks:
        handed += ENGINE
        begun = max(handed, heapq.heappop(free))
        heapq.heappush(free, begun + task)
        end = max(end, begun + task)
    return end + BARRIER


def main() -> None:
    parser = argparse.ArgumentParser(description="what shared-out searches cost, and where they stop scaling")
    parser.add_argument("scope", nargs="?", default="bench-two")
    parser.add_argument("--states", type=int, default=10**9)
    options = parser.parse_args()
    scope = library()[options.scope]
    search = CompiledSearch(world(scope, releases.row(scope.rules)))
    measured = Measured()
    with tempfile.TemporaryDirectory() as directory:
        result = ExternalSearch(search, Path(directory) / "search", measured).run()
    states = result.states
    print(f"{scope.name}: {states:,} states, {result.transitions:,} transitions, depth {result.depth}")
    for name, seconds in measured.seconds.items():
        print(f"  {name:8} {1e6 * seconds / states:6.2f} µs and {measured.written[name] / states:6.1f} bytes a state")
    factor = options.states / states
    levels = [max(1, round(level * factor)) for level in result.levels]
    expand, merge = (measured.seconds[name] / states for name in ("expand", "merge"))
    wire = sum(measured.written.values()) / states
    print(f"played for {sum(levels):,} states in {len(levels)} levels:")
    print(f"{'workers':>9}{'states a second':>18}{'times one':>11}{'MB/s written':>14}")
    alone = played(levels, expand, merge, 1, OWNERS)
    for workers in WORKERS:
        seconds = played(levels, expand, merge, workers, owners_for(workers))
        rate = sum(levels) / seconds
        print(f"{workers:>9,}{rate:>18,.0f}{alone / seconds:>11.1f}{rate * wire / 1e6:>14,.0f}")


if __name__ == "__main__":
    main()
