"""A compiled search put aside at the end of a level, to be gone on with later.

One file: what has been seen (fingerprints), the last level's states, and how each state was reached.  It belongs to one
scope under one set of rules and one version of the sources, and is refused for any other.
"""

from __future__ import annotations

import glob
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pinhold.compiler.cache import clean

Array = np.ndarray[Any, Any]


class Unusable(ValueError):
    """A file that is no checkpoint, or another search's; the message says which."""


@dataclass
class Checkpoint:
    """key: what the search was of.  seen: fingerprints; frontier: the last level's states; parents, vias: of all
    levels, one after the other; counts: states of each level; uses: per action; sites: passed."""

    key: str
    seen: Array
    frontier: Array
    parents: Array
    vias: Array
    counts: Array
    transitions: int
    uses: Array
    sites: Array

    def save(self, path: Path) -> None:
        """Write it beside the place first: an interrupted save leaves the checkpoint before."""
        clean(path.parent.glob(f"{glob.escape(path.name)}.*.part"))
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:  # never through a link that somebody has put there
                np.savez(file, **{name: np.asarray(value) for name, value in vars(self).items()})  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read(path: Path, key: str) -> Checkpoint | None:
    """The checkpoint at that place, None where there is none.  Raises Unusable, OSError."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in Checkpoint.__dataclass_fields__}
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise Unusable(f"{path}: no checkpoint of a search ({error})") from None
    if str(parts["key"]) != key:
        raise Unusable(f"{path}: the checkpoint of another search: of another scope, other rules or other sources")
    return Checkpoint(**{**parts, "key": key, "transitions": int(parts["transitions"])})
