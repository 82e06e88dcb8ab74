"""The part of the command line's grammar that belongs to reading sources."""

from __future__ import annotations

import argparse
from collections.abc import Callable

COMMANDS = ("audit",)


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command."""
    audit = command("audit", "who pins user pages in sources of a kernel or driver, and where that goes wrong")
    audit.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a tree of sources, parts of one, or files of C; two trees: what the second has that the first has not",
    )
    audit.add_argument(
        "--release", metavar="REL", help="whose rules hold; default: the tree's Makefile says, else the running kernel"
    )
    audit.add_argument(
        "--series",
        action="store_true",
        help="of two trees: what is stale in the first and right in the second, as a backport is that came too far",
    )
    audit.add_argument("--baseline", metavar="FILE", help="tell only what is not in what --format json has written")
    audit.add_argument(
        "--format", choices=("text", "json", "sarif", "html"), default="text", help="default: text; html needs jinja2"
    )
    audit.add_argument("-o", dest="output", metavar="FILE", help="write there instead of to standard output")
    audit.add_argument("--notes", action="store_true", help="tell notes, too: what may well be as it should")
    audit.add_argument("--all", action="store_true", help="a line for every call, and the functions that pass flags on")
    audit.add_argument("--scenarios", metavar="DIR", help="write a test there for each stale pin, which shows it")
    audit.add_argument("--confirm", metavar="TARGET", help="run these tests there, for example on vm:6.1")
