"""How long a search may run, what it may use, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """seconds, bytes: 0 is unlimited.  depth: levels at most; 0 unlimited."""

    seconds: float = 0.0
    bytes: int = 0
    depth: int = 0


@dataclass(frozen=True)
class Progress:
    states: int
    transitions: int
    depth: int
    frontier: int
    seconds: float
    bytes: int


Watch = Callable[[Progress], None]


def unwatched(_: Progress) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Violation:
    """The first bad state in the order of the search.

    properties: bits of mm.properties; invariant: number of mm.invariants, 0 none; stuck: everybody waits for somebody.
    """

    properties: int = 0
    invariant: int = 0
    stuck: bool = False


@dataclass(frozen=True)
class Via:
    """How a state was reached from its parent: which task moved, the action that it began with it (-1: it went on), and
    which outcome chance had."""

    task: int
    action: int
    chance: int


@dataclass
class Result:
    """What a search came to.

    levels: new states at each depth, the first state at depth 0.  exhausted: every reachable state was seen and found
    good; otherwise `violation` with the `path` to it, or `limit`, in words.  uses: per action, how often it began.
    sites: decision sites that were passed.
    """

    states: int = 0
    transitions: int = 0
    levels: list[int] = field(default_factory=list)
    violation: Violation | None = None
    path: tuple[Via, ...] = ()
    limit: str = ""
    uses: list[int] = field(default_factory=list)
    sites: frozenset[int] = frozenset()
    seconds: float = 0.0
    compile_seconds: float = 0.0
    bytes: int = 0

    @property
    def depth(self) -> int:
        return len(self.levels) - 1

    def limited(self) -> bool:
        """Whether a limit has ended the search."""
        return bool(self.limit)

    @property
    def exhausted(self) -> bool:
        return self.violation is None and not self.limit


class Clock:
    """Says when a limit is reached."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def over(self, used: int) -> str:
        """Why the search has to end, or nothing."""
        if self.limits.seconds and self.seconds > self.limits.seconds:
            return f"the time of {self.limits.seconds:g} s is over"
        if self.limits.bytes and used > self.limits.bytes:
            return f"the memory of {self.limits.bytes >> 20} MiB is used up"
        return ""
