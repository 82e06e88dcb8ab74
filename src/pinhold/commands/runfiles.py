"""Run files on the command line: read, or refused with a sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TextIO

from pinhold.commands import NothingToRun, UsageError
from pinhold.scenario.runfile import RunFile, RunFileError, read_run

_HEADER = re.compile(rb'\s*\{\s*"line"\s*:\s*"header"')
_ENOUGH = 200
"""Bytes in which the header begins, whoever has written the JSON anew."""

_LONGEST = 64 << 20
"""Characters of a line: far more than a test of a run has."""


def is_run_file(path: str) -> bool:
    """By its first line; what cannot be read is none."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return _HEADER.match(file.read(_ENOUGH)) is not None
    except OSError:
        return False


def _bounded(stream: TextIO) -> Iterator[str]:
    """Its lines.  Raises RunFileError for one that never ends, as of /dev/zero."""
    while line := stream.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise RunFileError(f"this is no run file: a line of it has more than {_LONGEST >> 20} million characters")
        yield line


def read_run_file(path: str) -> RunFile:
    """Raises UsageError for what is no run file, and NothingToRun for one without a test or a search."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            file = read_run(_bounded(lines))
    except RunFileError as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror or error}") from None
    if not file.runs and not file.searches:
        raise NothingToRun(f"{path} has no test: the run was cut off before its first step")
    return file
