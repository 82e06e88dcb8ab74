"""BTF, the kernel's own description of its types, read lazily: one pass over the headers, a type when it is asked for.

The format is Documentation/bpf/btf.rst.  A module's BTF is split: its ids and its strings go on where its base's end.
It may come from a hostile dump: sizes are bounded, every index is checked, and what is wrong is a BtfError.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from enum import IntEnum
from typing import NamedTuple

from pinhold.inspect.errors import CannotLook

MAGIC = 0xEB9F
MOST = 64 << 20
"""Bytes of a BTF: ten times those of Debian's largest kernel."""

MOST_NAME = 1 << 12
"""Bytes of a name; the longest of a kernel's have a few hundred."""

_HEADER = struct.Struct("<HBBIIIII")


class Kind(IntEnum):
    """What a type is.  VOID is id 0, and has no record."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_FIXED = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
_EACH = {
    Kind.STRUCT: 3,
    Kind.UNION: 3,
    Kind.ENUM: 2,
    Kind.FUNC_PROTO: 2,
    Kind.DATASEC: 3,
    Kind.ENUM64: 3,
}
"""Words of 32 bits that follow a type's three: of the type, and of each of its members."""

_FOUND_BY_NAME = {
    Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.FWD, Kind.TYPEDEF, Kind.FLOAT, Kind.ENUM64
}  # fmt: skip


class BtfError(CannotLook):
    """This is no BTF, or a damaged one."""


class Record(NamedTuple):
    """A type's header.  size: bytes, or the id of the type that it refers to; vlen: members; flag: kind_flag;
    words: what follows."""

    kind: Kind
    name: str
    size: int
    vlen: int
    flag: bool
    words: memoryview


class Member(NamedTuple):
    """Of a structure or a union.  offset, bits: in bits; bits is 0 where it is no bit field."""

    name: str
    type: int
    offset: int
    bits: int


class Btf:
    """Types by id and by name.  Ids below `first` are those of `base`."""

    def __init__(self, data: bytes | memoryview, base: Btf | None = None) -> None:
        """Raises BtfError."""
        self.base = base
        self.end: int
        self.end_of_strings: int
        self.first = base.end if base else 1
        self._first_string = base.end_of_strings if base else 0
        types, self._strings = _sections(data)
        self._words = memoryview(types).cast("I")
        self._at: list[int] = []
        self._by_name: dict[int, list[int]] = {}
        self._index()
        self.end = self.first + len(self._at)
        self.end_of_strings = self._first_string + len(self._strings)

    def _index(self) -> None:
        """Where each type begins, and which have a name at which offset of the strings."""
        fixed = [_FIXED.get(kind, 0) + 3 for kind in Kind] + [0] * (32 - len(Kind))
        each = [_EACH.get(kind, 0) for kind in Kind] + [0] * (32 - len(Kind))
        named = [kind in _FOUND_BY_NAME for kind in Kind] + [False] * (32 - len(Kind))
        fixed[Kind.VOID] = 0
        words, at, by_name = self._words, self._at, self._by_name
        here, number, end = 0, self.first, len(self._words)
        while here + 3 <= end:
            info = words[here + 1]
            kind = info >> 24 & 0x1F
            if not fixed[kind]:
                raise BtfError(
                    f"this BTF has a type of the unknown kind {kind}: pinhold is too old for it, or it is damaged"
                )
            if words[here] and named[kind]:
                by_name.setdefault(words[here], []).append(number)
            at.append(here)
            number += 1
            here += fixed[kind] + each[kind] * (info & 0xFFFF)
        if here != end:
            raise BtfError("this BTF ends in the middle of a type: it is damaged")

    def string(self, offset: int) -> str:
        """A name by its offset; ids of a base know nothing of its modules' strings.  Raises BtfError."""
        if offset < self._first_string and self.base is not None:
            return self.base.string(offset)
        start = offset - self._first_string
        end = self._strings.find(b"\0", start, start + MOST_NAME) if start < len(self._strings) else -1
        if end < 0:
            raise BtfError("a name of this BTF lies outside of its strings: it is damaged")
        return self._strings[start:end].decode("utf-8", "replace")

    def record(self, number: int) -> Record:
        """The type of an id, which is not 0.  Raises BtfError."""
        if number < self.first and self.base is not None:
            return self.base.record(number)
        if not self.first <= number < self.end:
            raise BtfError(f"this BTF refers to type {number}, which it does not have: it is damaged")
        at = self._at[number - self.first]
        name, info, size = self._words[at : at + 3]
        kind, count = Kind(info >> 24 & 0x1F), info & 0xFFFF
        end = at + 3 + _FIXED.get(kind, 0) + _EACH.get(kind, 0) * count
        return Record(kind, self.string(name), size, count, bool(info >> 31), self._words[at + 3 : end])

    def find(self, name: str, kinds: Collection[Kind]) -> Iterator[int]:
        """The ids of the types that have this name and one of these kinds; those of a base come last."""
        wanted = name.encode()
        if not wanted or b"\0" in wanted:
            return
        for offset in self._offsets(wanted):
            for number in self._by_name.get(offset, ()):
                if Kind(self._words[self._at[number - self.first] + 1] >> 24 & 0x1F) in kinds:
                    yield number
        if self.base is not None:
            yield from self.base.find(name, kinds)

    def _offsets(self, name: bytes) -> Iterator[int]:
        """Where the strings have this name, as a whole and at the end of others."""
        if self.base is not None:
            yield from self.base._offsets(name)
        found = self._strings.find(name + b"\0")
        while found >= 0:
            yield found + self._first_string
            found = self._strings.find(name + b"\0", found + 1)

    def members(self, record: Record) -> Iterator[Member]:
        """Of a structure or a union, in their order.  Raises BtfError."""
        words = record.words
        for at in range(0, 3 * record.vlen, 3):
            offset, bits = words[at + 2], 0
            if record.flag:
                offset, bits = offset & 0xFFFFFF, offset >> 24
            yield Member(self.string(words[at]), words[at + 1], offset, bits)

    def enumerators(self, record: Record) -> Iterator[tuple[str, int]]:
        """Names and values of an enumeration.  Raises BtfError."""
        width = _EACH[record.kind]
        for at in range(0, width * record.vlen, width):
            value = record.words[at + 1] | (record.words[at + 2] << 32 if width == 3 else 0)
            bits = 32 * (width - 1)
            negative = record.flag and value >> (bits - 1)
            yield self.string(record.words[at]), value - (1 << bits) if negative else value

    def parameters(self, record: Record) -> Iterator[tuple[str, int]]:
        """Names and types of a function's parameters; type 0 stands for "...".  Raises BtfError."""
        for at in range(0, 2 * record.vlen, 2):
            yield self.string(record.words[at]), record.words[at + 1]


def _sections(data: bytes | memoryview) -> tuple[bytes, bytes]:
    """Types and strings.  Raises BtfError."""
    if len(data) > MOST:
        raise BtfError(f"this BTF has {len(data)} bytes, and one of more than {MOST} is not read: it is damaged")
    if len(data) < _HEADER.size:
        raise BtfError("this is no BTF: it is too short")
    magic, version, _, header, types, types_size, strings, strings_size = _HEADER.unpack_from(data)
    if magic != MAGIC or version != 1:
        raise BtfError("this is no BTF of version 1 and of a little-endian machine")
    ends = header + types + types_size, header + strings + strings_size
    if max(ends) > len(data) or types_size % 4:
        raise BtfError("this BTF is cut off")
    return bytes(data[ends[0] - types_size : ends[0]]), bytes(data[ends[1] - strings_size : ends[1]])
