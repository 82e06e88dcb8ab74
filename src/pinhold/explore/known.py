"""What has been worked out before for a scope and the same sources: small texts, kept on disk."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pinhold.explore
import pinhold.mm
from pinhold.explore.specialise import Facts
from pinhold.mm.state import Layout


@cache
def cache_directory() -> Path:
    """Where images are kept: below $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "pinhold" / "images"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@cache
def sources() -> bytes:
    """A digest of the specification's and the explorer's source files."""
    found = hashlib.sha256(sys.version.encode())
    for package in (pinhold.mm, pinhold.explore):
        for file in sorted(Path(package.__path__[0]).glob("*.py")):
            found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.digest()


def known(what: str, facts: Facts, layout: Layout, make: Callable[[], str]) -> str:
    """The text that `make` made for these facts and this layout the first time, whichever process that was.

    Where nothing can be kept it is made each time.
    """
    numbers = (facts.constants, facts.sizes, facts.everywhere, facts.first, facts.parameters, facts.results)
    given = [sorted(part.items()) for part in numbers]
    question = repr((what, given, sorted(facts.absent), sorted(layout.slots.items()), layout.mutable_size))
    name = hashlib.sha256(sources() + question.encode()).hexdigest()[:24]
    try:
        return (cache_directory() / "known" / name).read_text()
    except OSError:
        text = make()
    with suppress(OSError):
        cache_directory().joinpath("known").mkdir(exist_ok=True)
        put(cache_directory() / "known" / name, text)
    return text


def put(file: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(file)
