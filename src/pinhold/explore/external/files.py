"""The files of an external search: what they are called, and that each is whole.

A file is written beside its place and renamed, so that whoever finds it finds all of it, and two workers that do the
same task write the same.  What a task came to, a JSON text, is written last: it says that the task is done.

    search.json              what the search is of (plan.py)
    level-0007.json          what level 7 came to; all before it is done (levels.py)
    0007/expand-000003.*     the successors of the third piece of level 6, by owner
    0007/order-12, state-12  the states of level 7 that owner 12 has
    0007/seen-12.*           their fingerprints, and those of runs that they were merged with
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pinhold.explore.external.runs import FIRST, REST, Array, Prints

ORDER = np.dtype(np.int64)


class Files:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def level(self, level: int) -> Path:
        """What a level came to."""
        return self.directory / f"level-{level:04d}.json"

    def folder(self, level: int) -> Path:
        return self.directory / f"{level:04d}"

    def expanded(self, level: int, piece: int) -> Path:
        """The successors of a piece of the level before; with a suffix each."""
        return self.folder(level) / f"expand-{piece:06d}"

    def merged(self, level: int, owner: int) -> Path:
        return self.folder(level) / f"merge-{owner:02d}.json"

    def orders(self, level: int, owner: int) -> Path:
        return self.folder(level) / f"order-{owner:02d}"

    def states(self, level: int, owner: int) -> Path:
        return self.folder(level) / f"state-{owner:02d}"

    def run(self, name: str) -> Path:
        return self.directory / name

    def finished(self) -> int:
        """The last level that is done, or -1."""
        return max((int(path.stem.removeprefix("level-")) for path in self.directory.glob("level-*.json")), default=-1)


def put(path: Path, write: Any) -> None:
    """Have it written beside its place, then put there."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def put_array(path: Path, array: Array) -> None:
    put(path, np.ascontiguousarray(array).tofile)


def put_record(path: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(record)
    put(path, lambda file: file.write(text.encode()))


def record(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def part_of(path: Path, dtype: np.dtype[Any], first: int, last: int) -> Array:
    """Items of a file from the number `first` to before `last`."""
    return np.fromfile(path, dtype, last - first, offset=first * dtype.itemsize)


def lying(path: Path, dtype: np.dtype[Any]) -> Array:
    """A file's items where they lie; one that is empty cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)


def put_prints(path: Path, prints: Prints) -> None:
    """In two files."""
    put_array(path.with_name(f"{path.name}.first"), prints.first)
    put_array(path.with_name(f"{path.name}.rest"), prints.rest)


def prints_lying(path: Path) -> Prints:
    return Prints(lying(path.with_name(f"{path.name}.first"), FIRST), lying(path.with_name(f"{path.name}.rest"), REST))


def prints_part(path: Path, first: int, last: int) -> Prints:
    words = part_of(path.with_name(f"{path.name}.first"), FIRST, first, last)
    return Prints(words, part_of(path.with_name(f"{path.name}.rest"), REST, first, last))


def drop(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
