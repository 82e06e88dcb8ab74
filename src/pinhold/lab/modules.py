"""A kernel's modules: which there are, what each depends on, and their code, decompressed."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from pinhold import trust
from pinhold.lab.errors import LabError


def _plain(name: str) -> str:
    return name.replace("-", "_")


class Modules:
    """The modules below a directory like lib/modules/RELEASE; dependencies are read from the modules themselves."""

    def __init__(self, folder: Path) -> None:
        self._paths: dict[str, Path] = {}
        for place, _, names in os.walk(folder / "kernel"):
            for name in names:
                if ".ko" in name:
                    self._paths[_plain(name.partition(".ko")[0])] = Path(place, name)
        builtin = folder / "modules.builtin"
        lines = builtin.read_text().splitlines() if builtin.exists() else []
        self._builtin = {_plain(os.path.basename(line.strip()).removesuffix(".ko")) for line in lines}

    def closure(self, names: Iterable[str]) -> dict[str, bytes]:
        """Name to code, dependencies first.  What is built in, or not there at all, is left out."""
        found: dict[str, bytes] = {}
        for name in names:
            self._visit(_plain(name), found, ())
        return found

    def _visit(self, name: str, found: dict[str, bytes], path: tuple[str, ...]) -> None:
        if name in found or name in self._builtin or name in path or name not in self._paths:
            return
        code = decompressed(self._paths[name])
        for needed in needs(code):
            self._visit(_plain(needed), found, (*path, name))
        found[name] = code


def module_info(code: bytes, field: str) -> str | None:
    """What a module says of itself in .modinfo: its "name", its "vermagic"."""
    found = re.search(rb"\0" + os.fsencode(field) + rb"=([^\0]*)\0", b"\0" + code)
    return found[1].decode("utf-8", "replace") if found else None


def needs(code: bytes) -> list[str]:
    """What a module names as its dependencies in .modinfo, soft ones included."""
    hard = re.search(rb"\0depends=([^\0]*)\0", b"\0" + code)
    soft = re.findall(rb"\0softdep=pre: ([^\0]*)\0", b"\0" + code)
    names = (hard[1].decode().split(",") if hard else []) + [n for line in soft for n in line.decode().split()]
    return [name for name in names if name]


def decompressed(path: Path) -> bytes:
    """The ELF file of a module.  Raises LabError where this machine cannot decompress it."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        try:
            zstd = trust.program("zstd")
        except trust.NoProgram as reason:
            raise LabError(f"unpacking the module {path.name} needs {reason}: apt-get install zstd") from None
        return subprocess.run([zstd, "-dc"], input=data, capture_output=True, check=True, timeout=60).stdout
    return data
