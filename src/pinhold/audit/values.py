"""What an expression of flags can be: alternatives, each with its conditions and the callers that it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pinhold.ask.flags import BY_NAME

FLAGS = frozenset({
    *BY_NAME, "FOLL_NUMA", "FOLL_MLOCK", "FOLL_SPLIT", "FOLL_POPULATE", "FOLL_MIGRATION", "FOLL_COW", "FOLL_DURABLE",
})  # fmt: skip
"""The names of the kernel's flags, of releases that are gone too."""
BOOL = "#bool"
TRUE, FALSE = "1", "0"
"""The texts of conditions that are decided."""
MOST = 40
"""Alternatives of a value; where there are more, conditions are given up first."""


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that has to be true, or false, in a function.

    at: how often what it names was stored in before, so that the same words about another value are another condition.
    """

    function: str
    text: str
    holds: bool = True
    at: int = 0

    @property
    def words(self) -> str:
        if self.holds:
            return self.text
        return f"!{self.text}" if re.fullmatch(r"[\w.>()-]+", self.text) else f"!({self.text})"

    @property
    def always(self) -> bool:
        """Whether it is decided, and holds."""
        return self.text == (TRUE if self.holds else FALSE)

    @property
    def never(self) -> bool:
        """Whether it is decided, and does not hold."""
        return self.text == (FALSE if self.holds else TRUE)

    def negated(self) -> Condition:
        return replace(self, holds=not self.holds)


@dataclass(frozen=True, slots=True)
class Step:
    """A caller on the way that flags take: its name, file and line."""

    function: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """One set of flags.

    flags: FOLL_* names; BOOL for the value of a condition, "#N" for a number, "?why" for what is not known.  when: all
    these conditions; path: the caller that passes them, and its callers.
    """

    flags: frozenset[str]
    when: tuple[Condition, ...] = ()
    path: tuple[Step, ...] = ()

    @property
    def known(self) -> bool:
        return not any(flag.startswith("?") for flag in self.flags)

    @property
    def words(self) -> str:
        """As it stands in C, "0" for none."""
        return words(self.flags)

    def also(self, conditions: Iterable[Condition]) -> Alternative | None:
        """With more conditions; None where they exclude each other."""
        when = dict.fromkeys(self.when)
        for condition in conditions:
            if condition.negated() in when or condition.never:
                return None
            if not condition.always:
                when[condition] = None
        return replace(self, when=tuple(when))


Value = tuple[Alternative, ...]

ORDER = ("FOLL_LONGTERM", "FOLL_WRITE", "FOLL_FORCE")


def words(flags: Iterable[str]) -> str:
    """The flags as they stand in C."""
    listed = sorted(flags, key=lambda flag: (ORDER.index(flag) if flag in ORDER else len(ORDER), flag))
    return "|".join(listed) or "0"


def value(*flags: str) -> Value:
    """One alternative without conditions."""
    return (Alternative(frozenset(flags)),)


def unknown(why: str) -> Value:
    """What is not known, and why."""
    return value(f"?{why}")


def union(*values: Value) -> Value:
    """Any of these."""
    return bounded(one for part in values for one in part)


def under(of: Value, conditions: Iterable[Condition]) -> Value:
    """The same where the conditions hold as well."""
    listed = tuple(conditions)
    return tuple(made for one in of if (made := one.also(listed)) is not None)


def without(of: Value, conditions: Iterable[Condition]) -> Value:
    """The same where not all of the conditions hold."""
    listed = tuple(conditions)
    if not listed:
        return ()
    return under(of, [listed[0].negated()]) if len(listed) == 1 else union(
        *(under(of, [one.negated()]) for one in listed)
    )  # fmt: skip


def combined(left: Value, right: Value, how: Callable[[frozenset[str], frozenset[str]], frozenset[str]]) -> Value:
    """Each alternative of one with each of the other that it does not exclude."""
    if len(left) * len(right) > MOST * MOST:
        return unknown("too many alternatives")
    made = []
    for one in left:
        for other in right:
            both = one.also(other.when)
            if both is not None:
                path = one.path + tuple(step for step in other.path if step not in one.path)
                made.append(replace(both, flags=how(one.flags, other.flags), path=path))
    return bounded(made)


def joined(left: Value, right: Value) -> Value:
    """left | right."""
    return combined(left, right, lambda one, other: one | other)


def removed(left: Value, right: Value) -> Value:
    """left & ~right."""
    return combined(left, right, lambda one, other: one - other | _unknown(other))


def common(left: Value, right: Value) -> Value:
    """left & right; what is not known may be anything."""
    return combined(left, right, _common)


def toggled(left: Value, right: Value) -> Value:
    """left ^ right."""
    return combined(left, right, lambda one, other: one ^ other)


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if _unknown(one):
        return one
    return frozenset(one | other) if _unknown(other) else one & other


def _unknown(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flag for flag in flags if flag.startswith("?"))


def bounded(alternatives: Iterable[Alternative]) -> Value:
    """Each once; where there are too many, without their conditions, and then without their callers."""
    once = tuple(dict.fromkeys(alternatives))
    if len(once) > MOST:
        once = tuple(dict.fromkeys(replace(one, when=()) for one in once))
    if len(once) > MOST:
        kept: dict[frozenset[str], Alternative] = {}
        for one in once:
            kept.setdefault(one.flags, one)
        once = tuple(kept.values())
    return once if len(once) <= MOST else unknown("too many alternatives")


def way_words(way: Sequence[Step]) -> str:
    """A caller, and through whom."""
    first, *through = way
    said = f"{first.function}() line {first.line}"
    return f"{said} through {', '.join(f'{step.function}()' for step in through)}" if through else said
