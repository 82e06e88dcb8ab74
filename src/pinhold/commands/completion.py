"""`pinhold completion SHELL`: what a shell completes, made by shtab from the grammar of the command line."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Iterator

from pinhold.commands import NothingToRun
from pinhold.commands.registry import target_names
from pinhold.inspect import KINDS
from pinhold.scenario.suites import SUITES

REPEATED = re.compile(r'(?<= )"\(\*\)::?')
"""How shtab begins an argument that may be given more than once; by which zsh completes the first alone."""


def main(options: Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise NothingToRun("completions are made by shtab: pip install 'pinhold[terminal]'") from None
    grammar = options.grammar()
    for action in _actions(grammar):
        words = str(action.metavar)
        if action.dest == "on" or words.partition("|")[0] == "TARGET":
            action.choices = [name for name in target_names() if ":" in name or name == "live"]
        elif words == "SOURCE":  # those that its help offers: nothing changes in a dump, to be watched
            action.choices = ["".join(kind.partition(":")[:2]) for kind in KINDS if kind in str(action.help)]
        elif words.startswith("TEST"):
            action.choices = list(SUITES)
        elif words.startswith(("FILE", "PATH", "RUN")):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way to say it
        elif words.startswith("DIR"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        if options.shell == "zsh":
            _escape(action)
    script = shtab.complete(grammar, shell=options.shell)
    if options.shell == "zsh":
        script = REPEATED.sub('"*:', script)
    print(script)
    if options.shell == "bash":
        print("COMP_WORDBREAKS=${COMP_WORDBREAKS//:}  # the name of a target has a colon")
    return 0


def _escape(action: argparse.Action) -> None:
    """Zsh divides what is said of an argument by its colons, and shtab marks those of its help alone."""
    if isinstance(action.metavar, str):
        action.metavar = action.metavar.replace(":", r"\:")
    if isinstance(action.choices, list):
        action.choices = [str(choice).replace(":", r"\:") for choice in action.choices]


def _actions(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of a command and all below it."""
    for action in of._actions:  # argparse tells them in no other way
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action
