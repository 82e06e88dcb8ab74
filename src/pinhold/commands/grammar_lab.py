"""The part of the command line's grammar that belongs to the kernel lab."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pinhold.commands.grammar_pages import add_html
from pinhold.commands.grammar_touches import add_touches

COMMANDS = ("kernels", "compare", "device", "exec-test")


def add_jobs(command: argparse.ArgumentParser, words: str = "so many guests at once; default: as many as fit") -> None:
    """--jobs, for a command that runs guests."""
    command.add_argument("--jobs", type=_jobs, metavar="N", help=words)


def add_pin(command: argparse.ArgumentParser) -> None:
    """--pin, for a command that runs scenarios on real kernels."""
    command.add_argument(
        "--pin",
        action="append",
        metavar="exec:PROGRAM",
        help="a program of yours that pins memory on live and in guests, where it gives exactly what a step asks for",
    )
    _add_pin_timeout(command)


def _add_pin_timeout(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--pin-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long a program of --pin may be silent, computing or asleep, before it is given up; default: 20",
    )


def add_luggage(command: argparse.ArgumentParser) -> None:
    """What guests take along."""
    command.add_argument("--module", action="append", metavar="FILE.ko", help="a module that guests load; repeat it")
    command.add_argument("--swap", choices=("disk", "zram"), help="what guests swap to; default: disk")


def add_with(command: argparse.ArgumentParser) -> None:
    """--with, for a command that computes with models."""
    command.add_argument(
        "--with",
        dest="patches",
        action="append",
        metavar="FILE.py",
        help="@kernel functions of yours in the place of mm/'s of the same name, in every model; repeat it",
    )


def add_deadline(command: argparse.ArgumentParser) -> None:
    """--deadline, for a command that runs scenarios on real kernels."""
    command.add_argument(
        "--deadline",
        type=_seconds,
        metavar="SECONDS",
        help="of processor time, after which a step that has not ended on a real kernel never will; default: 20",
    )


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give 1 or more")
    return int(text)


def add_counts(command: argparse.ArgumentParser) -> None:
    """--counts, for a command that runs guests."""
    command.add_argument(
        "--counts",
        action="store_true",
        help="see of each page what the kernel counts, from outside of guests: references, pins, flags, its entry",
    )


def add_without(command: argparse.ArgumentParser) -> None:
    """What is left out of the tests."""
    command.add_argument(
        "--without", choices=("1G",), help="skip the tests that need 1 GiB pages: a guest with them takes 5 GB"
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 8 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no such number: give 1 or more")
    return int(text)


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 5 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of guests: give 1 or more")
    return int(text)


def add(command: Callable[[str, str], argparse.ArgumentParser], target: str) -> None:
    """Add the commands; `target` explains what a target is."""
    _kernels(command("kernels", "the kernels that vm: targets boot: list, fetch, add, remove"))
    compare = command("compare", "what differs between two targets or saved runs, and nothing else")
    compare.add_argument(
        "left", metavar="TARGET|RUN", help=f"{target}; or what was saved: a run file, or the TAP of mm's selftest cow"
    )
    compare.add_argument("right", metavar="TARGET|RUN")
    compare.add_argument("tests", nargs="*", metavar="TEST", help="default: seed, or those of the saved run")
    add_with(compare)
    add_pin(compare)
    add_luggage(compare)
    add_deadline(compare)
    add_without(compare)
    add_touches(compare)
    add_counts(compare)
    compare.add_argument(
        "--random", type=_count, metavar="N", help="N random scenarios as well; without TEST, instead of a suite"
    )
    compare.add_argument("--seed", type=_count, metavar="N", help="same seed, same scenarios; default: 1")
    compare.add_argument("--bisect", action="store_true", help="the exit statuses that git bisect run takes")
    add_jobs(compare)
    add_html(compare)
    device = command("device", "what a device reads of memory that its owner has written, on real kernels")
    device.add_argument("--on", action="append", metavar="vm:REL", help="default: vm:6.1 vm:6.12; repeat it")
    add_jobs(device)
    add_deadline(device)
    add_html(device)
    _exec_test(command("exec-test", "whether a program for --pin exec: keeps the protocol, and pins as it declares"))


def _exec_test(test: argparse.ArgumentParser) -> None:
    test.add_argument("program", metavar="PROGRAM", help="with its arguments, as one word: './mypin /dev/mydriver'")
    test.add_argument("--on", metavar="TARGET", default="live", help="live or vm:REL; default: live")
    _add_pin_timeout(test)
    add_luggage(test)
    add_deadline(test)


def add_doctor(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The command that looks, at this machine or at a kernel."""
    doctor = command("doctor", "what this machine, or a kernel, can do, and what is missing")
    words = (
        "vm:PATH or vm:REL: can it be booted, which tests will be skipped, for want of what; default: live, and what "
    )
    doctor.add_argument("target", nargs="?", metavar="TARGET", help=f"{words}--allow-change would change here")


def _kernels(kernels: argparse.ArgumentParser) -> None:
    actions = kernels.add_subparsers(
        dest="kernels", metavar="list | fetch REL... | add NAME | remove NAME | module REL [DIR] | config"
    )
    actions.add_parser("list", help="those here, and those that can be fetched", allow_abbrev=False)
    fetch = actions.add_parser("fetch", help="stock kernels of Debian, by apt and without root", allow_abbrev=False)
    fetch.add_argument("releases", nargs="+", metavar="REL", help="a series (6.1), a release (6.1.192) or newest")
    add = actions.add_parser("add", help="a kernel of one's own", allow_abbrev=False)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--image", required=True, metavar="PATH", help="its bzImage")
    add.add_argument("--modules", metavar="DIR", help="its modules: a directory like lib/modules/RELEASE")
    module = actions.add_parser("module", help="build a driver of yours, or pinprobe, for one", allow_abbrev=False)
    module.add_argument("kernel", metavar="REL|PATH", help="as after vm:")
    module.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="its sources, and a Kbuild with the line obj-m := NAME.o; without it pinhold's own pinprobe, for PATH",
    )
    remove = actions.add_parser("remove", help="delete one", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME")
    words = "what guests need of a kernel that you build: a fragment for merge_config.sh, and what a .config has lost"
    config = actions.add_parser("config", help=words, description=words, allow_abbrev=False)
    config.add_argument("--full", action="store_true", help="and all that moves and checks pages: NUMA, CMA, DEBUG_VM")
    config.add_argument("--kasan", action="store_true", help="and KASAN: use after free; a guest is slow with it")
    config.add_argument("--check", metavar="FILE", help="a .config: each line that it has lost, and why it matters")
