"""The part of the command line's grammar that belongs to looking into a kernel."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pinhold.commands.grammar_pages import add_chart

COMMANDS = ("pins", "watch")

RUNNING = "live, the kernel that runs here; qmp:SOCKET, a guest of QEMU"
SOURCES = f"{RUNNING}; vmcore:FILE, a crash dump"


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the commands."""
    pins = command("pins", "what is pinned in a kernel, by whom, and whether it is still their memory")
    what = pins.add_mutually_exclusive_group()
    what.add_argument("--pid", type=_number, metavar="P", help="of this process alone")
    what.add_argument("--pfn", type=_number, metavar="N", help="this page frame; 0x... is hexadecimal")
    what.add_argument(
        "--zone",
        metavar="Z",
        help="in this zone: DMA, DMA32, Normal, Movable or Device; or CMA, CMA:NAME: in CMA's areas",
    )
    what.add_argument(
        "--block", type=_number, metavar="N", help="in this memory block: what keeps it from going offline"
    )
    what.add_argument("--all", action="store_true", help="everything, which is the default")
    pins.add_argument(
        "--page", type=_number, metavar="ADDR", help="with --pid: the page at this address of the process"
    )
    pins.add_argument("--on", dest="source", default="live", metavar="SOURCE", help=f"{SOURCES}; default: live")
    pins.add_argument(
        "--by", choices=("process", "holder", "zone"), default="process", help="how it is grouped; default: process"
    )
    pins.add_argument("--format", choices=("table", "json"), default="table", help="default: table")
    add_chart(pins, "the same")
    watch = command("watch", "look at one process's pinned memory again and again; tell what became stale, and when")
    watch.add_argument("--pid", type=_number, metavar="P", required=True, help="the process")
    watch.add_argument("--on", dest="source", default="live", metavar="SOURCE", help=f"{RUNNING}; default: live")
    watch.add_argument("--every", type=_count, default=1, metavar="SECONDS", help="from look to look; default: 1")
    watch.add_argument("--times", type=_count, metavar="N", help="end after so many looks; default: with the process")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 8 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _number(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on: write 4096 or 0x1000")
    return number
