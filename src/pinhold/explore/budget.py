"""What a search may use up: time, memory, depth; and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
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


class UsedUp(Exception):
    """What a search needs next is beyond its budget; the message says why it ends."""


class Clock:
    """Says when the budget is used up."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def over(self, used: int) -> str:
        """Why the search has to end, or nothing."""
        if self.budget.seconds and self.seconds > self.budget.seconds:
            return f"the time of {self.budget.seconds:g} s is over"
        if self.budget.bytes and used > self.budget.bytes:
            return f"the memory of {self.budget.bytes >> 20} MiB is used up"
        return ""

    def before(self, used: int, more: int) -> None:
        """Raises UsedUp where there is no room for `more` bytes beside those that are used."""
        reason = self.over(used + more)
        if more and reason:
            raise UsedUp(reason)
