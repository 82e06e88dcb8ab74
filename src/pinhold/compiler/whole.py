"""The whole specification, compiled as it is: every `@kernel` function of `mm/`, over the very bytes of a `Machine`.

Nothing is specialised but the sizes of the arrays, so one image serves every release, configuration and scope of a
geometry: it is what tests compare with the interpreted functions.  Whoever measures one machine may have its constants
written in as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numba
import numpy as np
from numba.core.errors import NumbaError

from pinhold.compiler.facts import Facts
from pinhold.compiler.image import INNER, OUTER, alone, load, store
from pinhold.compiler.lower import lower
from pinhold.compiler.source import Kernel
from pinhold.compiler.specialise import specialise
from pinhold.mm.file import shmem_fallocate
from pinhold.mm.gup_fast_range import gup_fast_whole
from pinhold.mm.hugetlb import hugetlbfs_fallocate
from pinhold.mm.invariants import check_invariants
from pinhold.mm.kernel import REGISTRY, load_specification
from pinhold.mm.machine import Machine
from pinhold.mm.properties import check_properties
from pinhold.mm.state import Geometry, Layout, layout
from pinhold.mm.step import step

ENTRIES: tuple[Kernel, ...] = (
    step,
    check_invariants,
    check_properties,
    gup_fast_whole,
    shmem_fallocate,
    hugetlbfs_fallocate,
)
"""What is entered from outside."""

HEADER = """# Made by pinhold/compiler/whole.py: the @kernel functions of mm/, over addresses.

from numba import int64, njit

from pinhold.compiler.memory import load1, load2, load4, load8, store1, store2, store4, store8
"""


@cache
def kernels() -> tuple[Kernel, ...]:
    """Every `@kernel` function of mm/."""
    load_specification()
    return tuple(f for f in REGISTRY if f.__module__.startswith("pinhold.mm."))


Constants = tuple[tuple[str, int], ...]
"""Constant scalars of a machine, by name."""


def constants_of(m: Machine) -> Constants:
    """All of them: geometry, configuration, rules."""
    return tuple((name, getattr(m, name)) for name, slot in m.layout.slots.items() if not slot.count)


@cache
def image(geometry: Geometry, constants: Constants = ()) -> ModuleType:
    """The module with all of them, and `enter_NAME` for what is entered from outside."""
    table = layout(geometry)
    facts = Facts(dict(constants), {name: slot.count for name, slot in table.slots.items() if slot.count})
    parts = [HEADER, lower(specialise(kernels(), facts), table, decorator=f"njit({INNER})")]
    for function in ENTRIES:
        names = ", ".join(inspect.signature(function).parameters)
        name = function.__name__
        parts.append(f"@njit({OUTER})\ndef enter_{name}({names}):\n    return {name}({names})\n")
    return load(store("\n\n".join(parts)))


@cache
def entry(function: Kernel, geometry: Geometry, constants: Constants = ()) -> Callable[..., int]:
    """The compiled form, kept on disk: call it with a record's address and integers."""
    module = image(geometry, constants)
    with alone(module):
        compiled = getattr(module, f"enter_{function.__name__}")
        compiled.compile((numba.int64,) * len(inspect.signature(function).parameters))
    return cast("Callable[..., int]", compiled)


def uncompilable(geometry: Geometry) -> dict[str, str]:
    """The `@kernel` functions that do not compile, each with numba's reason; empty where all do, which is remembered
    beside the image."""
    module = image(geometry)
    assert module.__file__ is not None
    done = Path(module.__file__).with_name("all-compile")
    failed = {}
    with alone(module):
        for function in () if done.exists() else kernels():
            arguments = (numba.int64,) * len(inspect.signature(function).parameters)
            try:
                getattr(module, function.__name__).compile(arguments)
            except NumbaError as error:
                failed[f"{function.__module__}.{function.__name__}"] = str(error)
        if not failed:
            done.touch()
    return failed


class Record:
    """A machine's bytes for compiled functions, which store through to them.  address: what they take for `m`."""

    def __init__(self, table: Layout, data: bytearray) -> None:
        self.slot = table.slots["coverage"]
        self.array: np.ndarray[Any, Any] = np.frombuffer(data, dtype=np.uint8)
        self.address = int(self.array.ctypes.data)

    def passed(self) -> set[int]:
        """The decision sites that were passed: compiled, `coverage` is an array of the record's constant part."""
        return set(np.flatnonzero(self.array[self.slot.offset : self.slot.offset + self.slot.count]).tolist())
