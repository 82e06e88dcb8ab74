"""The row of values that the rules have in a release.

A row is read from that release's source, never interpolated: a release without a row is refused.  `X.Y` is mainline
vX.Y; `X.Y.Z` adds the changes that the stable series had taken by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pinhold.mm.rules import BY_NAME, RULES, Commit, NoCommit, Since, Switch
from pinhold.mm.rules.switch import parts

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


_BACKPORTS: dict[tuple[str, str], tuple[str, Commit | NoCommit]] = {
    ("fork_copies_pinned", "5.10.153"): ("anonymous", Commit("935a8b620210", "5.10.153")),
    ("fork_skips_pud", "5.10.253"): ("by_chance", Commit("14967a9c7d24", "5.10.253")),
    ("fork_skips_pud", "6.1.167"): ("by_chance", Commit("14967a9c7d24", "6.1.167")),
    ("fork_skips_pud", "6.12.74"): ("by_chance", Commit("14967a9c7d24", "6.12.74")),
    ("write_protect_seq", "5.10.4"): ("yes", Commit("57efa1fe5957", "5.10.4")),
    ("zero_page_pin_exempt", "6.1.130"): ("slow_fails", Commit("c8070b787519", "6.1.130")),
    ("zero_page_pin_exempt", "6.1.135"): ("yes", NoCommit("no hash at hand", "6.1.135")),
    ("swapout_skips_pinned", "5.10.9"): ("yes", Commit("feb889fb40fa", "5.10.9")),
    ("soft_dirty_skips_pinned", "5.10.9"): ("yes", Commit("9348b73c2e1b", "5.10.9")),
    ("io_uring_files", "5.10.162"): ("hugetlb_shmem", Commit("788d0824269b", "5.10.162")),
    ("io_uring_ring", "5.10.162"): ("free", Commit("788d0824269b", "5.10.162")),
    ("hugetlb_unmap_address", "7.3.4"): ("each_mapping", NoCommit("no hash at hand", "7.3.4")),
    ("hugetlb_restores_reserve", "6.12.110"): ("last_unmap", NoCommit("no hash at hand", "6.12.110")),
    ("numa_skips", "5.10.102"): ("referenced", Commit("80d47f5de5e3", "5.10.102")),
    ("madv_free_large", "6.1.50"): ("splits_by_first", Commit("0e0e9bd5f7b9", "6.1.50")),
    ("lazyfree_held", "5.10.111"): ("swap_backed", Commit("6c8e2a256915", "5.10.111")),
    ("lazyfree_batch", "6.18.20"): ("same_rights", Commit("29f40594a281", "6.18.20")),
    ("lazyfree_thp", "6.12.117"): ("split", NoCommit("no hash at hand", "6.12.117")),
    ("lazyfree_thp", "7.3.2"): ("split", NoCommit("no hash at hand", "7.3.2")),
    ("pmd_modify_dirty", "6.12.111"): ("kept", Commit("f7491d7c81db", "6.12.111")),
}
"""Rule and stable release from which on a series has another value than its X.Y: the value, and by what."""


def backports(rule: Switch) -> tuple[Since, ...]:
    """Since when stable series have another value than their X.Y."""
    return tuple(Since(first, value, by) for (name, first), (value, by) in _BACKPORTS.items() if name == rule.name)


class UnknownRelease(ValueError):
    """No row for this release; the message says how far was read and names the nearest one."""


class UnknownRule(ValueError):
    """No such rule, or no such value of it; the message says what there is."""


def releases() -> tuple[str, ...]:
    """The mainline releases that have a row, oldest first."""
    return MAINLINE


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


def entry(rule: Switch, release: str) -> Since:
    """Which of the rule's values vX.Y has, or X.Y.Z with its backports, since when and by which commit."""
    series, patch = split(release)
    found = rule.mainline[0]
    for later in rule.mainline[1:]:
        if parts(later.release) <= parts(series):
            found = later
    for later in backports(rule):
        stable = parts(later.release)
        if patch is not None and stable[:2] == parts(series) and stable[2] <= int(patch):
            found = later
    return found


@cache
def commit(name: str, release: str, value: int) -> str:
    """The commit by which a rule has that value: in the release, or, where it is switched against it, in any.

    "" where there is no single commit.
    """
    rule = BY_NAME[name]
    here = entry(rule, release)
    if here.value == rule.names[value]:
        return here.commit
    by = rule.values[value].by
    return by.hash if isinstance(by, Commit) else ""
