"""The specification, compiled: the very functions of `mm/`, over the very bytes of a `Machine`.

A record's dtype is made from `state.layout`, so that field and byte mean the same on both sides.  Every `@kernel`
function is registered with numba once; what is entered from outside (`entry`) is compiled at its first call for a
geometry and kept on disk, under a hash of the sources of `mm/`.  Compiled, `coverage` is an array of the record's
constant part.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numba.core.errors import NumbaError
from numba.extending import register_jitable

import pinhold.mm
from pinhold.mm.invariants import check_invariants
from pinhold.mm.kernel import REGISTRY
from pinhold.mm.properties import check_properties
from pinhold.mm.state import Geometry, Machine, layout
from pinhold.mm.step import step

Kernel = Callable[..., Any]

ENTRIES: tuple[Kernel, ...] = (step, check_invariants, check_properties)
"""What is entered from outside."""

config: Any = numba.config


def source_hash() -> str:
    """What compiled code is valid for: the sources, of which numba also minds place and age, numba, and Python."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {config.BOUNDSCHECK}".encode())
    for file in [Path(__file__), *sorted(Path(pinhold.mm.__file__).parent.glob("*.py"))]:
        digest.update(f"{file} {file.stat().st_mtime_ns} ".encode() + file.read_bytes())
    return digest.hexdigest()[:24]


@cache
def cache_directory() -> Path:
    """Where compiled code is kept: below $XDG_CACHE_HOME or ~/.cache, for each version of the sources apart."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "pinhold" / "compiled" / source_hash()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def alone() -> Iterator[None]:
    """Keeps other processes from compiling the same: they wait, and find it on disk."""
    with open(cache_directory() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def kernels() -> tuple[Kernel, ...]:
    """Every `@kernel` function, callable from compiled code from now on."""
    for module in pkgutil.iter_modules(pinhold.mm.__path__):
        importlib.import_module(f"pinhold.mm.{module.name}")
    functions = tuple(f for f in REGISTRY if f.__module__.startswith("pinhold.mm."))
    for function in functions:
        register_jitable(function)
    return functions


@cache
def entry(function: Kernel) -> Kernel:
    """The compiled form of a `@kernel` function, kept on disk: call it with a record (see `record`) and integers."""
    kernels()
    config.CACHE_DIR = str(cache_directory())
    return cast(Kernel, numba.njit(cache=True)(function))


def argument_types(function: Kernel, geometry: Geometry) -> tuple[Any, ...]:
    """The record, where the function takes it, and 64-bit integers."""
    state = numba.from_dtype(dtype(geometry))
    return tuple(state if name == "m" else numba.int64 for name in inspect.signature(function).parameters)


def uncompilable(geometry: Geometry) -> dict[str, str]:
    """The `@kernel` functions that do not compile, each with numba's reason; empty where all do.

    That all do is remembered beside the compiled code.
    """
    done = cache_directory() / f"all-{dtype(geometry).itemsize}"
    with alone():
        if done.exists():
            return {}
        failed = {}
        typing = numba.core.registry.cpu_target.typing_context
        functions = kernels()
        typing.refresh()
        for function in functions:
            try:
                typing.resolve_function_type(
                    typing.resolve_value_type(function), argument_types(function, geometry), {}
                )
            except NumbaError as error:
                failed[f"{function.__module__}.{function.__name__}"] = str(error)
        if not failed:
            for function in ENTRIES:
                entry(function).compile(argument_types(function, geometry))  # type: ignore[attr-defined]
            done.touch()
    return failed


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
