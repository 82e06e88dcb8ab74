"""`pinhold kernels`: the kernels that vm: targets can boot."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from pinhold import trust
from pinhold.commands import NothingToRun, UsageError, kernelconfig
from pinhold.lab.apt import Apt
from pinhold.lab.errors import LabError
from pinhold.lab.fetch import fetch, newest_of_series
from pinhold.lab.index import choose, offers
from pinhold.lab.own import add
from pinhold.lab.pinprobe.build import module_name
from pinhold.lab.store import Kernel, Store
from pinhold.report.terminal import moves


def main(options: Namespace) -> int:
    """List, fetch, add or remove; module: of the user's, for one; config: what one's own has to have."""
    if options.kernels == "config":
        return kernelconfig.main(options)
    store = Store()
    try:
        if options.kernels == "fetch":
            return _fetch(store, options.releases)
        if options.kernels == "add":
            modules = Path(options.modules) if options.modules else None
            print(f"added {_line(add(store, options.name, Path(options.image), modules))}")
            return 0
        if options.kernels == "module":
            return _module(store, options.kernel, Path(options.folder) if options.folder else None)
        if options.kernels == "remove":
            print(f"removed {store.remove(options.name).name}")
            return 0
        return _list(store)
    except LabError as reason:
        here = options.kernels in ("add", "remove", "module")
        raise (UsageError if here else NothingToRun)(str(reason)) from None


def _line(kernel: Kernel) -> str:
    what = "one's own" if kernel.own else "stock, Debian"
    probe = "no pinprobe"
    if kernel.pinprobe:
        again = "kernels module IMAGE, and add it again" if kernel.own else f"kernels fetch {kernel.name}"
        older = f", an older one: pinhold {again}" if not _up_to_date(kernel) else ""
        probe = f"pinprobe{older}"
    return f"vm:{kernel.name:12} {kernel.release or 'release unknown':12} {what}, {probe}"


def _up_to_date(kernel: Kernel) -> bool:
    """Whether it has the pinprobe of this version."""
    return kernel.pinprobe is not None and kernel.pinprobe.name == module_name()


def _list(store: Store) -> int:
    kernels = store.kernels()
    for kernel in kernels:
        print(_line(kernel))
    if not kernels:
        print("no kernels yet: pinhold kernels fetch 6.1 6.12, or --on vm:PATH of a bzImage")
    try:
        with store.lock():
            apt = Apt(trust.cache_dir() / "apt")
            apt.prepare()
            available = offers(apt.index(refresh=not kernels))
    except LabError as reason:
        print(f"what can be fetched is not known: {reason}")
        return 0
    print("\ncan be fetched (pinhold kernels fetch REL):")
    for offer in newest_of_series(available):
        print(f"  {offer.series:6} {offer.release:12} {offer.flavour}, {offer.size / 1e6:.0f} MB")
    return 0


class _Progress:
    """One line, rewritten on a terminal; elsewhere each stage once."""

    def __init__(self) -> None:
        self._terminal = moves(sys.stderr)
        self._stage = ""

    def __call__(self, line: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif (stage := line.partition(" of ")[0].rstrip("0123456789. ")) != self._stage:
            self._stage = stage
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave what stands there."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")


def _fetch(store: Store, releases: list[str]) -> int:
    """One at a time, the package index included: who has waited finds what the other one has fetched."""
    progress = _Progress()
    try:
        with store.lock(progress):
            progress("reading Debian's package index ...")
            apt = Apt(trust.cache_dir() / "apt")
            apt.prepare()
            available = offers(apt.index())
            wanted = [choose(available, release) for release in releases]
            have = {kernel.name: kernel for kernel in store.kernels()}
            for offer in dict.fromkeys(wanted):
                there = have.get(offer.release)
                whole = there and (_up_to_date(there) or not offer.headers)
                notes = [] if whole else fetch(store, apt, offer, progress)
                progress.end()
                for note in notes:
                    print(f"pinhold: {note}", file=sys.stderr)
                print(_line(store.find(offer.release)))
    finally:
        progress.end()
    return 0


def _module(store: Store, wanted: str, folder: Path | None) -> int:
    """folder: of a driver; None: pinhold's own pinprobe.  Raises LabError."""
    from pinhold.lab.driver import build_driver, build_probe
    from pinhold.lab.target import kernel_of

    progress = _Progress()
    try:
        kernel = kernel_of(wanted.removeprefix("vm:"), store)
        made = build_driver(store, kernel, folder, progress) if folder else build_probe(kernel, progress)
    finally:
        progress.end()
    if folder:
        print(made)
    else:
        print(f"guests of {kernel.image} have pinprobe, until the image is another one")
    return 0
