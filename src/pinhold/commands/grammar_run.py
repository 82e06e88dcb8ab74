"""The part of the command line's grammar that belongs to `run`: what is asked, where it goes, what is known of it."""

from __future__ import annotations

import argparse

FORMATS = ("table", "ktap", "json", "junit", "baseline")
READ_BACK = ("table", "ktap", "json", "junit", "baseline", "html")
"""Of run files."""

NAMES = ("selftest", "unique")


def add_asked(run: argparse.ArgumentParser) -> None:
    """Tests that are named in files."""
    run.add_argument("--tests-from", metavar="FILE", help="tests that a file names, one a line; - is standard input")
    run.add_argument(
        "--only-failed",
        metavar="RUN",
        help="tests that failed in a run file, on any target; of those named here, if some are",
    )


def add_reports(run: argparse.ArgumentParser) -> None:
    """Where results go."""
    run.add_argument("--format", choices=FORMATS, help="default: as the ending of -o says, or table")
    run.add_argument(
        "-o",
        dest="output",
        action="append",
        metavar="FILE",
        help="write there instead of to standard output, json and ktap test by test; repeat it: .json, .ktap, .xml "
        "(JUnit), .toml (a baseline) and .txt say the format; - is standard output",
    )
    add_ktap_names(run)


def add_ktap_names(command: argparse.ArgumentParser) -> None:
    """For a command that writes KTAP."""
    command.add_argument(
        "--ktap-names",
        choices=NAMES,
        help="result lines of KTAP: what the selftest says, or the unique name of each test; default: selftest for "
        "tests of seed alone, else unique",
    )


def add_known(run: argparse.ArgumentParser) -> None:
    """What is expected."""
    run.add_argument(
        "--baseline",
        metavar="FILE",
        help="what is known: exit status 0 unless something is new; -o FILE.toml writes one",
    )
    run.add_argument("--strict", action="store_true", help="exit status 1 if a test was skipped")
