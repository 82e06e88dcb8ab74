"""`pinhold rules`: what differs between kernels, switch by switch."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterator

from pinhold.commands import UsageError
from pinhold.mm.releases import UnknownRelease, commit, releases, row
from pinhold.mm.rules import RULES, Rule

_INDENT = "    "
_WIDTH = 100


def main(options: Namespace) -> int:
    """Print the list, one release, or the difference of two."""
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


def _row(release: str) -> dict[str, int]:
    try:
        return row(release)
    except UnknownRelease as error:
        raise UsageError(str(error)) from None


def _about(rule: Rule) -> Iterator[str]:
    """What it decides, since when each value holds, and who decides."""
    steps = [value if not first else f"{value} since {first}{_by(by)}" for first, value, by in rule.since]
    steps += [f"{value} in the stable series since {first}{_by(by)}" for first, value, by in rule.stable]
    for text in (
        " ".join(rule.doc.split()),
        f"Values: {'; '.join(steps)}. Decided in {rule.function}().",
    ):
        yield from textwrap.wrap(
            text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
        )


def _by(commit: str) -> str:
    return f" (commit {commit})" if commit else ""


def _list() -> Iterator[str]:
    yield "What kernels do differently, one switch each: what it decides, its values and since when, and where."
    for rule in RULES:
        yield ""
        yield rule.name
        yield from _about(rule)
    yield ""
    yield f"Releases that are known: {', '.join(releases())}. `pinhold rules show REL` gives the values of one."


def _show(release: str) -> Iterator[str]:
    values = _row(release)
    width = max(len(rule.name) for rule in RULES)
    yield f"rules of {release} (`pinhold rules list` says what each decides)"
    for rule in RULES:
        value = values[rule.name]
        yield f"  {rule.name:{width}}  {rule.values[value]}{_by(commit(rule.name, release, value))}"


def _diff(old: str, new: str) -> Iterator[str]:
    before, after = _row(old), _row(new)
    changed = [rule for rule in RULES if before[rule.name] != after[rule.name]]
    if not changed:
        yield f"{old} and {new} have the same rules."
        return
    yield f"{len(changed)} of {len(RULES)} switches differ."
    for rule in changed:
        yield ""
        yield f"{rule.name}: {rule.values[before[rule.name]]} in {old}, {rule.values[after[rule.name]]} in {new}"
        yield from _about(rule)
