"""The row of values that the rules have in a release.

A row is a file of evidence beside this module, X.Y.toml: a release without one is refused.  `X.Y` is mainline vX.Y;
`X.Y.Z` adds the changes that the stable series had taken by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pinhold.mm.releases.files import FOLDER, Change, Held, Release, load
from pinhold.mm.rules import BY_NAME, RULES, Commit, Since, Switch
from pinhold.mm.rules.switch import parts


class UnknownRelease(ValueError):
    """No row for this release; the message says how far was read and names the nearest one."""


class UnknownRule(ValueError):
    """No such rule, or no such value of it; the message says what there is."""


@cache
def releases() -> tuple[str, ...]:
    """The mainline releases that have a row, oldest first."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.toml")), key=parts))


@cache
def file_of(series: str) -> Release:
    """What is known of X.Y.  Raises UnknownRelease, and BadRelease for a file that does not say what it has to."""
    if series not in releases():
        raise UnknownRelease(f"no rules for {series}: {unknown(series, None)}")
    return load(FOLDER / f"{series}.toml")


def stable(series: str) -> tuple[range, ...]:
    """Which Z of X.Y.Z are known."""
    return file_of(series).stable if series in releases() else ()


def split(release: str) -> tuple[str, str | None]:
    """ "6.18.44-fc" as ("6.18", "44"); "6.18" as ("6.18", None).  Raises UnknownRelease."""
    match = re.fullmatch(r"(\d{1,3}\.\d{1,3})(?:\.(\d{1,5}))?(?:[-+~].*)?", release)
    if match is None:
        raise UnknownRelease(f"'{release}' is not a kernel release; known: {', '.join(releases())}")
    return match[1], match[2]


def row(release: str) -> dict[str, int]:
    """rule name -> value for "X.Y" or "X.Y.Z" (what follows, as in "6.18.44-fc", is ignored), with rules switched where
    it is "X.Y,RULE=VALUE,...", as a model is called.  Raises UnknownRelease, UnknownRule."""
    name, *changed = release.split(",")
    return switched(_row(name), {rule: value for rule, _, value in (text.partition("=") for text in changed)})


@cache
def _row(release: str) -> Mapping[str, int]:
    series, patch = split(release)
    if not has_row(series, patch):
        raise UnknownRelease(f"no rules for {release}: {unknown(series, patch)}")
    return {rule.name: rule.names.index(entry(rule, release).value) for rule in RULES}


def switched(row: Mapping[str, int], switches: Mapping[str, str]) -> dict[str, int]:
    """The row with some rules switched: name -> the value's name, or "" for the one before the row's.  Raises
    UnknownRule."""
    changed = dict(row)
    for name, value in switches.items():
        rule = BY_NAME.get(name)
        if rule is None:
            raise UnknownRule(f"no rule '{name}'; pinhold rules list names them")
        if not value and row[name] == 0:
            known = ", ".join(rule.names)
            raise UnknownRule(f"rule {name} has its oldest value already; write {name}=VALUE: {known}")
        if value and value not in rule.names:
            raise UnknownRule(f"rule {name} is one of {', '.join(rule.names)}, not '{value}'")
        changed[name] = rule.names.index(value) if value else row[name] - 1
    return changed


def has_row(series: str, patch: str | None) -> bool:
    """Whether X.Y or X.Y.Z has a row."""
    return series in releases() and (patch is None or any(int(patch) in read for read in stable(series)))


def unknown(series: str, patch: str | None) -> str:
    """Why a release has no row, how far was read, and the nearest that has one."""
    nearest = nearest_row(series, patch)
    if series not in releases():
        return f"its source has not been read; known: {', '.join(releases())}; nearest: {nearest}"
    if not stable(series):
        return f"the stable series {series}.{patch} has not been read; nearest: {nearest}"
    ends = ((f"{series}.{read[0]}", f"{series}.{read[-1]}") for read in stable(series))
    spans = (first if first == last else f"{first} to {last}" for first, last in ends)
    return f"of this stable series {' and '.join(spans)} are known; nearest: {nearest}"


def nearest_row(series: str, patch: str | None) -> str:
    """The release with a row that is nearest to one without: the last known one before it in its series, the last known
    one of the newest series for a later one, and else mainline's nearest."""
    if series in releases():
        found = [z for read in stable(series) for z in read if z <= int(patch or 0)]
        return f"{series}.{found[-1]}" if found else series
    wanted, newest = parts(series), releases()[-1]
    if wanted > parts(newest):
        return f"{newest}.{stable(newest)[-1][-1]}"
    return min(releases(), key=lambda known: (abs(parts(known)[0] - wanted[0]), abs(parts(known)[1] - wanted[1])))


def stand_in(release: str) -> tuple[str, str]:
    """For a real kernel: the release whose row it is compared with, and where that is another one, why, as a sentence.

    A kernel of a series that was read, or one newer than all, has the nearest row.  Raises UnknownRelease for others.
    """
    series, patch = split(release)
    if has_row(series, patch):
        return release, ""
    if series in releases() or parts(series) > parts(releases()[-1]):
        nearest = nearest_row(series, patch)
        return nearest, f"no rules for {release}: {unknown(series, patch)}, whose rules stand in"
    raise UnknownRelease(f"no rules for {release}: {unknown(series, patch)}")


def older(release: str) -> tuple[str, str]:
    """As stand_in(), and for a release between two rows mainline's older one: what it knows holds there, too, but for
    what has changed since.  Raises UnknownRelease."""
    series, _ = split(release)
    before = [known for known in releases() if parts(known) < parts(series)]
    if series in releases() or not before or before[-1] == releases()[-1]:
        return stand_in(release)
    why = f"its source has not been read; known: {', '.join(releases())}; the next older: {before[-1]}"
    return before[-1], f"no rules for {release}: {why}, whose rules stand in"


def entry(rule: Switch, release: str) -> Since:
    """Which of the rule's values vX.Y has, or X.Y.Z with its backports, since when and by what."""
    series, patch = split(release)
    return file_of(series).since(rule, None if patch is None else int(patch))


def held(rule: Switch, release: str) -> Held:
    """The value that the rule has in X.Y, and how that is known.  Raises UnknownRelease."""
    return file_of(split(release)[0]).held[rule.name]


def change_of(rule: Switch, release: str) -> Change | None:
    """Which change of X.Y's stable releases gave X.Y.Z the rule's value; None for the value of X.Y."""
    series, patch = split(release)
    found = (c for c in file_of(series).changes if rule.name in c.rules and parts(c.release)[2] <= int(patch or -1))
    return max(found, key=lambda change: parts(change.release), default=None)


def backports(rule: Switch) -> tuple[Since, ...]:
    """Since when stable series have another value than their X.Y."""
    changes = (change for series in releases() for change in file_of(series).changes if rule.name in change.rules)
    return tuple(Since(change.release, change.rules[rule.name], change.by) for change in changes)


@cache
def commit(name: str, release: str, value: int) -> str:
    """The commit by which a rule has that value: in the release, or, where it is switched against it, in any.

    "" where there is no single commit.
    """
    rule = BY_NAME[name]
    here = entry(rule, release.partition(",")[0])
    if here.value == rule.names[value]:
        return here.commit
    by = rule.values[value].by
    return by.hash if isinstance(by, Commit) else ""
