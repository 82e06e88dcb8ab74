"""`pinhold examples`: the example files that come with pinhold, listed, printed, or copied into a directory."""

from __future__ import annotations

import os
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from pinhold import trust
from pinhold.commands import UsageError, WriteFailed, nearest
from pinhold.report import terminal

_LEFT_OUT = ("__init__.py", "__pycache__")
_WIDTH = 100
_NAME = 28
"""Columns: of a line where no terminal says otherwise, and of most names."""


def main(options: Namespace) -> int:
    """List them, print one, or copy some."""
    found = dict(examples())
    wanted = [name for name in found if options.name is None or _is_of(name, options.name.strip("/"))]
    if not wanted:
        folders = dict.fromkeys(name.partition("/")[0] for name in found)
        raise UsageError(
            f"no example {options.name!r}: {nearest(options.name, [*found, *folders], 'pinhold examples')}"
        )
    if options.copy is not None:
        _copy({name: found[name] for name in wanted}, options.copy)
    elif options.name in found:
        sys.stdout.write(found[options.name])
    else:
        for name in wanted:
            words = f"{name:{_NAME}}  {about(found[name])}"
            print("\n".join(textwrap.wrap(words, terminal.width(_WIDTH), subsequent_indent=" " * (_NAME + 2))))
    return 0


def examples() -> Iterator[tuple[str, str]]:
    """Path below the folder of the examples, and text, in alphabetical order."""
    yield from _below(files("pinhold.examples"), "")


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _below(entry, f"{path}{entry.name}/")
        else:
            yield f"{path}{entry.name}", entry.read_text(encoding="utf-8")


def _is_of(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}/")


def about(text: str) -> str:
    """What the first line of an example that says something says of it."""
    for line in text.splitlines():
        words = line.strip().lstrip('/*#"').strip().removeprefix("scenario ")
        if words and not line.startswith("#!") and "SPDX-License-Identifier" not in words:
            return words.removesuffix("*/").removesuffix('"""').strip()
    return ""


def _copy(wanted: dict[str, str], folder: str) -> None:
    """With their paths, into a directory that is made where it is missing.  Raises UsageError, WriteFailed."""
    places = {os.path.join(folder, name): text for name, text in wanted.items()}
    for place, text in places.items():
        if os.path.lexists(place) and not _has(place, text):
            raise UsageError(f"{place} is there already, and is another file: name an empty directory")
    for place, text in places.items():
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(trust.create(place), "w", encoding="utf-8") as file:
                file.write(text)
                if text.startswith("#!"):
                    os.fchmod(file.fileno(), 0o777 & ~_umask())
        except OSError as error:  # Untrusted, too
            raise WriteFailed(f"cannot write {error.filename or place}: {error.strerror or error}") from None
    print(f"{len(places)} files in {folder}")


def _has(place: str, text: str) -> bool:
    try:
        with open(place, encoding="utf-8") as file:
            return file.read() == text
    except (OSError, UnicodeDecodeError):
        return False


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
