"""What a user gives a guest to take along: kernel modules, programs that pin memory, and the kind of swap."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pinhold import trust
from pinhold.lab.errors import LabError
from pinhold.lab.initramfs import libraries
from pinhold.lab.modules import module_info
from pinhold.targets.live.pins.external import REPLY_SECONDS

SWAPS = ("disk", "zram")
"""A virtio disk, asynchronous; memory (zram), which is synchronous: its pages do not pass the swap cache."""


@dataclass(frozen=True)
class Luggage:
    """modules: .ko files, loaded in this order after the kernel's own; of several that are one module, built for
    different kernels, each guest gets its own; programs: commands for `exec:`, whose program is an ELF file that is
    packed with its libraries; swap: one of SWAPS; reply: seconds that a program may be silent."""

    modules: tuple[Path, ...] = ()
    programs: tuple[str, ...] = ()
    swap: str = "disk"
    reply: float = REPLY_SECONDS

    def code(self, kernel: str | None = None) -> dict[str, bytes]:
        """Name to code of the modules.  kernel: `uname -r` of the guest, None: of any.  Raises LabError."""
        found: dict[str, dict[str | None, bytes]] = {}
        for path in self.modules:
            code = _elf(path, "--module")
            name = module_info(code, "name") or path.name.removesuffix(".ko")
            found.setdefault(name, {})[_built_for(code)] = code
        return {name: _fitting(name, builds, kernel) for name, builds in found.items()}

    def files(self) -> Mapping[str, bytes]:
        """Path in the guest to content: the programs and what they are linked with.  Raises LabError."""
        found: dict[str, bytes] = {}
        for command in self.programs:
            program = _program(command)
            found[str(program.resolve())] = _elf(program, "exec:")
            for library in libraries([str(program)]):
                found[library] = Path(library).read_bytes()
        return found

    def names(self) -> list[str]:
        """What a guest must not miss, as it calls that."""
        swap = ["swap"] if self.swap != "disk" else []
        return [*(f"module {name}" for name in self.code()), *(f"exec:{line}" for line in self.commands()), *swap]

    def commands(self) -> list[str]:
        """The programs as they are called in the guest."""
        return [shlex.join([str(_program(line).resolve()), *shlex.split(line)[1:]]) for line in self.programs]


def _built_for(code: bytes) -> str | None:
    """The kernel that a module was built for, as `uname -r` calls it."""
    words = (module_info(code, "vermagic") or "").split()
    return words[0] if words else None


def _fitting(name: str, builds: Mapping[str | None, bytes], kernel: str | None) -> bytes:
    """The build for that kernel; one alone is taken as it is.  Raises LabError."""
    if kernel in builds:
        return builds[kernel]
    if len(builds) > 1 and kernel is not None:
        known = ", ".join(str(release) for release in builds)
        raise LabError(f"--module: {name} was built for {known}, and not for {kernel}: pinhold kernels module does it")
    return next(iter(builds.values()))


def _program(command: str) -> Path:
    """The file of a command's program.  Raises LabError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LabError(f"exec:{command}: {error}") from None
    if not words:
        raise LabError(f"exec:{command} names no program")
    try:
        return Path(trust.program(words[0]))
    except trust.NoProgram as reason:
        raise LabError(f"exec:{command} needs {reason}") from None


def _elf(path: Path, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabError(f"{what} {path}: {error.strerror}") from None
    if not content.startswith(b"\x7fELF"):
        raise LabError(f"{what} {path}: not an ELF file, and nothing else can be taken into a guest")
    return content
