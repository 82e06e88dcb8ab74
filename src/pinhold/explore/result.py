"""What a search came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from pinhold.explore.via import Via

NO_SITE = -1


@dataclass(frozen=True)
class Violation:
    """What was found: the first bad state in the order of the search.

    properties: bits of mm.properties; invariant: number of mm.invariants, 0 none; stuck: everybody waits for somebody;
    site: nothing bad, but the decision site (mm/sites) that was looked for, which the last step passes; cycle: the last
    so many steps lead back to where they begin, and go round for ever (livelock.py).
    """

    properties: int = 0
    invariant: int = 0
    stuck: bool = False
    site: int = NO_SITE
    cycle: int = 0


@dataclass
class SearchResult:
    """What a search came to.

    levels: new states at each depth, the first state at depth 0.  exhausted: every reachable state was seen and found
    good; otherwise `violation` with the `path` to it, or `limit`, in words.  uses: per action, how often it began.
    sites: decision sites that were passed.  odds: below this are the odds that two states were mistaken for one.
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
    odds: float = 0.0

    @property
    def depth(self) -> int:
        return len(self.levels) - 1

    def limited(self) -> bool:
        """Whether a limit has ended the search."""
        return bool(self.limit)

    @property
    def exhausted(self) -> bool:
        return self.violation is None and not self.limit
