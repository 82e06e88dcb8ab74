"""What a rule is: a switch with named values, which says for each value what kernels do, and by which commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import overload


def parts(release: str) -> tuple[int, ...]:
    """ "6.18.44" as (6, 18, 44), "" as ()."""
    return tuple(int(part) for part in release.split(".")) if release else ()


class BadRule(ValueError):
    """A rule that is not declared as it has to be; the message names it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The change that brought a value.

    hash: its first twelve digits.  since: the first release that has it, X.Y of mainline; X.Y.Z for a change of a
    stable series that mainline does not have.
    """

    hash: str
    since: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{12}", self.hash):
            raise BadRule(f"'{self.hash}' is no commit: twelve hexadecimal digits, or NoCommit with the reason")


@dataclass(frozen=True, slots=True)
class NoCommit:
    """Why a value has no commit.  since: as of Commit; "" for what kernels did before all changes, NEVER for what no
    release does."""

    reason: str
    since: str

    def __post_init__(self) -> None:
        if not self.reason:
            raise BadRule("a value without a commit says why it has none")


OLDEST = NoCommit("what kernels did before the first change", "")
NEVER = "never"


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a release has a value ("" for what holds before any change), and by what."""

    release: str
    value: str
    by: Commit | NoCommit

    @property
    def commit(self) -> str:
        """The hash; "" where there is none."""
        return self.by.hash if isinstance(self.by, Commit) else ""


@dataclass(frozen=True, slots=True)
class Value:
    """One thing that kernels do.

    by: what brought it.  sentence: what is done, as a reader of one decision is told it.  function: the kernel function
    that decides, where that is not the switch's.  again: what brought it back after another value.
    """

    name: str
    by: Commit | NoCommit
    sentence: str
    function: str = ""
    again: Commit | NoCommit | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.by, Commit | NoCommit):
            raise BadRule(f"value '{self.name}': {self.by!r} is neither a Commit nor a NoCommit")
        if not self.sentence:
            raise BadRule(f"value '{self.name}' says nothing")


class Switch:
    """One thing that kernels do differently, and a constant field of the state: `m.rule_NAME` is the number of a value.

    doc: what it decides.  function: the kernel function that decides.  values: oldest first; a value's number is its
    place.
    """

    def __init__(self, doc: str, function: str, *values: Value) -> None:
        self.doc, self.function, self.values = doc, function, values
        self.name = ""
        if len(set(self.names)) < max(2, len(values)):
            raise BadRule(f"'{doc}' needs two values or more, of different names")

    def __set_name__(self, owner: type, field: str) -> None:
        self.name = field.removeprefix("rule_")

    @overload
    def __get__(self, machine: None, owner: type) -> Switch: ...

    @overload
    def __get__(self, machine: object, owner: type) -> int: ...

    def __get__(self, machine: object, owner: type) -> Switch | int:
        if machine is None:
            return self
        raise AttributeError(f"rule_{self.name} has no value yet")

    def __eq__(self, other: object) -> bool:
        """By name: a copy that another process has sent is the same rule."""
        return isinstance(other, Switch) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The values' names; a value is its index."""
        return tuple(value.name for value in self.values)

    @cached_property
    def mainline(self) -> tuple[Since, ...]:
        """What mainline does, oldest first."""
        found = [Since(x.by.since, x.name, x.by) for x in self.values if x.by.since != NEVER]
        found += [Since(x.again.since, x.name, x.again) for x in self.values if x.again]
        return tuple(sorted((s for s in found if s.release.count(".") < 2), key=lambda s: parts(s.release)))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values' numbers, for the constants that functions of mm/ compare with."""
        return tuple(range(len(self.values)))

    def of(self, machine: object) -> int:
        """The number of the value that a machine has: for who has a rule by its name alone."""
        return int(vars(machine)[f"rule_{self.name}"])

    def value(self, name: str) -> Value:
        return self.values[self.names.index(name)]

    def decides(self, value: Value) -> str:
        """The kernel function that decides so."""
        return value.function or self.function
