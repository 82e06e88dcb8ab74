"""The files of a tree that name a function of the API: found by name alone, in bounds, and without following links."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pinhold.audit.api import API, STEMS

LARGEST = 2 << 20
"""Bytes of a file: headers of registers are larger, sources that people write are not."""
DEEPEST = 40
MOST_FILES = 400_000
MOST_BYTES = 256 << 20
"""Of folders in each other, of files, and of what is read of those that name a function."""
NUMBERS = 64 << 10
"""Bytes of a header from which on it is a list of registers, where no statement is in it: a quarter of a kernel."""
TOLD = 50
"""Files from one word about progress to the next."""
KEPT_BYTES = 64 << 20
"""Of a tree that is no larger, everything stays in memory."""

ENDINGS = (".c", ".h", ".inc", ".cc", ".cpp")
_NO_CODE = frozenset({"Documentation", "tools", "scripts", "usr", "LICENSES"})
"""What a kernel's tree has beside the kernel."""


class NotReadable(Exception):
    """Nothing at that path can be audited; the message says why."""


@dataclass(slots=True)
class Tree:
    """root: the folder that paths begin in: of a part of a kernel's tree, that of the kernel.

    kernel: whether it is a kernel's tree; sources: path -> bytes, of files that name a function; left_out: sentences
    about what was not read; seen: files looked at.
    """

    root: Path
    kernel: bool = False
    sources: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    seen: int = 0
    _paths: list[str] = field(default_factory=list)
    _kept: dict[str, bytes] | None = field(default_factory=dict)
    _kept_bytes: int = 0
    _links: int = 0
    _headers: dict[str, list[str]] | None = None
    _folders: dict[str, list[str]] = field(default_factory=dict)
    _included: dict[tuple[str, str], tuple[str, bytes] | None] = field(default_factory=dict)
    _texts: dict[str, bytes | None] = field(default_factory=dict)
    _unread: dict[str, list[str]] = field(default_factory=dict)
    """By what the reason is."""

    def more(self, names: Sequence[str]) -> dict[str, bytes]:
        """The files of code, not among `sources` yet, that have one of these names; they are added there."""
        wanted = [name.encode() for name in names]
        whole = re.compile(rb"\b(?:" + b"|".join(map(re.escape, wanted)) + rb")\b")
        found = {}
        for path in self._paths:
            if path in self.sources or path.endswith(".h"):
                continue
            text = self._again(path)
            if text is not None and any(name in text for name in wanted) and whole.search(text):
                found[path] = text
        self.sources |= found
        return found

    def beside(self, path: str, word: str, most: int) -> dict[str, bytes]:
        """The other files of code in the folder of a file, not below it, that have a word; some of them at most."""
        if len(self._paths) != sum(map(len, self._folders.values())):
            self._folders = {}
            for one in self._paths:
                self._folders.setdefault(one.rpartition("/")[0], []).append(one)
        whole = re.compile(rb"\b" + re.escape(word.encode()) + rb"\b")
        found: dict[str, bytes] = {}
        for other in self._folders.get(path.rpartition("/")[0], ()):
            if other == path or other.endswith(".h") or len(found) >= most:
                continue
            text = self._again(other)
            if text is not None and whole.search(text):
                found[other] = text
        return found

    def header(self, includer: str, name: str) -> tuple[str, bytes] | None:
        """What a file includes, "x.h" or "<x.h", where the tree has it: path and text.  In a kernel's tree "" alone."""
        asked = os.path.dirname(includer), name
        if asked not in self._included:
            self._included[asked] = self._find_header(includer, name)
        return self._included[asked]

    def _find_header(self, includer: str, name: str) -> tuple[str, bytes] | None:
        angled = name.startswith("<")
        name = name.removeprefix("<")
        if (angled and self.kernel) or os.path.isabs(name) or not name.endswith(ENDINGS):
            return None
        beside = os.path.normpath(os.path.join(os.path.dirname(includer), name))
        for path in () if beside.startswith("..") else (beside,):
            if (text := self._header(path)) is not None:
                return path, text
        ending = f"/{os.path.normpath(name)}"
        same = [path for path in self._by_name().get(os.path.basename(name), ()) if f"/{path}".endswith(ending)]
        if not same:
            return None
        near = {path: len(os.path.commonpath([path, includer])) for path in same}
        (path, *more) = [path for path in same if near[path] == max(near.values())]
        text = None if more else self._header(path)
        return None if text is None else (path, text)

    def _by_name(self) -> dict[str, list[str]]:
        """The headers by the last part of their path."""
        if self._headers is None:
            self._headers = {}
            for path in self._paths:
                if path.endswith(".h"):
                    self._headers.setdefault(os.path.basename(path), []).append(path)
        return self._headers

    def _header(self, path: str) -> bytes | None:
        """The text of one header, read once; none that a link on its way leads to."""
        if path not in self._texts:
            text = self.sources.get(path)
            if text is None and os.path.realpath(self.root / path) == os.path.join(os.path.realpath(self.root), path):
                with suppress(OSError):
                    text = _bytes(f"{self.root}/{path}")
            self._texts[path] = text
        return self._texts[path]

    def _again(self, path: str) -> bytes | None:
        if self._kept is not None:
            return self._kept.get(path)
        with suppress(OSError):
            return _bytes(f"{self.root}/{path}")
        return None

    def add(self, path: str, always: bool) -> None:
        """Look at one file.  always: it was named itself."""
        self.seen += 1
        try:
            length, why = _fill(f"{self.root}/{path}"), "it is no ordinary file"
        except OSError as error:
            length, why = None, f"it cannot be read ({error.strerror})"
        if length is None or length > LARGEST:
            self._unread.setdefault(why if length is None else f"larger than {LARGEST >> 20} MB", []).append(path)
            return
        self._paths.append(path)
        numbers = length > NUMBERS and path.endswith(".h") and _BUFFER.find(b";", 0, length) < 0
        wanted = always or (not numbers and _named(_BUFFER, length))
        if wanted or self._kept is not None:
            text = bytes(memoryview(_BUFFER)[:length])
            if wanted:
                self.sources[path] = text
            self._keep(path, text)

    def _keep(self, path: str, text: bytes) -> None:
        if self._kept is not None:
            self._kept[path] = text
            self._kept_bytes += len(text)
            if self._kept_bytes > KEPT_BYTES:
                self._kept = None

    def sentences(self) -> None:
        """Say in left_out what was not read."""
        for why, paths in self._unread.items():
            more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
            self.left_out.append(f"not read: {paths[0]}{more}: {why}")
        if self._links:
            self.left_out.append(f"{self._links} symbolic links to sources or folders were not followed")


def find(paths: Sequence[str], progress: Callable[[int], None] = lambda files: None) -> Tree:
    """The sources of folders and files, as one tree.  Raises NotReadable."""
    for path in paths:
        try:
            os.stat(path)
        except FileNotFoundError:
            raise NotReadable(f"no file or folder {path!r}: name a tree of sources, or files of C") from None
        except OSError as error:
            raise NotReadable(f"cannot read {path!r}: {error.strerror or error}") from None
    paths = [os.path.realpath(path) for path in paths]  # a link that is named itself is what it points to
    tree = _tree(paths)
    named = list(dict.fromkeys(paths))
    for path in named:
        if any(path.startswith(f"{other}{os.sep}") for other in named):
            continue
        inside = os.path.relpath(path, tree.root)
        if os.path.isdir(path):
            _walk(tree, "" if inside == "." else inside, progress)
        else:
            tree.add(inside, True)
    tree.sentences()
    if not tree.sources and not any(map(os.path.isdir, paths)):
        raise NotReadable(tree.left_out[0] if tree.left_out else f"{paths[0]}: it cannot be read")
    return tree


def _tree(paths: Sequence[str]) -> Tree:
    """Of paths in a kernel's tree, that tree; of others, the folder that has them all."""
    folders = [path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)) for path in paths]
    kernels = {kernel_above(folder) for folder in folders}
    if len(kernels) > 1:
        raise NotReadable("these paths are not of one tree: name those of one, or two folders, which are compared")
    kernel = kernels.pop()
    return Tree(kernel or Path(os.path.commonpath(list(map(os.path.abspath, folders)))), kernel=kernel is not None)


def kernel_above(folder: str) -> Path | None:
    """The root of the kernel's tree that a folder is, or is in."""
    path = Path(os.path.abspath(folder))
    for one in (path, *path.parents[:DEEPEST]):
        if (one / "Kconfig").is_file() and (one / "mm").is_dir() and release_of(one):
            return one
    return None


def _walk(tree: Tree, folder: str, progress: Callable[[int], None]) -> None:
    held = 0
    for path in _paths(tree, folder, 0):
        before = len(tree.sources)
        tree.add(path, False)
        if tree.seen % TOLD == 0:
            progress(tree.seen)
        if len(tree.sources) > before:
            held += len(tree.sources[path])
        if tree.seen >= MOST_FILES or held > MOST_BYTES:
            tree.left_out.append(f"the tree was left at {path}: it is larger than what is read of one")
            break


def _paths(tree: Tree, folder: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(f"{tree.root}/{folder}") as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        tree.left_out.append(f"not read: {folder or '.'}: the folder cannot be opened")
        return
    for entry in listed:
        path = f"{folder}/{entry.name}" if folder else entry.name
        source = entry.name.endswith(ENDINGS)
        if entry.is_symlink():
            tree._links += source or os.path.isdir(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            if (tree.kernel and path in _NO_CODE) or entry.name.startswith("."):
                continue
            if depth >= DEEPEST:
                tree.left_out.append(f"not read: {path}: {DEEPEST} folders deep")
                continue
            yield from _paths(tree, path, depth + 1)
        elif source:
            yield path


_NAMES = re.compile(rb"\b(?:" + b"|".join(name.encode() for name in API) + rb")\b")
_RARE = b"vg"
"""Letters: what begins with one is looked for from one such letter to the next, and most are not looked at."""


def _from_letter(letter: bytes, stems: Sequence[bytes]) -> re.Pattern[bytes]:
    """Finds the stems, each from where it has that letter first."""
    ways = (re.escape(stem.partition(letter)[2]) + b"(?<=" + re.escape(stem) + b")" for stem in stems)
    return re.compile(letter + b"(?:" + b"|".join(ways) + b")")


def _screens() -> Iterator[re.Pattern[bytes]]:
    """Of a file that names a function of the API one at least finds something."""
    left = list(STEMS)
    for letter in (_RARE[:1], _RARE[1:]):
        yield _from_letter(letter, [stem for stem in left if letter in stem])
        left = [stem for stem in left if letter not in stem]
    yield from map(re.compile, map(re.escape, left))


_SCREENS = tuple(_screens())


def _named(text: bytes | bytearray, length: int) -> bool:
    """Whether a function of the API is named in the first bytes of it."""
    for screen in _SCREENS:
        if screen.search(text, 0, length):
            return _NAMES.search(text, 0, length) is not None
    return False


_BUFFER = bytearray(LARGEST + 1)
"""What is read of a file comes here first: most of it is looked at once and not kept."""


def _fill(path: str) -> int | None:
    """Read a file into _BUFFER: how long it is, more than LARGEST for what is longer; None for what is no file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > LARGEST:
            return LARGEST + 1
        length = os.readv(descriptor, [_BUFFER])
        while length != status.st_size and (more := os.readv(descriptor, [memoryview(_BUFFER)[length:]])):
            length += more
        return length
    finally:
        os.close(descriptor)


def _bytes(path: str) -> bytes | None:
    """What a file has; None for what is no file, or longer than LARGEST."""
    length = _fill(path)
    return None if length is None or length > LARGEST else bytes(memoryview(_BUFFER)[:length])


_VERSION = re.compile(rb"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d{1,5})[ \t]*$", re.M)


def release_of(root: Path) -> str:
    """The release that a kernel's Makefile says, "" for other trees."""
    try:
        text = _bytes(f"{root}/Makefile") or b""
    except OSError:
        return ""
    found = {name.decode(): number.decode() for name, number in _VERSION.findall(text[: 64 << 10])}
    if set(found) != {"VERSION", "PATCHLEVEL", "SUBLEVEL"}:
        return ""
    last = "" if found["SUBLEVEL"] == "0" else f".{found['SUBLEVEL']}"
    return f"{found['VERSION']}.{found['PATCHLEVEL']}{last}"
