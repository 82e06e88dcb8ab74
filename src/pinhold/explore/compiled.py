"""The specification, compiled: the very functions of `mm/`, over the very bytes of a `Machine`.

A record's dtype is made from `state.layout`, so that field and byte mean the same on both sides.  Every `@kernel`
function is registered with numba once; what a caller enters by (`entry`) is compiled at its first call for a geometry
and kept on disk, under a hash of the sources of `mm/`.  Compiled, `coverage` is an array of the record's constant part.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numba.extending import register_jitable

import pinhold.mm
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.state import Geometry, Machine, layout

Kernel = Callable[..., Any]

config: Any = numba.config


def source_hash() -> str:
    """What compiled code is valid for: the sources of mm/, numba, and Python."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {config.BOUNDSCHECK}".encode())
    for file in sorted(Path(pinhold.mm.__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:24]


def cache_directory() -> Path:
    """Where compiled code is kept: below $XDG_CACHE_HOME or ~/.cache, for each version of the sources apart."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pinhold" / "compiled" / source_hash()


@cache
def register() -> tuple[Kernel, ...]:
    """Make every `@kernel` function callable from compiled code; returns them all, in order of definition."""
    for module in pkgutil.iter_modules(pinhold.mm.__path__):
        importlib.import_module(f"pinhold.mm.{module.name}")
    config.CACHE_DIR = str(cache_directory())
    for function in REGISTRY:
        register_jitable(function)
    return tuple(REGISTRY)


@cache
def entry(function: Kernel) -> Kernel:
    """The compiled form of a `@kernel` function: call it with a record (see `record`) and ints."""
    register()
    return cast(Kernel, numba.njit(cache=True)(function))


@cache
def dtype(geometry: Geometry) -> np.dtype[np.void]:
    """The record: the fields of `state.layout` at their offsets."""
    table = layout(geometry)
    formats = [(f"<i{s.width}", (s.count,)) if s.count else f"<i{s.width}" for s in table.slots.values()]
    return np.dtype(
        {
            "names": list(table.slots),
            "formats": formats,
            "offsets": [s.offset for s in table.slots.values()],
            "itemsize": table.size,
        },
        align=True,
    )


def record(geometry: Geometry, data: bytearray) -> Any:
    """A record over these bytes, to pass to compiled functions; stores go through to `data`."""
    return np.frombuffer(data, dtype(geometry))[0]


def twin(machine: Machine) -> tuple[bytearray, Any]:
    """A copy of the machine's bytes, constants included, and a record over it."""
    data = bytearray(machine.data)
    return data, record(machine.geometry, data)
