"""A BTF made by hand, type by type."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pinhold.inspect.btf import MAGIC, Kind


@dataclass
class Blob:
    """first, strings_from: where its ids and strings begin, for one that is split off a base."""

    first: int = 1
    strings_from: int = 0
    types: list[bytes] = field(default_factory=list)
    strings: bytes = b"\0"

    def __post_init__(self) -> None:
        if self.strings_from:
            self.strings = b""

    def name(self, text: str) -> int:
        """The offset of a name, which is put there; 0: none."""
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return self.strings_from + len(self.strings) - len(text) - 1

    def add(self, kind: int, name: str, size: int, words: list[int], vlen: int = 0, flag: bool = False) -> int:
        """The id of a type with these words after its header."""
        info = kind << 24 | vlen | flag << 31
        self.types.append(struct.pack(f"<{3 + len(words)}I", self.name(name), info, size, *words))
        return self.first + len(self.types) - 1

    def int_(self, name: str, size: int, signed: bool = True) -> int:
        return self.add(Kind.INT, name, size, [signed << 24 | size * 8])

    def struct(self, name: str, size: int, members: list[tuple[str, int, int]], flag: bool = False) -> int:
        """members: name, type, and the word that says where: bits, with those of a bit field above where flagged."""
        words = [word for member, of, at in members for word in (self.name(member), of, at)]
        return self.add(Kind.STRUCT, name, size, words, len(members), flag)

    def data(self) -> bytes:
        """The whole, as a section has it."""
        types = b"".join(self.types)
        header = struct.pack("<HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(self.strings))
        return header + types + self.strings
