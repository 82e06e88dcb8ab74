"""The row of values that the rules have in a release.

A row is read from that release's source, never interpolated: a release without a row is refused.  `X.Y` is mainline
vX.Y; `X.Y.Z` adds the changes that the stable series had taken by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pinhold.mm.rules import BY_NAME, RULES, Entry, Rule

MAINLINE = ("5.10", "6.1", "6.2", "6.12", "6.18", "7.3")
STABLE_SERIES = ("5.10", "6.1", "6.12", "6.18", "7.3")
"""Series of which X.Y.Z rows are known, each read from a late member of the series."""


class UnknownRelease(ValueError):
    """No row for this release; the message names the nearest one."""


class UnknownRule(ValueError):
    """No such rule, or no such value of it; the message says what there is."""


def releases() -> tuple[str, ...]:
    """The mainline releases that have a row, oldest first."""
    return MAINLINE


@cache
def parts(release: str) -> tuple[int, ...]:
    """ "6.18.44" as (6, 18, 44)."""
    return tuple(int(part) for part in release.split(".")) if release else ()


def split(release: str) -> tuple[str, str | None]:
    """ "6.18.44-fc" as ("6.18", "44"); "6.18" as ("6.18", None).  Raises UnknownRelease."""
    match = re.fullmatch(r"(\d{1,3}\.\d{1,3})(?:\.(\d{1,5}))?(?:[-+~].*)?", release)
    if match is None:
        raise UnknownRelease(f"'{release}' is not a kernel release; known: {', '.join(MAINLINE)}")
    return match[1], match[2]


def row(release: str) -> dict[str, int]:
    """rule name -> value for "X.Y" or "X.Y.Z" (what follows, as in "6.18.44-fc", is ignored).  Raises
    UnknownRelease."""
    series, patch = split(release)
    if series not in MAINLINE or (patch is not None and series not in STABLE_SERIES):
        raise UnknownRelease(f"no rules for {release}: {unknown(series, patch)}")
    return {rule.name: rule.values.index(entry(rule, release)[1]) for rule in RULES}


def switched(row: Mapping[str, int], switches: Mapping[str, str]) -> dict[str, int]:
    """The row with some rules switched: name -> the value's name, or "" for the one before the row's.  Raises
    UnknownRule."""
    changed = dict(row)
    for name, value in switches.items():
        rule = BY_NAME.get(name)
        if rule is None:
            raise UnknownRule(f"no rule '{name}'; pinhold rules list names them")
        if not value and row[name] == 0:
            known = ", ".join(rule.values)
            raise UnknownRule(f"rule {name} has its oldest value already; write {name}=VALUE: {known}")
        if value and value not in rule.values:
            raise UnknownRule(f"rule {name} is one of {', '.join(rule.values)}, not '{value}'")
        changed[name] = rule.values.index(value) if value else row[name] - 1
    return changed


def unknown(series: str, patch: str | None) -> str:
    """Why a release has no row, and the nearest that has."""
    if series in MAINLINE:
        return f"the stable series {series}.{patch} has not been read; nearest: {series}"
    wanted = parts(series)
    nearest = min(MAINLINE, key=lambda known: (abs(parts(known)[0] - wanted[0]), abs(parts(known)[1] - wanted[1])))
    return f"its source has not been read; known: {', '.join(MAINLINE)}; nearest: {nearest}"


def entry(rule: Rule, release: str) -> Entry:
    """Which of the rule's values vX.Y has, or X.Y.Z with its backports, since when and by which commit."""
    series, patch = split(release)
    found = rule.since[0]
    for later in rule.since[1:]:
        if parts(later[0]) <= parts(series):
            found = later
    for later in rule.stable:
        stable = parts(later[0])
        if patch is not None and stable[:2] == parts(series) and stable[2] <= int(patch):
            found = later
    return found


@cache
def commit(name: str, release: str, value: int) -> str:
    """The commit by which a rule has that value: in the release, or, where it is switched against it, in any.

    "" where there is no single commit.
    """
    rule = BY_NAME[name]
    _, here, brought = entry(rule, release)
    return brought if here == rule.values[value] else rule.commit_of(rule.values[value])
