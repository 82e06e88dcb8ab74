"""What targets say of themselves and of their steps, and run files keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What ran.

    release: e.g. "6.18.44"; rules: the rule row compared with, e.g. "6.18"; config: name -> value; mechanisms: name ->
    "available" or the reason why not; what: which target, as the command line spells it, "" where that is the name;
    fixes: rule -> value, where it was seen to have a fix that its release has not.
    """

    name: str
    release: str
    rules: str
    config: Mapping[str, str] = field(default_factory=dict)
    mechanisms: Mapping[str, str] = field(default_factory=dict)
    what: str = ""
    fixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """What ran, e.g. "model:6.1", by whatever name."""
        return self.what or self.name


@dataclass(frozen=True, slots=True)
class Started:
    """When, where and by what a run was begun.

    time: in UTC, ISO 8601; host: its name; command: the words of the command line; again: those of its options that
    another run of one of its tests needs, too; memory_kib, free_kib: all that the host has, and what was to be had.
    """

    time: str
    host: str
    command: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    memory_kib: int | None = None
    free_kib: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One use of a rule or outcome of a decision function while a step ran.

    site: e.g. "gup_must_unshare.yes"; function: the kernel function; rule: the switch or ""; commit: or "";
    sentence: what was decided, in words; value: the name of the value that the rule has, if any; count: how often the
    step came by it.
    """

    site: str
    function: str
    rule: str
    commit: str
    sentence: str
    value: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """What a task of a schedule came to with a step.

    operation: what it is, or was, in the middle of, as a scenario writes it; function: the kernel function in which it
    now is, "" for one that has ended; ended: its operation came to its end; waited: it could not go on, for a lock.
    """

    task: str
    operation: str
    function: str = ""
    ended: bool = False
    waited: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """An expectation as data.

    kind: "byte", "pin byte", "pin sees", "frame", "errno" or "sound"; sides: what it looks at, "P x[0,3]" or "pin p" as
    a picture calls them; wanted: the byte, the relation or the errno, in words; page: of the first side the first page
    that is otherwise, counted as the scenario does; found: the bytes there, one a side.
    """

    kind: str
    sides: tuple[str, ...] = ()
    wanted: str | None = None
    page: int | None = None
    found: tuple[int, ...] = ()


FIND = "find "


@dataclass(frozen=True, slots=True)
class Search:
    """What an exhaustive search of a scope came to.

    rules: the release; switched: rule -> value, against it; levels: new states at each depth, the first state at depth
    0; found: what is bad, in words, "" nothing; limit: what ended it early, "" nothing; path: the moves to what was
    found, each task and what it does; passed: decision sites that were come by; missed: those that the scope's
    functions have, and it did not come by; idle: operations that never began; run: the run in the file that shows what
    was found, by its name, or ""; patches: files whose functions stood in for mm/'s -> SHA-256; asked: FIND and a name,
    where not something bad was looked for but this, or "coverage" or "outcomes"; unreached: decisions that the scope is
    there for, and never comes by; outcomes: what can be seen, in words, each with the number of states that show it.
    """

    scope: str
    rules: str
    switched: Mapping[str, str]
    states: int
    transitions: int
    levels: tuple[int, ...]
    found: str = ""
    limit: str = ""
    path: tuple[tuple[str, str], ...] = ()
    passed: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    run: str = ""
    patches: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    unreached: tuple[str, ...] = ()
    outcomes: tuple[tuple[str, int], ...] = ()

    @property
    def failure(self) -> str:
        """Why a test that asks this fails, in words, "" where it does not."""
        if self.asked.startswith(FIND):
            return "" if self.found or self.limit else f"not reachable: {self.asked.removeprefix(FIND)}"
        return self.found or (f"never decides {', '.join(self.unreached)}" if self.unreached else "")
