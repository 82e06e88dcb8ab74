"""The pinprobe of one's own kernel, which is used where it lies: kept in a cache, for exactly that image."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pinhold import trust
from pinhold.lab.pinprobe.build import module_name


def kept(image: Path) -> Path | None:
    """The module that was built for the image as it is now, and from this source.  Raises OSError, Untrusted."""
    folder = _folder(image)
    if not folder.is_dir():
        return None
    file = folder / _name(image)
    if not file.is_file():
        return None
    trust.check_cache(file)
    return file


def keep(image: Path, module: bytes) -> Path:
    """In the place of those of earlier builds of that image.  Raises OSError, Untrusted."""
    folder = trust.cache_directory(_folder(image))
    file = folder / _name(image)
    partial = file.with_suffix(".partial")
    for old in folder.iterdir():
        old.unlink()
    partial.write_bytes(module)
    partial.rename(file)
    return file


def _folder(image: Path) -> Path:
    return trust.cache_dir() / "pinprobe" / hashlib.sha256(str(image.resolve()).encode()).hexdigest()[:16]


def _name(image: Path) -> str:
    """A module fits one build of a kernel alone: a patch may have moved what it looks at."""
    with open(image, "rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}-{module_name()}"
