"""The part of the command line's grammar that belongs to pages."""

from __future__ import annotations

import argparse


def add_html(command: argparse.ArgumentParser, words: str = "what was run") -> None:
    """--html, for a command that runs tests."""
    command.add_argument(
        "--html",
        metavar="FILE",
        help=f"write {words} there as a page: a test step by step, or several as a matrix with a page for each beside "
        "it; needs jinja2",
    )


def add_chart(command: argparse.ArgumentParser, what: str) -> argparse._MutuallyExclusiveGroup:
    """One of two; gives the group, for what else the output may go to."""
    one = command.add_mutually_exclusive_group()
    one.add_argument("--svg", metavar="FILE", help=f"draw {what} as a still image")
    one.add_argument("--html", metavar="FILE", help=f"draw {what} as a page")
    return one
