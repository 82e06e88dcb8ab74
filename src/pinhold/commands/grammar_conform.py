"""The part of the command line's grammar that belongs to conformance."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pinhold.commands import grammar_lab
from pinhold.commands.grammar_pages import add_chart

COMMANDS = ("conform",)

_UNITS = {"s": 1, "m": 60, "h": 3600}


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command."""
    conform = command("conform", "random scenarios on a real kernel and on the model of its release, step by step")
    conform.add_argument("--on", action="append", metavar="TARGET", required=True, help="live or vm:REL; repeat it")
    conform.add_argument(
        "--model", metavar="REL", help="what to compare with, such as 6.12; default: the model of that kernel"
    )
    grammar_lab.add_with(conform)
    conform.add_argument("--steps", type=_number, metavar="N", help="on each target; default: 1000")
    conform.add_argument("--time", type=_seconds, metavar="TIME", help="on each target, as in 90s, 10m or 2h")
    conform.add_argument(
        "--until-covered", action="store_true", help="on each target, until all was done that can be done there"
    )
    conform.add_argument("--seed", type=_number, default=1, metavar="N", help="same seed, same scenarios; default: 1")
    conform.add_argument(
        "--profile", action="append", metavar="NAME", help="what scenarios are about; repeat it; default: all of them"
    )
    conform.add_argument("--format", choices=("text", "json", "ktap", "junit"), default="text", help="default: text")
    add_chart(conform, "what was reached and what never was")
    conform.add_argument("-o", dest="corpus", metavar="DIRECTORY", help="write what differs there, one .pin file each")
    conform.add_argument(
        "--allow-change",
        metavar="WHAT,...",
        help="let the target live change this machine until the run ends: hugepages, swap, ksm, thp; default: nothing",
    )
    grammar_lab.add_counts(conform)
    grammar_lab.add_jobs(conform, "so many kernels at once; default: as many as fit")
    grammar_lab.add_deadline(conform)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)


def _seconds(text: str) -> int:
    """A time in seconds, minutes or hours."""
    number, unit = (text, "s") if text[-1:].isdigit() else (text[:-1], text[-1:])
    if unit not in _UNITS or not (number.isascii() and number.isdigit() and 0 < len(number) < 7 and int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 90s, 10m or 2h")
    return int(number) * _UNITS[unit]
