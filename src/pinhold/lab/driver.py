"""A module of the user's, built for a kernel of the lab: against its build tree, or its packaged headers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pinhold import trust
from pinhold.lab.apt import Apt
from pinhold.lab.errors import LabError
from pinhold.lab.fetch import unpacked_headers
from pinhold.lab.index import choose, offers
from pinhold.lab.kbuild import BuildFailed, headers_tree, make
from pinhold.lab.own import build_tree, version
from pinhold.lab.pinprobe.build import build_in
from pinhold.lab.pinprobe.kept import keep
from pinhold.lab.store import Kernel, Store
from pinhold.targets.live.kconfig import parse

_MAKEFILES = ("Kbuild", "Makefile")


def build_driver(store: Store, kernel: Kernel, folder: Path, say: Callable[[str], None]) -> Path:
    """The module whose sources and Kbuild (or Makefile) are in `folder`, as NAME-RELEASE.ko beside them.

    The sources are copied: nothing else is left in `folder`.  say: takes one line of progress.  Raises LabError.
    """
    if not any((folder / name).is_file() for name in _MAKEFILES):
        raise LabError(f"{str(folder)!r} has no Kbuild: one line in it, obj-m := NAME.o, says what to make of NAME.c")
    with tempfile.TemporaryDirectory(prefix="pinhold-module-") as work:
        out = Path(work, "module")
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.ko", "*.o", ".*"))
        try:
            tree = _tree(store, kernel, Path(work, "headers"), say)
            say(f"{kernel.name}: building the module")
            built = make(tree, out)
        except BuildFailed as reason:
            raise LabError(f"no module for {kernel.name}: {reason}") from None
        made = folder / f"{built.stem}-{kernel.release or version(kernel.image)}.ko"
        try:
            descriptor = trust.create(str(made))
            with open(descriptor, "wb") as file:
                file.write(built.read_bytes())
        except OSError as error:  # Untrusted, too
            raise LabError(f"cannot write {error.filename or made}: {error.strerror or error}") from None
    return made


def build_probe(kernel: Kernel, say: Callable[[str], None]) -> Path:
    """pinhold's own pinprobe for a kernel of the user's, in its build tree: guests of that image have it from now on.

    say: takes one line of progress.  Raises LabError.
    """
    if not kernel.own:
        raise LabError(f"{kernel.name} is no kernel of yours: pinhold kernels fetch {kernel.name} builds its pinprobe")
    with tempfile.TemporaryDirectory(prefix="pinhold-module-") as work:
        try:
            tree = _own_tree(kernel)
            say(f"{kernel.name}: building pinprobe")
            return keep(kernel.image, build_in(tree, Path(work, "pinprobe")).read_bytes())
        except BuildFailed as reason:
            raise LabError(f"no pinprobe for {kernel.name}: {reason}") from None
        except OSError as error:  # Untrusted, too
            raise LabError(f"cannot keep {error.filename}: {error.strerror or error}") from None


def _own_tree(kernel: Kernel) -> Path:
    """Raises LabError."""
    tree = build_tree(kernel.image)
    if tree is None:
        raise LabError(f"{str(kernel.image)!r} is not in its build tree any more: build the module where that is")
    config = parse(kernel.text)
    if config and config.get("MODULES", "n") == "n":
        raise LabError(f"{str(kernel.image)!r} loads no modules: CONFIG_MODULES is off (kernels config --full has it)")
    return tree


def _tree(store: Store, kernel: Kernel, work: Path, say: Callable[[str], None]) -> Path:
    """What the kernel's modules are built against.  Raises LabError, BuildFailed."""
    if kernel.own:
        return _own_tree(kernel)
    work.mkdir()
    with store.lock(say):
        say("reading Debian's package index ...")
        apt = Apt(trust.cache_dir() / "apt")
        apt.prepare()
        offer = choose(offers(apt.index()), kernel.release)
        if not offer.headers:
            raise LabError(f"the package index has no headers for {kernel.release}: nothing can be built for it")
        say(f"{kernel.name}: fetching its headers")
        return headers_tree(*unpacked_headers(apt, offer, work))
