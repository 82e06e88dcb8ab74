"""The kernels at hand: one directory each in the user's cache, whole or not there at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pinhold import trust
from pinhold.lab.errors import LabError
from pinhold.lab.index import NEWEST, numbers, series

_RECORD = "kernel.json"
_PARTIAL = ".partial-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel that can be booted.

    release: exact, e.g. "6.1.192", or "" where nobody said; image: bzImage; modules: the directory with
    modules.builtin and kernel/, or None; pinprobe: the module built for it, or None; own: added by the user.
    """

    name: str
    image: Path
    release: str = ""
    modules: Path | None = None
    config: Path | None = None
    pinprobe: Path | None = None
    own: bool = False

    @property
    def text(self) -> str:
        """Its configuration, "" where it did not come with one."""
        return self.config.read_text(errors="replace") if self.config else ""


def _say(line: str) -> None:
    print(f"pinhold: {line}", file=sys.stderr, flush=True)


class Store:
    """root: the directory of all kernels; it is made when the first one is added."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or trust.cache_dir() / "kernels"

    def kernels(self) -> list[Kernel]:
        """All of them, by release and name; a directory without a whole record is none.

        Raises LabError where somebody else could have put something there.
        """
        self._check(self.root)
        found = [self._load(record.parent) for record in self.root.glob(f"*/{_RECORD}") if record.parent.name[0] != "."]
        return sorted((k for k in found if k is not None), key=lambda k: (k.own, numbers(k.release), k.name))

    def _load(self, folder: Path) -> Kernel | None:
        try:
            record = json.loads((folder / _RECORD).read_text())
            paths = {
                key: folder / record[key] if record.get(key) else None
                for key in ("image", "modules", "config", "pinprobe")
            }
            image = paths.pop("image")
            if image is None or not image.exists():
                return None
            for path in (folder / _RECORD, image, *paths.values()):
                self._check(path or folder)
            return Kernel(folder.name, image, record["release"], own=record["own"], **paths)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _check(self, path: Path) -> None:
        try:
            trust.check_cache(path)
        except trust.Untrusted as reason:
            raise LabError(f"{reason.filename}: {reason.strerror}") from None

    def find(self, wanted: str) -> Kernel:
        """By name, by series (the newest of it) or "newest".  Raises LabError."""
        found, near = self._named(wanted)
        if found is not None:
            return found
        hint = f"did you mean {near}? Or fetch it:" if near else "fetch it:"
        raise LabError(f"there is no kernel {wanted} here; {hint} pinhold kernels fetch {wanted}")

    def _named(self, wanted: str) -> tuple[Kernel | None, str | None]:
        """The kernel, or what the name may have been meant to be."""
        kernels = self.kernels()
        for kernel in kernels:
            if kernel.name == wanted:
                return kernel, None
        stock = [k for k in kernels if not k.own and wanted in (NEWEST, series(k.release))]
        if stock:
            return stock[-1], None
        names = [*dict.fromkeys(series(k.release) for k in kernels if not k.own), *(k.name for k in kernels)]
        return None, next(iter(get_close_matches(wanted, names, n=1)), None)

    def remove(self, wanted: str) -> Kernel:
        """Delete one.  Raises LabError."""
        kernel, near = self._named(wanted)
        if kernel is None:
            hint = f"did you mean {near}?" if near else "pinhold kernels list names those that are."
            raise LabError(f"there is no kernel {wanted} here; {hint}")
        with self.lock():
            doomed = self.root / f".removed-{kernel.name}-{os.getpid()}"
            os.rename(self.root / kernel.name, doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        return kernel

    @contextmanager
    def lock(self, say: Callable[[str], None] = _say) -> Iterator[None]:
        """One change at a time: waits for another one, and says for which process.

        What changes that were killed left behind is taken away first.
        """
        self._make()
        with open(self.root / ".lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                say(f"waiting for process {file.read(32).strip() or 'unknown'}, which is changing the kernels")
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            for left in [*self.root.glob(f"{_PARTIAL}*"), *self.root.glob(".removed-*")]:
                shutil.rmtree(left, ignore_errors=True)
            yield

    def _make(self) -> None:
        try:
            trust.cache_directory(self.root)
        except trust.Untrusted as reason:
            raise LabError(f"{reason.filename}: {reason.strerror}") from None
        except OSError as error:
            raise LabError(f"the kernels' directory {self.root} cannot be made: {error.strerror}") from None

    @contextmanager
    def adding(self, name: str, release: str, own: bool) -> Iterator[Adding]:
        """A directory to fill; the kernel appears when the block ends well, and nothing is left where it does not.

        A kernel of that name is replaced.  To be used under lock().
        """
        if not _NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for a kernel: letters, digits and . _ + - only")
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.root))
        try:
            adding = Adding(partial)
            yield adding
            self._publish(adding, name, release, own)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _publish(self, adding: Adding, name: str, release: str, own: bool) -> None:
        record = {"release": release, "own": own, **adding.paths}
        with open(adding.folder / _RECORD, "w") as file:
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        target = self.root / name
        old = self.root / f".removed-{name}-{os.getpid()}"
        with suppress(FileNotFoundError):
            os.rename(target, old)
        os.rename(adding.folder, target)
        shutil.rmtree(old, ignore_errors=True)


class Adding:
    """A kernel's directory before it is published.  paths: what the record names, relative to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, str] = {}

    def has(self, what: str, path: Path) -> None:
        """`what` ("image", "modules", "config", "pinprobe") is at `path`, which is in the directory or elsewhere."""
        inside = path.is_relative_to(self.folder)
        self.paths[what] = str(path.relative_to(self.folder) if inside else path.resolve())
