"""What a step needs of a pin, what a mechanism gives, and how the two are matched: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pinhold.scenario.observation import FOLL_FLAGS, Run
from pinhold.targets.base import CannotDo

M = TypeVar("M", bound="Mechanism")

FOLL_GET = "reference by FOLL_GET"
FOLL_PIN = "pin"


@dataclass(frozen=True, slots=True)
class Need:
    """One pin that a scenario asks for.

    takes: FOLL_PIN or FOLL_GET; fast: None leaves it to the mechanism; user: whose memlock accounting it is under,
    None: anybody's.  Every one is held until it is released.
    """

    takes: str = FOLL_PIN
    longterm: bool = False
    write: bool = False
    fast: bool | None = False
    force: bool = False
    user: str | None = "none"

    def flags(self) -> str:
        """As PinView has them."""
        asked = {
            "FOLL_WRITE": self.write,
            "FOLL_GET": self.takes == FOLL_GET,
            "FOLL_FORCE": self.force,
            "FOLL_LONGTERM": self.longterm,
            "FOLL_PIN": self.takes == FOLL_PIN,
        }
        return "|".join(name for name in FOLL_FLAGS if asked[name])

    def __str__(self) -> str:
        if self.takes == FOLL_GET:
            return FOLL_GET
        words = [
            "writable" if self.write else "read-only",
            "long-term" if self.longterm else "short-term but held",
            *(["forced"] if self.force else []),
            *(["GUP-fast"] if self.fast else []),
            "pin",
            *([f"accounted as {self.user}"] if self.user not in ("none", None) else []),
        ]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Access:
    """What later steps do through a pin.  It chooses no mechanism: a pin is the same whatever comes later."""

    read: bool = False
    write: bool = False

    def lacking(self, gives: Gives) -> str:
        """What a mechanism cannot do of it, in words, or ""."""
        reading, writing = self.read and not gives.readable, self.write and not gives.writable
        return " and ".join(
            words for words, missing in (("read back", reading), ("written through", writing)) if missing
        )


@dataclass(frozen=True, slots=True)
class Gives:
    """What a mechanism takes of user memory: each field holds the values of `Need` that it can be asked for.

    held: it lasts until it is released; readable, writable: its pages can be read or written through it; soon: so many
    of them in a few seconds, 0 for any number.
    """

    takes: str
    longterm: frozenset[bool]
    write: frozenset[bool]
    fast: frozenset[bool]
    force: frozenset[bool] = frozenset({False})
    users: frozenset[str] = frozenset({"none"})
    held: bool = True
    readable: bool = False
    writable: bool = False
    soon: int = 0

    def meets(self, need: Need) -> bool:
        """Whether it gives exactly that: nothing weaker, nothing stronger."""
        return (
            self.takes == need.takes
            and need.longterm in self.longterm
            and need.write in self.write
            and (need.fast is None or need.fast in self.fast)
            and need.force in self.force
            and (need.user is None or need.user in self.users)
            and self.held
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What a mechanism took.  fds: what holds it; pages: how many; detail: numbers that the mechanism wants back;
    charged: pages of it that count against the user's RLIMIT_MEMLOCK, at least, until it is released."""

    fds: list[int]
    pages: int
    detail: tuple[int, ...] = ()
    charged: int = 0


class Mechanism(Protocol):
    """A way to make the kernel take pages of a process.  summary: what it gives, in words."""

    name: str
    summary: str
    gives: Gives

    def unavailable(self) -> str | None:
        """Why it cannot be used here, or None.  Looks only."""


class Holder(Mechanism, Protocol):
    """One that holds what it takes.

    `acquire` runs in the process whose pages they are; what it took then belongs to the descriptors alone, which the
    controller keeps: all else runs there.  sendable: whether the descriptors can go over a socket.
    """

    sendable: bool

    def acquire(self, address: int, pages: int, write: bool, fast: bool, charged: int = 0) -> Taken:
        """Take the pages.  charged: those that others, which are held, are charged with.  Raises OSError, CannotDo."""

    def read_back(self, taken: Taken) -> list[Run]:
        """What the held pages contain, numbered from 0; changes nothing.  Raises OSError, CannotDo."""

    def write_through(self, taken: Taken, byte: int) -> None:
        """Fill the held pages.  Raises OSError, CannotDo."""

    def release(self, taken: Taken) -> None:
        """Let the pages go and close the descriptors."""


class Copier(Mechanism, Protocol):
    """One that takes pages for the length of a call; it runs in the process whose pages they are."""

    def copy(self, address: int, pages: int) -> list[Run]:
        """What the pages contain, numbered from 0.  Raises OSError: EFAULT where not all could be had."""

    def fill(self, address: int, pages: int, byte: int) -> None:
        """Fill the pages.  Raises OSError: EFAULT where not all could be had."""


def choose(need: Need, via: str | None, mechanisms: Mapping[str, M], access: Access = Access()) -> M:
    """The first mechanism that gives exactly `need` here, or `via` if it does.

    Raises CannotDo with every reason, or, where later steps want an access that it lacks, the `via` of one that has it.
    """
    if via is not None and via not in mechanisms:
        raise CannotDo(f"no pin mechanism is called {via!r}: there are {', '.join(mechanisms)}")
    candidates = [mechanisms[via]] if via is not None else list(mechanisms.values())
    fitting = [mechanism for mechanism in candidates if mechanism.gives.meets(need)]
    if not fitting:
        raise CannotDo(f"needs a {need}: {_misfits(candidates)}")
    reasons = [(mechanism, mechanism.unavailable()) for mechanism in fitting]
    chosen = next((mechanism for mechanism, reason in reasons if reason is None), None)
    if chosen is None:
        raise CannotDo(f"needs a {need}: {'; '.join(str(reason) for _, reason in reasons)}")
    lacking = access.lacking(chosen.gives)
    if lacking:
        other = next((m for m, reason in reasons if reason is None and not access.lacking(m.gives)), None)
        advice = "" if other is None else f"; 'via {other.name}' in the step takes one that can"
        raise CannotDo(f"needs a {need} that can be {lacking}, which {chosen.name} cannot do{advice}")
    return chosen


def _misfits(candidates: Iterable[Mechanism]) -> str:
    return "; ".join(f"{mechanism.name} gives {mechanism.summary} only" for mechanism in candidates)
