"""Loads and stores of compiled code: a state's record is an address, and a field an offset from it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORD = ir.IntType(64)


def _load(width: int) -> Any:
    @intrinsic
    def load(_context: Any, address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.IntType(8 * width).as_pointer())
            value = builder.load(pointer, align=1)
            return value if width == 8 else builder.sext(value, WORD)

        return types.int64(types.int64), generate

    return load


def _store(width: int) -> Any:
    @intrinsic
    def store(_context: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.IntType(8 * width).as_pointer())
            narrow = args[1] if width == 8 else builder.trunc(args[1], ir.IntType(8 * width))
            builder.store(narrow, pointer, align=1)
            return context.get_dummy_value()

        return types.none(types.int64, types.int64), generate

    return store


load1, load2, load4, load8 = (_load(width) for width in (1, 2, 4, 8))
store1, store2, store4, store8 = (_store(width) for width in (1, 2, 4, 8))
