"""The part of the command line's grammar that is about what a patch touches."""

from __future__ import annotations

import argparse


def add_touches(command: argparse.ArgumentParser) -> None:
    """--touches, for a command that runs tests."""
    command.add_argument(
        "--touches",
        action="append",
        metavar="FUNCTION,...",
        help="of the tests only those that go through these functions of the kernel, as the model runs them",
    )
    command.add_argument(
        "--touches-diff",
        metavar="FILE|-",
        help="the same of the functions that a patch changes; -: it comes by standard input, as from git diff",
    )
    command.add_argument(
        "--tree",
        metavar="DIR",
        help="the kernel's source that the patch is of, which tells who calls what is changed; default: the directory "
        "one is in, where that is one",
    )
