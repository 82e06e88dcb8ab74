"""Fetching a stock kernel: packages, image, modules, and the pin probe built for it where that can be done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pinhold import trust
from pinhold.lab.apt import Apt, unpack
from pinhold.lab.errors import LabError
from pinhold.lab.index import Offer, numbers
from pinhold.lab.kbuild import BuildFailed
from pinhold.lab.pinprobe.build import build, module_name
from pinhold.lab.store import Adding, Store
from pinhold.lab.vmlinux import extract

Say = Callable[[str], None]
"""Takes one line of progress."""


def fetch(store: Store, apt: Apt, offer: Offer, say: Say) -> list[str]:
    """Fetch and publish it, under the store's lock(); sentences about what it has to do without.  Raises LabError."""
    notes: list[str] = []
    try:
        with store.adding(offer.release, offer.release, own=False) as adding:
            _room(adding.folder, offer)
            root = adding.folder / "root"
            _unpack(apt, offer, adding.folder, root, say)
            _describe(adding, root)
            notes += _probe(apt, offer, adding, say)
            say(f"{offer.release}: done")
    except OSError as error:
        raise LabError(
            f"{error.filename or store.root}: {error.strerror}; nothing of {offer.release} was kept"
        ) from None
    return notes


def _room(folder: Path, offer: Offer) -> None:
    needed = sum(package.size + package.installed for package in offer.packages)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LabError(
            f"{offer.release} needs {needed >> 20} MB in {folder.parent}, and {free >> 20} MB are free there; "
            "XDG_CACHE_HOME chooses another place"
        )


def _unpack(apt: Apt, offer: Offer, folder: Path, root: Path, say: Say) -> None:
    downloads = folder / "downloads"
    downloads.mkdir()

    def progress(done: int, total: int) -> None:
        say(f"{offer.release}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")

    progress(0, offer.size)
    files = apt.download(offer.packages, downloads, progress)
    if len(files) != len(offer.packages):
        raise LabError(f"{offer.release}: apt fetched {len(files)} of {len(offer.packages)} packages")
    say(f"{offer.release}: unpacking")
    for file in files:
        unpack(file, root)
    shutil.rmtree(downloads)
    shutil.rmtree(root / "usr/share", ignore_errors=True)


def _describe(adding: Adding, root: Path) -> None:
    """Find the image, modules and configuration, wherever this release's packages have them."""
    modules = [path for pattern in ("usr/lib/modules/*", "lib/modules/*") for path in root.glob(pattern)]
    modules = [path for path in modules if (path / "kernel").is_dir()]
    images = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    if len(modules) != 1 or len(images) != 1:
        raise LabError("the packages do not hold one kernel: this pinhold does not know their layout")
    adding.has("image", images[0])
    adding.has("modules", modules[0])
    for config in (*root.glob("boot/config-*"), *root.glob("usr/lib/modules/*/config")):
        adding.has("config", config)
    for heavy in root.glob("boot/System.map-*"):
        heavy.unlink()
    extract(images[0], adding.folder / "vmlinux")


def _probe(apt: Apt, offer: Offer, adding: Adding, say: Say) -> list[str]:
    """Build pinprobe; without it the kernel is whole all the same."""
    without = f"{offer.release} goes without pinprobe (GUP-fast pins, whole contents of large ones)"
    if not offer.headers:
        return [f"{without}: the package index has no headers for it"]
    say(f"{offer.release}: building pinprobe")
    work = adding.folder / "headers"
    work.mkdir()
    try:
        for tool in ("gcc", "make"):
            trust.program(tool)
        return _build(apt, offer, adding, work)
    except trust.NoProgram as reason:
        return [f"{without}: building it needs {reason}"]
    except (LabError, BuildFailed) as reason:
        return [f"{without}: {reason}"]
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _build(apt: Apt, offer: Offer, adding: Adding, work: Path) -> list[str]:
    module = build(*unpacked_headers(apt, offer, work))
    kept = adding.folder / module_name()
    os.replace(module, kept)
    adding.has("pinprobe", kept)
    return []


def unpacked_headers(apt: Apt, offer: Offer, work: Path) -> tuple[Path, str, Callable[[], Path]]:
    """What kbuild.headers_tree() takes: the headers of a kernel, unpacked below the directory `work`, their flavour,
    and a newer C library for their tools.  Raises LabError."""
    for file in apt.download(offer.headers, work, lambda done, total: None):
        unpack(file, work / "root")

    def newer_libc() -> Path:
        folder = work / "libc"
        folder.mkdir()
        for file in apt.download(_LIBC, folder, lambda done, total: None):
            unpack(file, folder)
        return folder

    return work / "root", offer.flavour, newer_libc


_LIBC = ("libc6/trixie", "libelf1t64/trixie", "zlib1g/trixie", "libzstd1/trixie")
"""What the build tools of newer suites run on where this machine's C library is older."""


def newest_of_series(available: list[Offer]) -> list[Offer]:
    """One offer a series."""
    best = {offer.series: offer for offer in available}
    return sorted(best.values(), key=lambda offer: numbers(offer.release))
