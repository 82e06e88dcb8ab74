"""Loads and stores of compiled code: a state's record is an address, and a field an offset from it.  And the
multiplications that fingerprints are made and looked up by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORD = ir.IntType(64)


def _load(width: int) -> Callable[[int], int]:
    @intrinsic
    def load(_context: Any, address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.IntType(8 * width).as_pointer())
            value = builder.load(pointer, align=1)
            return value if width == 8 else builder.sext(value, WORD)

        return types.int64(types.int64), generate

    return cast(Callable[[int], int], load)


def _store(width: int) -> Callable[[int, int], None]:
    @intrinsic
    def store(_context: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.IntType(8 * width).as_pointer())
            narrow = args[1] if width == 8 else builder.trunc(args[1], ir.IntType(8 * width))
            builder.store(narrow, pointer, align=1)
            return context.get_dummy_value()

        return types.none(types.int64, types.int64), generate

    return cast(Callable[[int, int], None], store)


load1, load2, load4, load8 = (_load(width) for width in (1, 2, 4, 8))
store1, store2, store4, store8 = (_store(width) for width in (1, 2, 4, 8))


@intrinsic
def _fold(_context: Any, one: Any, other: Any) -> Any:
    """The two halves of a product of 128 bits, XORed: 0 where a factor is 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), WORD)
        return builder.xor(builder.trunc(product, WORD), high)

    return types.int64(types.int64, types.int64), generate


fold = cast(Callable[[int, int], int], _fold)


@intrinsic
def _high(_context: Any, one: Any, other: Any) -> Any:
    """The upper half of a product of 128 bits, of factors without a sign."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), WORD)

    return types.int64(types.int64, types.int64), generate


high = cast(Callable[[int, int], int], _high)
