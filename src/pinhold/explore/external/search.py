"""An external search as a whole: level after level, each done by tasks, each put down when it is done.

What it finds is what a search in memory finds, to the place of each state in its level, and so to the counterexample.
Its directory is its checkpoint: whoever begins it again goes on with what is there.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pinhold.explore.budget import Budget, Clock, Progress, UsedUp, Watch, unwatched
from pinhold.explore.checkpoint import Unusable
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.external import files as f
from pinhold.explore.external import levels, plan
from pinhold.explore.external.files import ORDER, Files
from pinhold.explore.external.levels import Level, bucket_width, cuts, level_of, parted, way
from pinhold.explore.external.packed import put_states
from pinhold.explore.external.runs import BITS, REST, Prints
from pinhold.explore.external.tasks import CHUNK, expand, merge
from pinhold.explore.hands import Hands, Task
from pinhold.explore.result import SearchResult, Violation
from pinhold.explore.room import address

PIECE = 1 << 16
"""States that a task expands, where memory does not say fewer."""

OWNERS = 16
"""What a level's states come to for one of so many is merged in memory."""

FEW = 1 << 16
"""States of a level whose successors one task merges, for all owners."""

STATE_BYTES = 2000
"""Memory that a task takes for each state that it expands, or its share of those that are merged, at most."""

LEAST, MOST = 1 << 12, 1 << 18
"""States that a task expands."""


def owners_for(hands: int) -> int:
    """Enough for so many to merge at a time."""
    return max(OWNERS, 1 << (hands - 1).bit_length())


def piece_for(memory: int, jobs: int) -> int:
    """States that a task expands, where so many bytes (0: as it likes) are for so many tasks at a time."""
    return min(max(memory // (2 * jobs * STATE_BYTES), LEAST), MOST) if memory else PIECE


class Threads:
    """Threads of this process."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __len__(self) -> int:
        return self.jobs

    def each(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        with ThreadPoolExecutor(self.jobs) as pool:
            under_way: set[Future[dict[str, Any]]] = {pool.submit(task, *call) for call in calls}
            try:
                while under_way:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Raises Unusable where another search is at it."""
    with open(directory / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"{directory}: another search is going on there") from None
        yield


class ExternalSearch:
    """One search in one directory.  `run` may be called once."""

    def __init__(
        self, search: CompiledSearch, directory: Path, hands: Hands, piece: int = PIECE, owners: int = OWNERS
    ) -> None:
        """search: what is searched for; it is not run.  piece: states that a task expands.  owners: a power of two."""
        self.search = search
        self.directory = directory
        self.files = Files(directory)
        self.hands = hands
        self.plan = plan.Plan(
            key=search.key(),
            scope=search.world.scope.name,
            table=plan.table_of(search.world.scope),
            row=search.world.row,
            symmetric=search.symmetric,
            properties=search.properties,
            invariants=search.invariants,
            piece=piece,
            owners=owners,
        )

    def run(self, budget: Budget = Budget(), watch: Watch = unwatched) -> SearchResult:  # noqa: B008
        """Search from the start, or go on.  What is in the directory is removed when the search has come to its end,
        and stays where a limit ends it.  Raises Unusable, OSError."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        with alone(self.directory):
            result = SearchResult(compile_seconds=self.search.compile())
            self.begin(result)
            clock = Clock(budget)
            last = self.searched(result, clock, watch)
            self.tell(result, last)
            result.seconds = clock.seconds
            result.odds = odds(result.states, result.transitions)
            if not result.limit:
                self.clear()
        return result

    # --- the beginning and the end ---

    def begin(self, result: SearchResult) -> None:
        """Put down what is searched and the first level, if they are not there."""
        if (self.directory / plan.FILE).exists():
            there = plan.read(self.directory)
            if there.key != self.plan.key:
                raise Unusable(
                    f"{self.directory}: a search of another scope, other rules or other sources is put there"
                )
            self.plan = there
        else:
            if any(path.name != "lock" for path in self.directory.iterdir()):
                raise Unusable(f"{self.directory}: holds something that is no search; an empty directory, please")
            f.put(self.directory / plan.FILE, lambda file: file.write(self.plan.text().encode()))
        if self.files.finished() < 0:
            self.first(result)

    def first(self, result: SearchResult) -> None:
        packing = self.search.packing
        states = packing.unpack(self.search.begun(result).packed(packing))
        first = self.search.fingerprints(states).astype(np.uint64)
        rest = np.empty(1, REST)
        self.search.module.rest_of(address(states), 1, address(rest))
        owner = int(first[0]) >> self.plan.shift
        level = Level(0, 1, [[] for _ in range(self.plan.owners)], uses=[0] * len(self.search.uses))
        if (wrong := result.violation) is not None:
            level.bad = 0, wrong.properties, wrong.invariant
        level.runs[owner] = [f"{self.files.folder(0).name}/seen-{owner:02d}"]
        f.put_prints(self.files.run(level.runs[owner][0]), Prints(first, rest))
        f.put_array(self.files.orders(0, owner), np.zeros(1, ORDER))
        put_states(self.files.states(0, owner), [states], self.search.packing)
        level.put(self.files)

    def clear(self) -> None:
        """Leave nothing of it but the empty directory, and its lock."""
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()

    # --- the search ---

    def searched(self, result: SearchResult, clock: Clock, watch: Watch) -> Level:
        """Go on from the last level that is done; gives the last one then."""
        level = level_of(self.files, self.files.finished())
        result.levels = [level_of(self.files, number).states for number in range(level.number + 1)]
        result.states = sum(result.levels)
        while level.states and level.bad is None and level.stuck is None:
            if clock.budget.depth and level.number >= clock.budget.depth:
                result.limit = f"the depth of {clock.budget.depth} is reached"
                break
            self.drop_spent(level)
            try:
                level = self.next_level(level, result, clock, watch)
            except UsedUp as reason:
                result.limit = str(reason)
                break
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                result.limit = f"no space is left in {self.directory}"
                break
            result.states += level.states
            if level.states:
                result.levels.append(level.states)
        return level

    def next_level(self, parents: Level, result: SearchResult, clock: Clock, watch: Watch) -> Level:
        """All successors of a level, put down.  Raises UsedUp."""
        number = parents.number + 1
        nobody: list[list[str]] = [[] for _ in range(self.plan.owners)]
        level = Level(number, 0, nobody, transitions=parents.transitions, uses=parents.uses, sites=parents.sites)

        def each(task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
            told = self.hands.each(task, [(str(self.directory), self.plan.key, number, *call) for call in calls])
            for done in told:
                yield done
                at = Progress(result.states, level.transitions, parents.number, parents.states, clock.seconds, 0)
                watch(at)
                if limit := clock.over(0):
                    raise UsedUp(limit)

        for told in each(expand, [(piece,) for piece in range(len(parents.cuts))]):
            level.transitions += told["transitions"]
            level.uses = [one + other for one, other in zip(level.uses, told["uses"], strict=True)]
            level.sites = sorted({*level.sites, *told["sites"]})
            if told["bad"] is not None:
                level.bad = min(tuple(told["bad"]), level.bad or (levels.LAST, 0, 0))
            if told["stuck"] is not None:
                level.stuck = min(told["stuck"], levels.LAST if level.stuck is None else level.stuck)
        counts = np.zeros(levels.BUCKETS, np.int64)
        owners = self.plan.owners
        step = owners if parents.states <= FEW else 1
        for told in each(merge, [(first, first + step) for first in range(0, owners, step)]):
            counts += np.array(told["counts"])
            level.runs[told["first"] : told["first"] + step] = told["runs"]
        level.states = int(counts.sum())
        level.cuts = cuts(counts.tolist(), bucket_width(parents.states), self.plan.piece)
        level.put(self.files)
        return level

    def drop_spent(self, level: Level) -> None:
        """Remove what nobody needs any more when a level is done: what it was made from, and merged runs."""
        folder = self.files.folder(level.number)
        f.drop(folder.glob("expand-*"))
        f.drop(folder.glob("merge-*.json"))
        if level.number:
            f.drop(self.files.folder(level.number - 1).glob("state-*"))
            before = level_of(self.files, level.number - 1)
            kept = {name for runs in level.runs for name in runs}
            for name in {name for runs in before.runs for name in runs} - kept:
                f.drop(self.files.run(f"{name}.{part}") for part in ("first", "rest"))

    def tell(self, result: SearchResult, last: Level) -> None:
        """What it came to, of the last level that is done."""
        result.transitions, result.uses = last.transitions, last.uses[: len(self.search.world.actions)]
        result.sites = frozenset(last.sites)
        if last.stuck is not None:
            result.violation = Violation(stuck=True)
            result.path = way(self.files, last.number - 1, last.stuck)
        elif last.bad is not None:
            order, properties, invariant = last.bad
            result.violation = Violation(properties, invariant)
            if last.number:
                parent, how = parted(order)
                result.path = (*way(self.files, last.number - 1, parent), how)


def odds(states: int, transitions: int) -> float:
    """Below this are the odds that two states were mistaken for one.

    All are told apart by 96 bits; those found in one go, so many that a state's successors let expect, by 64 first.
    """
    at_once = CHUNK * transitions / max(states, 1)
    return min(1.0, states * states / 2.0 ** (BITS + 1) + transitions * at_once / 2.0**65)
