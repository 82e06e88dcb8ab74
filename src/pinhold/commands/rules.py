"""`pinhold rules`: what differs between kernels, switch by switch."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinhold.commands import UsageError
from pinhold.commands.charts import chart_file
from pinhold.mm.releases import (
    UnknownRelease,
    backports,
    change_of,
    entry,
    file_of,
    held,
    releases,
    row,
    split,
)
from pinhold.mm.rules import RULES, Commit, NoCommit, Switch
from pinhold.report import terminal

if TYPE_CHECKING:
    from pinhold.pictures.chart import Chart

_INDENT = "    "
_WIDTH = 100


def main(options: Namespace) -> int:
    """Print the list, one release, or the difference of two; or draw all releases."""
    if options.svg or options.html:
        if options.rules:
            raise UsageError(f"--svg and --html draw all releases: leave out {options.rules}")
        with chart_file(options) as draw:
            draw(_staircase)
        return 0
    match options.rules:
        case "show":
            lines = _show(options.release)
        case "diff":
            lines = _diff(options.old, options.new)
        case _:
            lines = _list()
    for line in lines:
        print(line)
    return 0


def _staircase() -> Chart:
    """All rules on all releases."""
    from pinhold.pictures.staircase import Switched, staircase

    rows = {release: row(release) for release in releases()}
    rules = [
        Switched(
            rule.name,
            [rule.names[values[rule.name]] for values in rows.values()],
            [entry(rule, release).commit for release in rows],
        )
        for rule in RULES
    ]
    return staircase(list(rows), rules)


def _row(release: str) -> dict[str, int]:
    if "," in release:
        raise UsageError(
            f"the rules of a release are shown, and {release} switches some: leave out what follows the comma"
        )
    try:
        return row(release)
    except UnknownRelease as error:
        raise UsageError(str(error)) from None


def _about(rule: Switch) -> Iterator[str]:
    """What it decides, and of each value what is done, by whom, since when and by which commit."""
    yield from _wrap(f"{rule.doc} Decided in {rule.function}().", _INDENT)
    for value in rule.values:
        other = f" Decided in {value.function}()." if value.function else ""
        yield from _wrap(f"{value.name}: {value.sentence}.{other}", _INDENT, "  ")
        since = [f"since {s.release}{_by(s.by)}" for s in rule.mainline if s.value == value.name and s.release]
        taken = (s for s in backports(rule) if s.value == value.name)
        since += [f"in the stable series since {s.release}{_by(s.by)}" for s in taken]
        if since:
            yield from _wrap(f"{'; '.join(since)}.", f"{_INDENT}  ")


def _wrap(text: str, indent: str, more: str = "") -> list[str]:
    """Lines; more: what the second and later ones are indented by."""
    return textwrap.wrap(
        text, terminal.width(_WIDTH), initial_indent=indent, subsequent_indent=indent + more, break_on_hyphens=False
    )


def _by(by: Commit | NoCommit) -> str:
    return f" (commit {by.hash})" if isinstance(by, Commit) else f" (no commit: {by.reason})"


def _list() -> Iterator[str]:
    yield from _wrap(
        "What kernels do differently, one switch each: what it decides, its values and since when, and where.", ""
    )
    for rule in RULES:
        yield ""
        yield rule.name
        yield from _about(rule)
    yield ""
    known = f"Releases that are known: {', '.join(releases())}."
    yield from _wrap(f"{known} `pinhold rules show REL` gives the values of one, and how each is known.", "")


def _show(release: str) -> Iterator[str]:
    values = _row(release)
    names = max(len(rule.name) for rule in RULES)
    width = max(len(name) for rule in RULES for name in rule.names)
    yield f"rules of {release} (`pinhold rules list` says what each decides)"
    yield from _wrap(_read(release), "")
    for rule in RULES:
        by = entry(rule, release).commit
        row = f"  {rule.name:{names}}  {rule.names[values[rule.name]]:{width}}  {by:12}  {_known(rule, release)}"
        yield from terminal.narrowed(row, indent=8)


def _read(release: str) -> str:
    """Which source the evidence is of."""
    file = file_of(split(release)[0])
    if not file.read:
        return f"No source of {file.release} was read."
    return f"Read in the source of {file.read} ({file.package})."


def _known(rule: Switch, release: str) -> str:
    """How the value is known."""
    change = change_of(rule, release)
    return f"changelog ({change.release}, '{change.title}')" if change else str(held(rule, release).evidence)


def _diff(old: str, new: str) -> Iterator[str]:
    before, after = _row(old), _row(new)
    changed = [rule for rule in RULES if before[rule.name] != after[rule.name]]
    if not changed:
        yield f"{old} and {new} have the same rules."
        return
    yield f"{len(changed)} of {len(RULES)} switches differ."
    for rule in changed:
        yield ""
        yield f"{rule.name}: {rule.names[before[rule.name]]} in {old}, {rule.names[after[rule.name]]} in {new}"
        for release in (old, new):
            yield from _wrap(f"{release}: {_known(rule, release)}", _INDENT, "  ")
        yield from _about(rule)
