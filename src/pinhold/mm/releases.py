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
STABLE = {
    "5.10": (range(263),),
    "6.1": (range(193),),
    "6.12": (range(118),),
    "6.18": (range(16), range(44, 45)),
    "7.3": (range(5),),
}
"""Which Z of X.Y.Z are known.  5.10, 6.1, 6.12 and 7.3: from the source of the last one and from Debian's changelogs,
which name each change of each release before.  6.18: no source or changelog after 6.18.3 was at hand; 6.18.15 and
6.18.44 were compared as running kernels, and between these two some rules changed."""


class UnknownRelease(ValueError):
    """No row for this release; the message says how far was read and names the nearest one."""


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
    if not known(series, patch):
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


def known(series: str, patch: str | None) -> bool:
    """Whether X.Y or X.Y.Z has a row."""
    return series in MAINLINE and (patch is None or any(int(patch) in read for read in STABLE.get(series, ())))


def unknown(series: str, patch: str | None) -> str:
    """Why a release has no row, how far was read, and the nearest that has one."""
    nearest = nearest_row(series, patch)
    if series not in MAINLINE:
        return f"its source has not been read; known: {', '.join(MAINLINE)}; nearest: {nearest}"
    if series not in STABLE:
        return f"the stable series {series}.{patch} has not been read; nearest: {nearest}"
    ends = ((f"{series}.{read[0]}", f"{series}.{read[-1]}") for read in STABLE[series])
    spans = (first if first == last else f"{first} to {last}" for first, last in ends)
    return f"of this stable series {' and '.join(spans)} are known; nearest: {nearest}"


def nearest_row(series: str, patch: str | None) -> str:
    """The release with a row that is nearest to one without: the last known one before it in its series, the last known
    one of the newest series for a later one, and else mainline's nearest."""
    if series in MAINLINE:
        found = [z for read in STABLE.get(series, ()) for z in read if z <= int(patch or 0)]
        return f"{series}.{found[-1]}" if found else series
    wanted, newest = parts(series), MAINLINE[-1]
    if wanted > parts(newest):
        return f"{newest}.{STABLE[newest][-1][-1]}"
    return min(MAINLINE, key=lambda known: (abs(parts(known)[0] - wanted[0]), abs(parts(known)[1] - wanted[1])))


def stand_in(release: str) -> tuple[str, str]:
    """For a real kernel: the release whose row it is compared with, and where that is another one, why, as a sentence.

    A kernel of a series that was read, or one newer than all, has the nearest row.  Raises UnknownRelease for others.
    """
    series, patch = split(release)
    if known(series, patch):
        return release, ""
    if series in MAINLINE or parts(series) > parts(MAINLINE[-1]):
        nearest = nearest_row(series, patch)
        return nearest, f"no rules for {release}: {unknown(series, patch)}, whose rules stand in"
    raise UnknownRelease(f"no rules for {release}: {unknown(series, patch)}")


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
