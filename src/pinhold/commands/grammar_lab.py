"""The part of the command line's grammar that belongs to the kernel lab."""

from __future__ import annotations

import argparse
from collections.abc import Callable

COMMANDS = ("kernels",)


def add(command: Callable[[str, str], argparse.ArgumentParser], target: str) -> None:
    """Add the commands; `target` explains what a target is."""
    _kernels(command("kernels", "the kernels that vm: targets boot: list, fetch, add, remove"))


def _kernels(kernels: argparse.ArgumentParser) -> None:
    actions = kernels.add_subparsers(dest="kernels", metavar="list | fetch REL... | add NAME | remove NAME")
    actions.add_parser("list", help="those here, and those that can be fetched", allow_abbrev=False)
    fetch = actions.add_parser("fetch", help="stock kernels of Debian, by apt and without root", allow_abbrev=False)
    fetch.add_argument("releases", nargs="+", metavar="REL", help="a series (6.1), a release (6.1.192) or newest")
    add = actions.add_parser("add", help="a kernel of one's own", allow_abbrev=False)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--image", required=True, metavar="PATH", help="its bzImage")
    add.add_argument("--modules", metavar="DIR", help="its modules: a directory like lib/modules/RELEASE")
    remove = actions.add_parser("remove", help="delete one", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME")
