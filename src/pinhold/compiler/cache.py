"""What has been worked out before for a scope and the same sources: small texts, kept on disk."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from pinhold import compiler, mm, trust
from pinhold.compiler.facts import Facts
from pinhold.compiler.source import Kernel
from pinhold.mm.kernel import PATCHES
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
def sources(rooms: frozenset[str]) -> bytes:
    """A digest of the source files of these packages, of the specification and of the compiler, and of the patches."""
    found = hashlib.sha256(sys.version.encode())
    found.update("".join(patch.digest for patch in PATCHES).encode())
    for room in sorted(rooms | {mm.__name__, compiler.__name__}):
        folder = Path(sys.modules[room].__path__[0])
        for file in sorted(folder.rglob("*.py")):
            found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.digest()


def room(function: Kernel) -> str:
    """The package of pinhold that a function belongs to."""
    return ".".join(function.__module__.split(".")[:2])


def worked_out(what: str, entries: Sequence[Kernel], facts: Facts, layout: Layout, make: Callable[[], str]) -> str:
    """The text that `make` made of these functions, facts and layout the first time, whichever process that was."""
    numbers = (facts.constants, facts.sizes, facts.everywhere, facts.first, facts.parameters, facts.results)
    given = [sorted(part.items()) for part in numbers]
    return kept(what, entries, [given, sorted(facts.absent), sorted(layout.slots.items()), layout.mutable_size], make)


def kept(what: str, functions: Iterable[Kernel], given: object, make: Callable[[], str]) -> str:
    """The text that `make` made of these functions and of what is given (told apart by its repr) the first time.

    Where nothing can be kept it is made each time.
    """
    functions = list(functions)
    question = repr((what, [f"{f.__module__}.{f.__name__}" for f in functions], given))
    name = hashlib.sha256(sources(frozenset(map(room, functions))) + question.encode()).hexdigest()[:24]
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
