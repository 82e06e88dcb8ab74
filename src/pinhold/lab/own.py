"""One's own kernels: a bzImage, with its modules where it has any."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from pinhold.lab.errors import LabError
from pinhold.lab.image import foreign
from pinhold.lab.pinprobe.build import module_name
from pinhold.lab.pinprobe.kept import kept
from pinhold.lab.store import Kernel, Store


def own_kernel(path: Path) -> Kernel:
    """The kernel of an image that is used where it lies, with what its build tree tells about it.  Raises LabError."""
    image = path.expanduser()
    release = image_release(image)
    tree = build_tree(image)
    config = next((file for file in (tree / ".config",) if file.is_file()), None) if tree else None
    return Kernel(image.name, image, exact(release), config=config, pinprobe=_probe(image), own=True)


def _probe(image: Path) -> Path | None:
    """Raises LabError where somebody else could have put one there."""
    try:
        return kept(image)
    except OSError as error:  # Untrusted, too
        raise LabError(f"{error.filename}: {error.strerror}") from None


def build_tree(image: Path) -> Path | None:
    """The directory in which a bzImage was built, where it still lies in it."""
    parts = image.resolve().parents
    if image.resolve().match("arch/*/boot/bzImage") and len(parts) > 3 and (parts[3] / "Makefile").is_file():
        return parts[3]
    return None


def image_release(image: Path) -> str:
    """`uname -r` of a bzImage, from its header.  Raises LabError where it is none."""
    try:
        with open(image, "rb") as file:
            head = file.read(1 << 16)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise LabError(f"cannot read {str(image)!r}: {error.strerror}") from None
    if why := foreign(head, size):
        raise LabError(f"{str(image)!r} {why}")
    start = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[start : start + 256].split(b"\0")[0].decode("ascii", "replace")


def version(image: Path) -> str:
    """The first word of that: the name of its configuration and of its modules.  Raises LabError."""
    return image_release(image).partition(" ")[0]


def exact(version: str) -> str:
    """The exact release of an image's version string, which ends like `uname -v`: Debian's number is in there."""
    debian = re.search(r"Debian (\d+\.\d+(?:\.\d+)?)", version)
    match = debian or re.match(r"(\d+\.\d+(?:\.\d+)?)", version)
    return match[1] if match else ""


def add(store: Store, name: str, image: Path, modules: Path | None) -> Kernel:
    """Copy an image and its modules into the store.  Raises LabError."""
    version = image_release(image.expanduser())
    source = modules.expanduser() if modules else None
    if source is not None and not (source / "kernel").is_dir():
        raise LabError(f"{str(modules)!r} has no kernel/ in it: name a directory like lib/modules/RELEASE")
    try:
        with store.lock(), store.adding(name, exact(version), own=True) as adding:
            shutil.copyfile(image.expanduser(), adding.folder / "bzImage")
            adding.has("image", adding.folder / "bzImage")
            if source is not None:
                kept = adding.folder / "modules"
                shutil.copytree(source, kept, symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
                adding.has("modules", kept)
            if (probe := _probe(image.expanduser())) is not None:
                shutil.copyfile(probe, adding.folder / module_name())
                adding.has("pinprobe", adding.folder / module_name())
            tree = build_tree(image.expanduser())
            if tree is not None and (tree / ".config").is_file():
                shutil.copyfile(tree / ".config", adding.folder / "config")
                adding.has("config", adding.folder / "config")
    except OSError as error:
        raise LabError(f"{error.filename or store.root}: {error.strerror}; nothing of {name} was kept") from None
    return store.find(name)
