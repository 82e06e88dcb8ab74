"""Building pinprobe against a kernel's headers, wherever they were unpacked."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from pinhold.lab.kbuild import headers_tree, make

_SOURCES = ("pinprobe.c", "Kbuild")


def module_name() -> str:
    """What a kernel's module is kept as: the name tells whether it was built from this source."""
    source = b"".join(Path(__file__).with_name(name).read_bytes() for name in _SOURCES)
    return f"pinprobe-{hashlib.sha256(source).hexdigest()[:12]}.ko"


def build(root: Path, flavour: str, newer_libc: Callable[[], Path]) -> Path:
    """The module, built against the headers unpacked in `root`; newer_libc: see headers_tree().  Raises BuildFailed."""
    tree = headers_tree(root, flavour, newer_libc)
    return build_in(tree, root / "pinprobe")


def build_in(tree: Path, out: Path) -> Path:
    """The module, built in the directory `out` against a build tree.  Raises BuildFailed."""
    out.mkdir(parents=True, exist_ok=True)
    for name in _SOURCES:
        shutil.copyfile(Path(__file__).with_name(name), out / name)
    return make(tree, out)
