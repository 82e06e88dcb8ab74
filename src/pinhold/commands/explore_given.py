"""What is given to `pinhold explore`, whatever is asked: scopes under rules, limits, a line of progress."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pinhold.commands import NothingToRun, UsageError, nearest
from pinhold.commands.board import BOARD
from pinhold.commands.registry import switches
from pinhold.commands.select import read_text
from pinhold.explore.budget import Budget, Progress
from pinhold.explore.history import good_world
from pinhold.explore.run import Options, compiler_at_hand
from pinhold.explore.scope import Scope, library, read_scopes
from pinhold.explore.story import WIDTH
from pinhold.explore.world import World, world
from pinhold.mm import releases
from pinhold.mm.kernel import PATCHES
from pinhold.report import terminal

EXIT_HELD, EXIT_VIOLATED, EXIT_UNKNOWN = 0, 1, 2


def say(text: str) -> None:
    """As wide as the terminal is; each line by itself."""
    width = terminal.width(WIDTH)
    terminal.write(
        piece for line in text.split("\n") for piece in textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    )


def known_scopes(options: argparse.Namespace) -> Mapping[str, Scope]:
    """By name: one's own file's, or the library's."""
    return own_scopes(options.file) if options.file else library()


def scopes_named(options: argparse.Namespace, names: Sequence[str]) -> list[Scope]:
    """The scopes of those names.  Raises UsageError."""
    known = known_scopes(options)
    if not names:
        raise UsageError("names no scope; pinhold explore --list shows them")
    for name in names:
        if name not in known:
            raise UsageError(f"unknown scope {name!r}: {nearest(name, list(known))}")
    return [known[name] for name in dict.fromkeys(names)]


def in_memory(options: argparse.Namespace, question: str) -> None:
    """Raises UsageError where a question that one process answers in its memory is to be answered otherwise."""
    if options.checkpoint or options.history or options.spill or options.workers or options.cluster:
        raise UsageError(f"{question} goes without --checkpoint, --history, --spill, --workers and --cluster")


def chosen(options: argparse.Namespace) -> list[Scope]:
    """The scopes of those names, from one's own file or the library, under the rules asked for."""
    scopes = scopes_named(options, options.scopes)
    scenario_there = options.output and options.format == "text"
    if len(scopes) > 1 and (options.checkpoint or options.spill or options.html or scenario_there):
        raise UsageError("--checkpoint, --spill, --html and a scenario (-o without --format) are of one scope")
    if len(options.rules or ()) > 1:
        raise UsageError("--rules is given once, but with --outcomes and --coverage")
    changed: dict[str, Any] = {"rules": options.rules[0]} if options.rules else {}
    if options.rules or options.without or options.patches:  # what a scope is there for is so under its own rules
        changed["reach"] = ()
    return [replace(scope, **changed) for scope in scopes]


def switch_rules(options: argparse.Namespace) -> None:
    """--rules REL,RULE=VALUE is --rules REL and --without RULE=VALUE; model: before it, as of a target, is left out."""
    given = [text.removeprefix("model:") for text in options.rules or ()]
    names = [text.split(",") for text in given]
    switched = [change for _, *changed in names for change in changed]
    if switched and len(given) > 1:
        raise UsageError("--rules REL,RULE=VALUE is given once; --without RULE=VALUE switches it under all --rules")
    if given:
        options.rules = [name for name, *_ in names]
        options.without = [*switched, *(options.without or [])] or None


def own_scopes(file: str) -> Mapping[str, Scope]:
    return read_scopes(read_text(file, "file of scopes"), file)


def worlds_of(options: argparse.Namespace, how: Options) -> list[World]:
    """The scopes made ready.  Raises NothingToRun where numba is asked for and missing."""
    if how.engine == "compiled" and not compiler_at_hand():
        raise NothingToRun("--compiled, --checkpoint and --spill need numba: pip install 'pinhold[explore]'")
    worlds = [
        world(scope, releases.switched(releases.row(scope.rules), switches(options.without)))
        for scope in chosen(options)
    ]
    if not compiler_at_hand() and any(ready.scope.size != "small" for ready in worlds):
        print("pinhold: interpreted; with numba (pip install 'pinhold[explore]') it is far faster", file=sys.stderr)
    return worlds


def search_options(options: argparse.Namespace) -> Options:
    engine = "compiled" if options.compiled else "interpreted" if options.interpreted else ""
    budget = Budget(options.time or 0.0, (options.memory or 0) << 20, options.depth or 0)
    checkpoint = Path(options.checkpoint) if options.checkpoint else None
    return Options(
        "compiled" if checkpoint else engine,
        not options.no_symmetry,
        not options.no_invariants,
        budget=budget,
        checkpoint=checkpoint,
        jobs=options.jobs or 0,
    )


def expected(ready: World, how: Options) -> int:
    """How many states the search will come to, where it was done before: under the scope's own rules."""
    known = library().get(ready.scope.name)
    same = known is not None and not PATCHES and how.symmetric and ready.row == good_world(known).row
    return known.states if known is not None and same else 0


class Line:
    """A progress line on a terminal, for what takes over a second.  states: how many there will be; 0: not known.
    head: what it begins with."""

    def __init__(self, states: int = 0, head: str = "") -> None:
        self.states = states
        self.head = head
        self.next = 1.0

    def __call__(self, p: Progress) -> None:
        if p.seconds < self.next:
            return
        self.next = p.seconds + 0.5
        rate = p.states / max(p.seconds, 0.001)
        text = f"{p.states:,} states, {rate:,.0f}/s, depth {p.depth}, frontier {p.frontier:,}"
        text += f", {p.bytes >> 20} MiB" if p.bytes else ""
        if self.states:  # first, as a narrow terminal cuts off the end
            left = max(self.states - p.states, 0) / max(rate, 1)
            text = f"{100 * p.states // self.states} %, {left:,.0f} s left: {text}"
        self.show(text)

    def show(self, text: str) -> None:
        """Only this, in place of what was there; "": nothing."""
        if text:
            BOARD.show("explore", f"{self.head}{text}")
        else:
            self.next = 1.0
            BOARD.clear("explore")
