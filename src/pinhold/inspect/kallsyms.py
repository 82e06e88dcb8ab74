"""kallsyms found by the look of its tables, for kernels whose VMCOREINFO does not name them (before 6.0).

What is looked for is what scripts/kallsyms.c of those releases writes, one table after the other, each 8-byte aligned:
kallsyms_offsets (32 bits a symbol), kallsyms_relative_base, kallsyms_num_syms, kallsyms_names, kallsyms_markers
(32 bits each 256 symbols), kallsyms_token_table (256 strings), kallsyms_token_index.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

_TOKENS = 256
_MOST_TOKEN = 64
_STRIDE = 256
"""Symbols of a marker."""

_MOST_SYMBOLS = 1 << 20
_MOST_LOOKS = 1000
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
"""Characters that are letters of names stand for themselves: the tokens "0" to "9" lie side by side."""


def find(memory: bytes, wanted: Collection[str]) -> Mapping[str, int] | None:
    """The addresses of those of the symbols that are there; None where there is no kallsyms in this memory."""
    at = -1
    for _ in range(_MOST_LOOKS):
        at = memory.find(_DIGITS, at + 1)
        found = _tables(memory, at, wanted) if at >= 0 else None
        if at < 0 or found is not None:
            return found
    return None


def _tables(memory: bytes, digits: int, wanted: Collection[str]) -> Mapping[str, int] | None:
    """The symbols, where the digits are those of a token table."""
    try:
        start, tokens, end = _token_table(memory, digits)
        index = struct.unpack_from(f"<{_TOKENS}H", memory, _aligned(end))
        if any(
            memory[start + offset : start + offset + len(token)] != token
            for offset, token in zip(index, tokens, strict=True)
        ):
            return None
        markers = _markers(memory, start)
        names, count = _names(memory, start - 4 * len(markers), markers)
        base_at = names - 16
        (base,) = struct.unpack_from("<Q", memory, base_at)
        offsets = struct.unpack_from(f"<{count}i", memory, base_at - _aligned(4 * count))
    except (struct.error, IndexError, ValueError):
        return None
    return _addresses(memory, names, offsets, base, tokens, wanted)


def _aligned(at: int) -> int:
    return at + 7 & ~7


def _token_table(memory: bytes, digits: int) -> tuple[int, list[bytes], int]:
    """Where it begins, its tokens, where it ends.  Raises ValueError."""
    start = digits
    for _ in range(ord("0")):
        start = memory.rfind(b"\0", max(0, start - _MOST_TOKEN), start - 1) + 1
        if not start:
            raise ValueError("no table")
    tokens, end = [], start
    for _ in range(_TOKENS):
        stop = memory.index(b"\0", end, end + _MOST_TOKEN)
        tokens.append(memory[end:stop])
        end = stop + 1
    return start, tokens, end


def _markers(memory: bytes, end: int) -> list[int]:
    """Of the names, that end there: backwards to the first, which is 0.  Raises ValueError, IndexError."""
    at, found = end & ~3, []
    if memory[at - 4 : at] == bytes(4):  # the tables are aligned
        at -= 4
    last = 1 << 31
    while last:
        at -= 4
        (here,) = struct.unpack_from("<I", memory, at)
        if here >= last or at < 4:
            raise ValueError("no markers")
        found.append(here)
        last = here
    return found[::-1]


def _names(memory: bytes, end: int, markers: list[int]) -> tuple[int, int]:
    """Where they begin and how many there are: the last block ends at the markers.  Raises ValueError."""
    latest = end - markers[-1] - 8 & ~7
    for at in range(latest, max(0, latest - _STRIDE * _MOST_TOKEN), -8):
        (count,) = struct.unpack_from("<Q", memory, at)
        if not (len(markers) - 1) * _STRIDE < count <= min(len(markers) * _STRIDE, _MOST_SYMBOLS):
            continue
        here = at + 8
        for _ in range(min(_STRIDE, count)):
            here += 1 + memory[here]
        if len(markers) == 1 or here == at + 8 + markers[1]:
            return at + 8, count
    raise ValueError("no names")


def _addresses(
    memory: bytes, at: int, offsets: tuple[int, ...], base: int, tokens: list[bytes], wanted: Collection[str]
) -> Mapping[str, int]:
    """kallsyms_sym_address(): those that are negative are relative to the base, others absolute (of a CPU's area)."""
    names = {name.encode() for name in wanted}
    found: dict[str, int] = {}
    for offset in offsets:
        length = memory[at]
        name = b"".join([tokens[token] for token in memory[at + 1 : at + 1 + length]])[1:]
        at += 1 + length
        if name in names:
            found.setdefault(name.decode(), offset if offset >= 0 else base - 1 - offset)
    return found
