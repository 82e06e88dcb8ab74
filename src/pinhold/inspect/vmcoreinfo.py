"""VMCOREINFO: what a kernel tells about itself for readers of its dumps: release, build id, some addresses and offsets.

It is text in the kernel's memory (crash_save_vmcoreinfo_init(), kernel/vmcore_info.c, before 6.9 kernel/crash_core.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pinhold.inspect.errors import CannotLook

MOST = 4096
"""Bytes: it is one page (VMCOREINFO_BYTES)."""

_BEGIN = b"OSRELEASE="
_ALSO = (b"SYMBOL(swapper_pg_dir)", b"KERNELOFFSET")
"""What the text that is searched for has, and a program that writes or reads such texts has not beside it."""

_PIECE = 4 << 20
_ENTRY = re.compile(r"(SYMBOL|NUMBER|OFFSET|SIZE|LENGTH)\((\S{1,200})\)=(-?\w{1,32})")

Read = Callable[[int, int], bytes]
"""Memory by address and size."""


@dataclass(frozen=True, slots=True)
class Vmcoreinfo:
    """text: as it is in memory; the rest: what it says, by name."""

    text: bytes
    release: str
    build_id: str
    symbols: dict[str, int] = field(repr=False)
    numbers: dict[str, int] = field(repr=False)
    offsets: dict[str, int] = field(repr=False)

    @property
    def levels(self) -> int:
        """Of page tables: 4, or 5 where the processor and the kernel have LA57."""
        return 5 if self.numbers.get("pgtable_l5_enabled") == 1 else 4


def parse(text: bytes) -> Vmcoreinfo:
    """Raises CannotLook."""
    words = text[:MOST].split(b"\0")[0].decode("ascii", "replace")
    plain = dict(line.split("=", 1) for line in words.splitlines() if "=" in line)
    if "OSRELEASE" not in plain:
        raise CannotLook("the kernel's VMCOREINFO does not say its release: the memory is not a kernel's, or damaged")
    found: dict[str, dict[str, int]] = {kind: {} for kind in ("SYMBOL", "NUMBER", "OFFSET", "SIZE", "LENGTH")}
    for kind, name, value in _ENTRY.findall(words):
        try:
            found[kind][name] = int(value, 16 if kind == "SYMBOL" else 0)
        except ValueError:
            continue
    return Vmcoreinfo(
        text[:MOST].split(b"\0")[0],
        plain["OSRELEASE"],
        plain.get("BUILD-ID", ""),
        found["SYMBOL"],
        found["NUMBER"],
        found["OFFSET"],
    )


def search(read: Read, ranges: Iterable[range]) -> Iterator[Vmcoreinfo]:
    """All that look like one in physical memory, which has these ranges; the kernel's own is most often the first."""
    for there in ranges:
        for start in range(there.start, there.stop, _PIECE):
            piece = read(start, min(_PIECE + MOST, there.stop - start))
            at = piece.find(_BEGIN)
            while 0 <= at < _PIECE:
                text = piece[at : at + MOST].split(b"\0")[0]
                if all(word in text for word in _ALSO):
                    yield parse(text)
                at = piece.find(_BEGIN, at + 1)
