"""The kinds of evidence for the value that a rule has in a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Read in the source that the file names: a function, or a macro.

    line: of the name that it has, or where that is "", of the function's definition.  lacks: names that it does not
    have, comments left out.  What was read is a late stable release: the changelogs up to it name no change of this.
    """

    file: str
    function: str
    line: int
    has: str = ""
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"source ({self.file}:{self.line}, {self.function})"


@dataclass(frozen=True, slots=True)
class Changelog:
    """What held before the change that the changelog of a stable release names (a `change` of the same file)."""

    before: str

    def __str__(self) -> str:
        return f"changelog (before {self.before})"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of that release ran the scenario of the rule's probe (tests/rule_probes)."""

    release: str
    probe: str

    def __str__(self) -> str:
        return f"kernel ({self.release} ran {self.probe})"


@dataclass(frozen=True, slots=True)
class Between:
    """The same in the nearest sources on both sides."""

    sides: tuple[str, ...]

    def __str__(self) -> str:
        return f"between ({' and '.join(self.sides)})"


@dataclass(frozen=True, slots=True)
class History:
    """Of the commits that brought the rule's values mainline had this one by then, and the next one not yet.

    after: the commit that brought the value, "" for the oldest one.  until: the commit that ended it, "" where none did
    or its hash is not known.  For a release of which no source was at hand, where the sources on both sides differ.
    """

    after: str = ""
    until: str = ""

    def __str__(self) -> str:
        words = (f"after {self.after}" if self.after else "", f"before {self.until}" if self.until else "")
        return f"history ({', '.join(word for word in words if word)})"


@dataclass(frozen=True, slots=True)
class Moot:
    """Without effect: with the value that another rule has in this release, this one is not asked for."""

    rule: str

    def __str__(self) -> str:
        return f"moot (by {self.rule})"


Evidence = Source | Changelog | Kernel | Between | History | Moot

KINDS: dict[str, type[Evidence]] = {
    "source": Source,
    "changelog": Changelog,
    "kernel": Kernel,
    "between": Between,
    "history": History,
    "moot": Moot,
}
