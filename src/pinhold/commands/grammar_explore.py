"""The part of the command line's grammar that belongs to the explorer."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pinhold.commands import grammar_lab
from pinhold.commands.grammar_cluster import add_cluster
from pinhold.commands.grammar_pages import add_html

COMMANDS = ("explore",)


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command."""
    explore = command("explore", "every interleaving of a bounded scope, searched exhaustively")
    explore.add_argument("scopes", nargs="*", metavar="SCOPE", help="their names; --list shows them")
    explore.add_argument("--list", action="store_true", help="the scopes that come with pinhold")
    explore.add_argument(
        "--history", action="store_true", help="find every historic defect, and not find it once mended"
    )
    explore.add_argument(
        "--find",
        metavar="NAME",
        help="the shortest way to a decision, or to a state that violates a property or an invariant; list: all names",
    )
    explore.add_argument(
        "--livelock",
        action="store_true",
        default=None,
        help="can operations go round for ever, in a cycle in which none ends?",
    )
    explore.add_argument(
        "--switches",
        type=_number,
        metavar="K",
        help="search what K changes from one task to another reach, with the fewest first",
    )
    explore.add_argument(
        "--walk",
        nargs="?",
        type=_positive,
        const=10_000,
        metavar="N",
        help="N random walks of --depth steps, for scopes too large to be exhausted; default: 10000 of 300 steps",
    )
    explore.add_argument(
        "--seed", type=_number, metavar="N", help="of the walks; the same seed makes the same walks; default: 1"
    )
    explore.add_argument("--file", metavar="FILE.toml", help="take the scope from a file of yours")
    explore.add_argument(
        "--coverage",
        action="store_true",
        help="what none of the scopes comes by, or no search of run files",
    )
    explore.add_argument(
        "--outcomes",
        action="store_true",
        help="all that can be seen where nobody is in an operation; of several --rules: what one alone allows",
    )
    explore.add_argument(
        "--rules",
        action="append",
        metavar="REL",
        help="a release's rules, or REL,RULE=VALUE; default: the scope's; --outcomes and --coverage take several",
    )
    explore.add_argument(
        "--without", action="append", metavar="RULE[=VALUE]", help="switch a rule back, or to a value; repeat it"
    )
    grammar_lab.add_with(explore)
    explore.add_argument("--no-symmetry", action="store_true", help="tell frames, tables and slots apart")
    explore.add_argument("--no-invariants", action="store_true", help="look at the safety properties alone")
    engine = explore.add_mutually_exclusive_group()
    engine.add_argument("--compiled", action="store_true", help="compile; default for all but small scopes")
    engine.add_argument("--interpreted", action="store_true", help="do not compile; default for small scopes")
    explore.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="threads of a compiled search; what is found is the same with any number; default: one a core",
    )
    explore.add_argument("--time", type=_positive, metavar="SECONDS", help="stop then, and say so")
    explore.add_argument("--memory", type=_positive, metavar="MIB", help="stop there, and say so")
    explore.add_argument("--depth", type=_positive, metavar="N", help="stop after so many steps")
    explore.add_argument(
        "--checkpoint", metavar="FILE", help="put a search that a limit ends aside there; go on with it"
    )
    explore.add_argument(
        "--spill", metavar="DIR", help="keep states on disk, there: for more of them than memory holds; go on with it"
    )
    add_cluster(explore)
    explore.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help="write what was found there, as a scenario; or the run file of --format",
    )
    explore.add_argument(
        "--format",
        choices=("text", "json", "junit"),
        default="text",
        help="json: the searches as a run file, with a run of what was found; junit: one test a search; default: text",
    )
    explore.add_argument("--svg", metavar="FILE", help="draw the states of each depth, and what was found, there")
    add_html(explore, "the search, and what was found step by step,")


def _number(text: str) -> int:
    return 0 if text == "0" else _positive(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
