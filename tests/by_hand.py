"""A scope's image that nobody compiles: the inner loop of the compiled search and the specification, as Python.

What numba makes machine code of reads and stores at addresses; here ctypes does, some thousand states a second.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pinhold.compiler.facts import Facts
from pinhold.compiler.settled import settled_fields
from pinhold.compiler.source import Kernel
from pinhold.explore import block, compiled_search, engine, walks
from pinhold.explore.moves import move
from pinhold.explore.record import SearchMachine
from pinhold.explore.searched import ENTRIES, SEARCHED
from pinhold.explore.world import World
from pinhold.mm.state import Layout

WIDTHS = {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int32, 8: ctypes.c_int64}


def load(width: int) -> Callable[[int], int]:
    return lambda place: int(WIDTHS[width].from_address(place).value)


def store(width: int) -> Callable[[int, int], None]:
    def stored(place: int, value: int) -> None:
        WIDTHS[width].from_address(place).value = value

    return stored


def fold(one: int, other: int) -> int:
    """compiler.memory.fold"""
    product = (one % 2**64) * (other % 2**64)
    return ctypes.c_int64((product ^ product >> 64) % 2**64).value


def high(one: int, other: int) -> int:
    """compiler.memory.high"""
    return ctypes.c_int64((one % 2**64) * (other % 2**64) >> 64).value


def loop_by_hand(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The entries of the inner loop, of which those that know no state can be called."""
    for module in (engine, block, walks):
        for width in (1, 2, 4, 8):
            monkeypatch.setattr(module, f"load{width}", load(width), raising=False)
            monkeypatch.setattr(module, f"store{width}", store(width), raising=False)
        monkeypatch.setattr(module, "fold", fold, raising=False)
    monkeypatch.setattr(engine, "high", high)
    if block.SLOTS > 512:  # what Python is to clear for each block
        monkeypatch.setattr(block, "SLOTS", 512)
        monkeypatch.setattr(block, "MOST_VALUES", 256)
    return cast(ModuleType, SimpleNamespace(**{entry.__name__: entry for entry in ENTRIES}))


def by_hand(monkeypatch: pytest.MonkeyPatch, ready: World, folder: Path) -> None:
    """From now on a CompiledSearch of this world runs so.  folder: where it may put a lock."""
    entries = loop_by_hand(monkeypatch)
    entries.__file__ = str(folder / "image.py")

    def image(facts: Facts, layout: Layout) -> ModuleType:
        for module in (engine, block, walks):
            monkeypatch.setattr(module, "STATE_WORDS", layout.mutable_size // 8, raising=False)
            monkeypatch.setattr(module, "RECORD_BYTES", layout.size, raising=False)
        settled = settled_fields(SEARCHED, move, facts, ready.machine.layout)

        @cache
        def machine(place: int) -> SearchMachine:
            record = np.ctypeslib.as_array((ctypes.c_uint8 * layout.size).from_address(place))
            return SearchMachine(ready.machine.geometry, cast(bytearray, memoryview(record)), settled=settled)

        coverage = layout.slots["coverage"].offset

        def at_address(function: Kernel) -> Callable[..., Any]:
            def call(place: int, *rest: int) -> Any:
                m = machine(place)
                result = function(m, *rest)
                for site in m.trace.sites:
                    m.data[coverage + site] = 1
                m.trace.sites.clear()
                return result

            return call

        for function in SEARCHED:
            for module in (engine, walks):
                monkeypatch.setattr(module, function.__name__, at_address(function), raising=False)
        return entries

    monkeypatch.setattr(compiled_search, "image", image)
