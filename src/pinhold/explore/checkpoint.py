"""A compiled search put aside at the end of a level, to be gone on with later.

One file: what has been seen (fingerprints), the last level's states, and how each state was reached.  It belongs to one
scope under one set of rules and one version of the sources, and is refused for any other.  What is large is written and
read in pieces, so that there is no second copy of it in memory.
"""

from __future__ import annotations

import glob
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from pinhold.compiler.cache import clean

Array = np.ndarray[Any, Any]


class Unusable(ValueError):
    """A file that is no checkpoint, or another search's; the message says which."""


IN_PIECES = ("seen", "parents", "vias")


@dataclass
class Checkpoint:
    """key: what the search was of.  seen: fingerprints; unfinished: those of them that belong to the next level, found
    in part; frontier: the last level's states, packed; parents, vias: of each level but the first; counts: states of
    each level; uses: per action; sites: passed."""

    key: str
    seen: Iterable[Array]
    unfinished: Array
    frontier: Array
    parents: Iterable[Array]
    vias: Iterable[Array]
    counts: Array
    transitions: int
    uses: Array
    sites: Array

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """What is written, each with its name."""
        for name, value in vars(self).items():
            if name in IN_PIECES:
                yield from ((f"{name} {number}", piece) for number, piece in enumerate(value))
            else:
                yield name, value

    def save(self, path: Path) -> None:
        """Write it beside the place first: an interrupted save leaves the checkpoint before."""
        clean(path.parent.glob(f"{glob.escape(path.name)}.*.part"))
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:  # never through a link that somebody has put there
                with zipfile.ZipFile(file, "w") as archive:
                    for name, array in self.arrays():
                        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                            npy.write_array(member, np.asarray(array), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read(path: Path, key: str) -> Checkpoint | None:
    """The checkpoint at that place, None where there is none; what is in pieces is read when it is asked for.

    Raises Unusable, OSError.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                raise Unusable(
                    f"{path}: the checkpoint of another search: of another scope, other rules or other sources"
                )
            whole: dict[str, Any] = {
                name: file[name] for name in Checkpoint.__dataclass_fields__ if name not in IN_PIECES
            }
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise Unusable(f"{path}: no checkpoint of a search ({error})") from None
    whole |= {"key": key, "transitions": int(whole["transitions"])}
    whole |= {name: pieces(path, name) for name in IN_PIECES}
    return Checkpoint(**whole)


def pieces(path: Path, name: str) -> Iterator[Array]:
    with np.load(path, allow_pickle=False) as file:
        for number in count():
            if f"{name} {number}" not in file:
                return
            yield file[f"{name} {number}"]
