"""What a user gives a guest to take along: kernel modules, programs that pin memory, and the kind of swap."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pinhold.lab.errors import LabError
from pinhold.lab.initramfs import libraries

SWAPS = ("disk", "zram")
"""A virtio disk, asynchronous; memory (zram), which is synchronous: its pages do not pass the swap cache."""


@dataclass(frozen=True)
class Luggage:
    """modules: .ko files, loaded in this order after the kernel's own; programs: commands for `exec:`, whose program is
    an ELF file that is packed with its libraries; swap: one of SWAPS."""

    modules: tuple[Path, ...] = ()
    programs: tuple[str, ...] = ()
    swap: str = "disk"

    def code(self) -> dict[str, bytes]:
        """Name to code of the modules.  Raises LabError."""
        return {path.name.removesuffix(".ko"): _elf(path, "--module") for path in self.modules}

    def files(self) -> Mapping[str, bytes]:
        """Path in the guest to content: the programs and what they are linked with.  Raises LabError."""
        found: dict[str, bytes] = {}
        for command in self.programs:
            program = Path(shlex.split(command)[0])
            found[str(program.resolve())] = _elf(program, "exec:")
            for library in libraries([str(program)]):
                found[library] = Path(library).read_bytes()
        return found

    def commands(self) -> list[str]:
        """The programs as they are called in the guest."""
        return [shlex.join([os.path.realpath(words[0]), *words[1:]]) for words in map(shlex.split, self.programs)]


def _elf(path: Path, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabError(f"{what} {path}: {error.strerror}") from None
    if not content.startswith(b"\x7fELF"):
        raise LabError(f"{what} {path}: not an ELF file, and nothing else can be taken into a guest")
    return content
