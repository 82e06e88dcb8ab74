"""What others could have changed: the programs that pinhold starts, its caches, and the way to a file that it writes.

Trusted is what this user and root alone can change: by the owner and the permissions of the thing itself, and of every
directory and link on the way to it.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_MOST_LINKS = 40
"""As the kernel's own limit."""
_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SEARCH = stat.S_IXGRP | stat.S_IXOTH
_ALL_IDS = 2**32 - 1


class NoProgram(Exception):
    """A program that cannot be started; the message goes on after "needs": it begins with its name."""


class Untrusted(PermissionError):
    """A place that others could have prepared: `filename` is the place, `strerror` the reason and the next step."""

    def __init__(self, place: str | Path, why: str) -> None:
        super().__init__(errno.EPERM, why, str(place))


# Who may change what


@cache
def _own() -> frozenset[int]:
    """This user and root; in a user namespace also those outside of it, of whom it has no names: root is among them."""
    own = {0, os.geteuid()}
    with suppress(OSError, ValueError):
        lines = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
        ranges = [range(int(first), int(first) + int(count)) for first, _, count in lines]
        nameless = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
        if sum(map(len, ranges)) < _ALL_IDS and not any(nameless in known for known in ranges):
            own.add(nameless)
    return frozenset(own)


def _private(group: int, owner: int) -> bool:
    """Whether the group is that of its owner alone, as many systems give one to each user."""
    try:
        found, name = grp.getgrgid(group), pwd.getpwuid(owner).pw_name
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def _for_all(status: os.stat_result) -> bool:
    """A directory like /tmp: everybody may put things into it, and only owners take theirs away."""
    return stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX) and bool(status.st_mode & _WRITE)


def _writable(status: os.stat_result) -> bool:
    """Whether others than the owner may write to it."""
    mode = status.st_mode & _WRITE
    return bool(mode & stat.S_IWOTH) or bool(mode and not _private(status.st_gid, status.st_uid))


def _way(path: str | Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every directory, link and file that one comes by from the root to `path`, as far as it is there.

    Raises OSError.
    """
    here, links = "/", 0
    left = os.path.join(os.getcwd(), path).split("/")[::-1]
    yield here, os.lstat(here)
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        place = os.path.join(here, name)
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            return
        yield place, status
        if not stat.S_ISLNK(status.st_mode):
            here = place
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = os.readlink(place)
        here = "/" if target.startswith("/") else here
        left += target.split("/")[::-1]


def foreign(path: str | Path) -> str | None:
    """Who else could change what is at `path`, or put something there, in words; None: nobody.  Raises OSError."""
    shelter = None
    last = None
    for place, status in _way(path):
        last = (place, status)
        if status.st_uid not in _own():
            return f"{place} belongs to {_user(status.st_uid)}"
        if stat.S_ISLNK(status.st_mode) or (shelter and place.startswith(shelter)):
            continue
        if stat.S_ISDIR(status.st_mode) and not status.st_mode & _SEARCH:
            shelter = f"{place.rstrip('/')}/"  # nobody else comes to what is in it
        elif _writable(status) and not _for_all(status):
            return f"others may write to {place}"
    if last and _for_all(last[1]):
        return f"everybody may write to {last[0]}"
    return None


# Programs, and functions


def _folders() -> list[str]:
    """The directories of PATH; a relative one would be whatever the current directory has."""
    return [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]


def _untrusted_for_root(path: str) -> str | None:
    """Ordinary users run what their PATH has."""
    return foreign(path) if os.geteuid() == 0 else None


def program(name: str) -> str:
    """The file of a program, by PATH without relative entries; as root only where nobody else can change it.

    A name with a slash is the file that its user means, and stays.  Raises NoProgram.
    """
    if os.sep in name:
        return name
    refused = None
    for folder in _folders():
        file = os.path.join(folder, name)
        if os.path.isfile(file) and os.access(file, os.X_OK):
            why = _untrusted_for_root(file)
            if why is None:
                return file
            refused = refused or f"{name}, and root does not run {file}: {why}"
    raise NoProgram(refused or f"{name}, which is not here")


def environment(**more: str) -> dict[str, str]:
    """For programs that start others: PATH has only directories from which program() would take them."""
    folders = [folder for folder in _folders() if _untrusted_for_root(folder) is None]
    return os.environ | {"PATH": os.pathsep.join(folders) or os.defpath} | more


def check_code(path: str) -> None:
    """Of a file of Python that a user names.  Raises Untrusted where root would take what others can change."""
    if why := _untrusted_for_root(path):
        raise Untrusted(path, f"root takes no functions from it, as {why}")


# Caches


def cache_dir() -> Path:
    """Where this user's caches are (XDG_CACHE_HOME), pinhold's own in it."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "pinhold"


def check_cache(path: Path) -> None:
    """Raises Untrusted where others could have filled that part of a cache."""
    why = foreign(path)
    if why:
        raise Untrusted(
            path, f"it is not used, as {why}; XDG_CACHE_HOME chooses another place, which nobody else can change"
        )


def cache_directory(path: Path) -> Path:
    """The same path, a directory that is made for this user alone where it is missing.  Raises Untrusted, OSError."""
    check_cache(path)
    for folder in reversed([path, *path.parents]):
        with suppress(FileExistsError):
            folder.mkdir(0o700)
    check_cache(path)
    return path


# Files that the user names


def create(path: str) -> int:
    """A descriptor of that file, made or emptied, to be written to.  Raises Untrusted, OSError.

    No link that others could have put there is followed, and in a directory like /tmp nobody else's file is written to.
    """
    _refuse_planted_links(path)
    real, follow = os.path.realpath(path), os.O_NOFOLLOW
    if os.path.exists(path) and not os.path.exists(real):  # such as /dev/stdout of a pipe, which has no name
        real, follow = path, 0
    shared = _for_all(os.stat(os.path.dirname(real) or "."))
    if shared:
        with suppress(FileNotFoundError):
            _refuse_others_file(real, os.lstat(real))
    descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | follow, 0o666)
    try:
        status = os.fstat(descriptor)
        if shared:
            _refuse_others_file(real, status)
        if stat.S_ISREG(status.st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_planted_links(path: str) -> None:
    for place, status in _way(path):
        if not stat.S_ISLNK(status.st_mode):
            continue
        folder = os.path.dirname(place)
        if _for_all(os.lstat(folder)):
            raise Untrusted(place, "it is a symbolic link in a directory that everybody may write to: name its file")
        why = _untrusted_for_root(folder)
        if why:
            raise Untrusted(place, f"root does not follow this symbolic link, as {why}: name its file")


def _refuse_others_file(path: str, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
        raise Untrusted(path, "it was put there by somebody else, in a directory that everybody may write to")
