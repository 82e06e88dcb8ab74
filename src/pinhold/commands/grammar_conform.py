"""The part of the command line's grammar that belongs to conformance."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pinhold.commands import grammar_lab

COMMANDS = ("conform",)


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command."""
    conform = command("conform", "random scenarios on a real kernel and on the model of its release, step by step")
    conform.add_argument("--on", action="append", metavar="TARGET", required=True, help="live or vm:REL; repeat it")
    conform.add_argument("--steps", type=_number, default=1000, metavar="N", help="on each target; default: 1000")
    conform.add_argument("--seed", type=_number, default=1, metavar="N", help="same seed, same scenarios; default: 1")
    conform.add_argument(
        "--profile", action="append", metavar="NAME", help="what scenarios are about; repeat it; default: all of them"
    )
    conform.add_argument("-o", dest="output", metavar="DIRECTORY", help="write what differs there, one .pin file each")
    conform.add_argument(
        "--allow-change",
        metavar="WHAT,...",
        help="let the target live change this machine until the run ends: hugepages, swap, thp; default: nothing",
    )
    grammar_lab.add_deadline(conform)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)
