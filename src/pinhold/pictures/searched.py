"""A search of the explorer in words: how far it went, what it found, and what it never came by."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pinhold.pictures.depths import Levels
from pinhold.scenario.ran import FIND, Search

WIDTH = 78
BAR = 40
"""Characters of the longest bar."""


def rules_of(search: Search) -> str:
    """The release, and what is switched against it: a target's name without its kind."""
    switched = (f"{rule}={value}" for rule, value in search.switched.items())
    return ",".join([search.rules, *switched, *(f"with={name}" for name in search.patches)])


def levels(search: Search) -> Levels:
    """For the figure of states by depth."""
    return Levels(rules_of(search), search.levels, search.found, search.limit)


def title(search: Search) -> str:
    return f"The search of {search.scope} under the rules of {rules_of(search)}"


def account(search: Search) -> str:
    """How far, and what came of it."""
    depth = len(search.levels) - 1
    space = f"{search.states:,} states, {search.transitions:,} transitions, depth {depth}"
    if search.asked.startswith(FIND) and not search.found and not search.limit:
        return f"{space}. Exhausted: {search.asked.removeprefix(FIND)} is not reachable."
    if search.found:
        return f"{space}. Found: {search.found}, {len(search.path)} steps from the start."
    if search.limit:
        return f"{space}. Not exhausted: {search.limit}. Nothing bad up to there."
    return f"{space}. Exhausted: nothing bad is reachable."


def coverage(search: Search) -> Iterator[str]:
    """What the search came by, and what it never did."""
    all_there_are = len(search.passed) + len(search.missed)
    yield f"Decisions passed: {len(search.passed)} of {all_there_are} that its functions have."
    if search.found or search.limit:  # what was not passed was not come to
        return
    if search.idle:
        yield f"Never begun: {'; '.join(search.idle)}."
    if search.unreached:
        yield f"Never decided, though the scope is there for it: {', '.join(search.unreached)}."
    if search.missed:
        yield f"Decisions never passed: {', '.join(search.missed)}."


def search_text(search: Search) -> str:
    """ASCII, at most 78 columns: the account, and new states by depth as bars."""
    lines = [*_wrapped(title(search)), "", *_wrapped(account(search)), "", " depth  new states"]
    most = max(search.levels)
    for depth, new in enumerate(search.levels):
        lines.append(f"{depth:>6}  {new:>10,}  {'#' * -(-new * BAR // most)}".rstrip())
    if search.found:
        lines[-1] += "  < here"
    lines += ["", *(line for sentence in coverage(search) for line in _wrapped(sentence))]
    return "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace").decode()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")
