"""The part of the command line's grammar that belongs to work which is shared out."""

from __future__ import annotations

import argparse
from collections.abc import Callable

COMMANDS = ("campaign", "cluster")


def add(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the commands."""
    campaign = command("campaign", "many runs, searches and random scenarios out of one file, with one report")
    campaign.add_argument("file", metavar="FILE.toml", help="what is to be done")
    campaign.add_argument("--list", action="store_true", help="print the commands, and do nothing")
    campaign.add_argument(
        "-o", dest="output", metavar="DIR", help="results and report; go on with it; default: FILE.campaign"
    )
    campaign.add_argument("--jobs", type=_count, metavar="N", help="so many at once; default: as many as processors")
    add_cluster(campaign)
    cluster = command("cluster", "what a cluster of machines needs")
    actions = cluster.add_subparsers(dest="cluster", metavar="ACTION", required=True)
    words = "certificates DIR: by which the machines of a cluster know each other, and nobody else"
    certificates = actions.add_parser("certificates", help=words, description=words, allow_abbrev=False)
    certificates.add_argument("directory", metavar="DIR", help="where they are put")


def add_cluster(command: argparse.ArgumentParser) -> None:
    """--workers, --cluster and --certificates, for a command whose work can be shared out."""
    engine = command.add_mutually_exclusive_group()
    engine.add_argument("--workers", type=_count, metavar="N", help="share the work out among N processes here")
    engine.add_argument(
        "--cluster", metavar="ADDRESS", help="among a Dask cluster's workers: tls://HOST:PORT, or tcp:// on loopback"
    )
    command.add_argument("--certificates", metavar="DIR", help="by which a tls:// cluster knows you")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 4 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes from 1 on")
    return int(text)
