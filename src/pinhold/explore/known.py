"""What has been worked out before for a scope and the same sources: small texts, kept on disk."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pinhold.explore
import pinhold.mm
from pinhold import trust
from pinhold.explore.specialise import Facts
from pinhold.mm.state import Layout


@cache
def cache_directory() -> Path:
    """Where images are kept.  What killed programs left behind half written is taken away.

    Raises Untrusted, OSError.
    """
    directory = trust.cache_directory(trust.cache_dir() / "images")
    for pattern in ("known/*.*", "*/image.py.*", "*/__pycache__/*.tmp.*", "*/__pycache__/*.pyc.*"):
        clean(directory.glob(pattern))
    return directory


_ABANDONED_SECONDS = 3600


def clean(files: Iterable[Path]) -> None:
    """Remove those that nobody has written to for an hour."""
    for file in files:
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                file.unlink()


@cache
def sources() -> bytes:
    """A digest of the specification's and the explorer's source files."""
    found = hashlib.sha256(sys.version.encode())
    for package in (pinhold.mm, pinhold.explore):
        for file in sorted(Path(package.__path__[0]).rglob("*.py")):
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
