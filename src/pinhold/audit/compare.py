"""Two audits beside each other: what is new, what is gone; and what a later tree passes alike and rightly.

What is compared is what stays the same when lines move: kind, file, function, call, flags and callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pinhold.audit.audit import Audit
from pinhold.audit.finding import ERROR, Finding

STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two audits: findings of the new one alone, of the old one alone, and how many both have."""

    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    both: int


def difference(old: Sequence[Finding], new: Sequence[Finding]) -> Difference:
    """Compare the findings of two trees."""
    before, after = {one.key for one in old}, {one.key for one in new}
    return Difference(
        tuple(one for one in new if one.key not in before),
        tuple(one for one in old if one.key not in after),
        len(before & after),
    )


@dataclass(frozen=True, slots=True)
class Passed:
    """A call of one tree with one set of flags.  callers: the functions that pass them; reliable: what `ask` says."""

    path: str
    function: str
    name: str
    flags: str
    callers: frozenset[str]


def passed(audit: Audit) -> tuple[Passed, ...]:
    """Every call of GUP with each of its flag sets."""
    return tuple(
        dict.fromkeys(
            Passed(site.path, site.function, site.call.name, one.words, frozenset(step.function for step in one.path))
            for site in audit.sites
            if site.gup
            for one in site.value
        )
    )


@dataclass(frozen=True, slots=True)
class Backport:
    """A finding of the older tree whose flags are wrong there and not later.

    alike: the call of the newer tree that passes the same, None where no call of the same function or caller does.
    """

    finding: Finding
    alike: Passed | None


def backports(findings: Iterable[Finding], newer: Sequence[Passed], wrong: set[tuple[str, ...]]) -> list[Backport]:
    """Stale pins of a tree beside the calls of a newer one.  wrong: the keys of what is stale there, too."""
    made = []
    for one in findings:
        if one.kind != STALE or one.severity != ERROR or one.key in wrong:
            continue
        functions = {one.function, *(step.function for way in one.callers for step in way)}
        same = [call for call in newer if call.flags == one.flags and functions & {call.function, *call.callers}]
        same.sort(key=lambda call: (call.path != one.path, call.function != one.function))
        made.append(Backport(one, same[0] if same else None))
    return made
