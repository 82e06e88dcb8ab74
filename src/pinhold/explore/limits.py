"""How long a search may run and what it may use; how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


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
