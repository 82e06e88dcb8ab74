"""The files of evidence: which value each rule has in a release, and how that is known.

One TOML file a release.  A file that leaves out a rule or the kind of its evidence, or that says what cannot be, does
not load.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from pinhold.mm.releases.evidence import KINDS, Between, Changelog, Evidence, History, Moot, Source
from pinhold.mm.rules import BY_NAME, RULES, Since, Switch
from pinhold.mm.rules.switch import Commit, NoCommit, parts

FOLDER = Path(__file__).parent
BESIDE = "beside"
"""Where the files of releases without a row are: sources that stand beside a release that has none."""


class BadRelease(ValueError):
    """A file of evidence that does not say what it has to; the message names the file and the rule."""


@dataclass(frozen=True, slots=True)
class Held:
    """The value that a rule has in vX.Y, and how that is known."""

    value: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Change:
    """What a stable release changed.

    release: X.Y.Z, the first one that has it.  commit: mainline's, where it was taken back from there; "" where it is
    not known.  listed: where that is said.  rules: name -> value from there on.
    """

    release: str
    title: str
    listed: str
    rules: Mapping[str, str]
    commit: str = ""

    @property
    def by(self) -> Commit | NoCommit:
        return Commit(self.commit, self.release) if self.commit else NoCommit(f"'{self.title}'", self.release)


@dataclass(frozen=True, slots=True)
class Release:
    """One file.

    read: the exact version of the source, package: what it came in; "" where there was none.  stable: first and last Z
    of the X.Y.Z that are known, span by span.  held: rule -> its value.  changes: of stable releases, in order.
    """

    release: str
    stable: tuple[range, ...]
    read: str
    package: str
    held: Mapping[str, Held]
    changes: tuple[Change, ...]

    def since(self, rule: Switch, patch: int | None) -> Since:
        """The rule's value in X.Y, or X.Y.Z, since when, and by what."""
        mainline = (since for since in reversed(rule.mainline) if parts(since.release) <= parts(self.release))
        found = next(since for since in mainline if since.value == self.held[rule.name].value)
        for change in self.changes:
            if patch is not None and rule.name in change.rules and parts(change.release)[2] <= patch:
                found = Since(change.release, change.rules[rule.name], change.by)
        return found


@cache
def load(path: Path) -> Release:
    """Raises BadRelease."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRelease(f"{path.name}: {error}") from None
    wanted = {"release", "stable", "rules"}
    if not wanted <= table.keys() <= wanted | {"read", "package", "change"}:
        raise BadRelease(f"{path.name}: it has {', '.join(table)}; wanted: {', '.join(sorted(wanted))}")
    if table["release"] != path.stem:
        raise BadRelease(f"{path.name}: it calls itself {table['release']}")
    left = [rule.name for rule in RULES if rule.name not in table["rules"]]
    unknown = [name for name in table["rules"] if name not in BY_NAME]
    if left or unknown:
        which = f"says nothing of {', '.join(left)}" if left else f"knows a rule {', '.join(unknown)}, which is none"
        raise BadRelease(f"{path.name}: it {which}")
    release = Release(
        table["release"],
        tuple(range(first, last + 1) for first, last in table["stable"]),
        table.get("read", ""),
        table.get("package", ""),
        {rule.name: _held(path, rule, table["rules"][rule.name]) for rule in RULES},
        tuple(_made(Change, change, f"{path.name}: change {number}") for number, change in _numbered(table)),
    )
    _check_changes(path, release)
    for rule in RULES:
        _check(path, rule, release)
    return release


def _numbered(table: Mapping[str, Any]) -> enumerate[dict[str, Any]]:
    return enumerate(table.get("change", ()), 1)


def _held(path: Path, rule: Switch, entry: dict[str, Any]) -> Held:
    where = f"{path.name}: {rule.name}"
    _value(where, rule, entry.get("value"))
    kind = entry.get("kind")
    if kind not in KINDS:
        raise BadRelease(f"{where}: its kind of evidence is {kind or 'missing'}; known: {', '.join(KINDS)}")
    about = {name: value for name, value in entry.items() if name not in ("value", "kind")}
    return Held(entry["value"], _made(KINDS[kind], about, where))


def _value(where: str, rule: Switch, value: object) -> None:
    if value not in rule.names:
        raise BadRelease(f"{where}: '{value}' is none of its values: {', '.join(rule.names)}")


def _made(kind: type[Any], entry: Mapping[str, Any], where: str) -> Any:
    """A record of the entry's fields."""
    known = {field.name: field for field in fields(kind)}
    left = [name for name, field in known.items() if field.default is MISSING and name not in entry]
    unknown = [name for name in entry if name not in known]
    if left or unknown:
        which = f"lacks {', '.join(left)}" if left else f"has {', '.join(unknown)}, which says nothing there"
        raise BadRelease(f"{where}: its {kind.__name__.lower()} {which}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()})


def _check_changes(path: Path, release: Release) -> None:
    before: tuple[int, ...] = ()
    for change in release.changes:
        where = f"{path.name}: change '{change.title}'"
        if not change.release.startswith(f"{release.release}.") or parts(change.release) < before:
            raise BadRelease(f"{where}: {change.release} is not the next of {release.release}'s stable releases")
        before = parts(change.release)
        for name, value in change.rules.items():
            if name not in BY_NAME:
                raise BadRelease(f"{where}: it knows a rule {name}, which is none")
            _value(f"{where}: {name}", BY_NAME[name], value)


def _check(path: Path, rule: Switch, release: Release) -> None:
    """Whether the evidence can be evidence of the value."""
    where, held = f"{path.name}: {rule.name}", release.held[rule.name]
    mainline = [since for since in rule.mainline if parts(since.release) <= parts(release.release)]
    later = rule.mainline[len(mainline)].commit if len(mainline) < len(rule.mainline) else ""
    if mainline[-1].value != held.value:
        since = mainline[-1].release or "the oldest release"
        raise BadRelease(f"{where}: {held.value}, but mainline has {mainline[-1].value} since {since}")
    match held.evidence:
        case Source() if not release.read:
            raise BadRelease(f"{where}: evidence from a source, and no source was read")
        case Source(has="", lacks=()):
            raise BadRelease(f"{where}: its source says neither what is there nor what is not")
        case Changelog(before=before):
            if before not in {change.release for change in release.changes if rule.name in change.rules}:
                raise BadRelease(f"{where}: no change of {before} gives it another value")
        case Between(sides=sides):
            values = [_side(path, side).held[rule.name].value for side in sides]
            if len(values) != 2 or set(values) != {held.value}:
                differ = ", ".join(f"{value} in {side}" for side, value in zip(sides, values, strict=True))
                raise BadRelease(f"{where}: {held.value}, but between {differ}")
        case History(after=after, until=until):
            if (after, until) != (mainline[-1].commit, later) or not after + until:
                here = f"{after or 'none'}, then {until or 'none'}"
                commits = f"{mainline[-1].commit or 'none'}, then {later or 'none'}"
                raise BadRelease(f"{where}: its commits are {here}; mainline's are {commits}")
        case Moot(rule=other) if other not in BY_NAME:
            raise BadRelease(f"{where}: it is moot by {other}, which is no rule")


def _side(path: Path, release: str) -> Release:
    """The file of a release beside this one's."""
    folder = path.parent
    found = folder / f"{release}.toml"
    side = load(found if found.exists() else folder / BESIDE / f"{release}.toml")
    if not side.read:
        raise BadRelease(f"{path.name}: between {release}, of which no source was read")
    return side
