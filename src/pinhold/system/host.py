"""The machine under pinhold: every look at its settings, and every change, goes through one of these methods.

Settings are named by their path below the root, for example "sys/kernel/mm/ksm/run".
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat

from pinhold.system import swapfile
from pinhold.targets.live import syscalls

STATE = "/var/lib/pinhold"
"""Where the journal, the lock and the swap file are."""

_CHOICE = re.compile(r"\[([^\]]+)\]")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Busy(Exception):
    """Another pinhold has the lock; the message says which."""


class Host:
    """root: where /proc and /sys are; state: the directory for what pinhold has to remember.

    Methods raise OSError with the kernel's errno.
    """

    def __init__(self, root: str = "/", state: str = STATE) -> None:
        self.root = root
        self.state = state

    def _path(self, setting: str) -> str:
        return os.path.join(self.root, setting)

    # Looking

    def text(self, setting: str) -> str:
        """The content of a file below the root."""
        with open(self._path(setting), encoding="utf-8", errors="replace") as file:
            return file.read()

    def value(self, setting: str) -> str:
        """The value of a setting; of a list of choices the chosen one, as in "always [madvise] never"."""
        text = self.text(setting).strip()
        chosen = _CHOICE.search(text)
        return chosen[1] if chosen else text

    def number(self, setting: str) -> int:
        """The value of a setting that is a number."""
        return int(self.value(setting))

    def has(self, setting: str) -> bool:
        return os.path.exists(self._path(setting))

    def names(self, folder: str) -> list[str]:
        """What a directory below the root has; nothing where it cannot be read."""
        try:
            return sorted(os.listdir(self._path(folder)))
        except OSError:
            return []

    def meminfo(self, name: str) -> int:
        """A line of /proc/meminfo, in KiB; 0 where there is none."""
        match = re.search(rf"^{re.escape(name)}:\s+(\d+)", self.text("proc/meminfo"), re.MULTILINE)
        return int(match[1]) if match else 0

    def boot(self) -> str:
        """The id of this boot."""
        return self.text("proc/sys/kernel/random/boot_id").strip()

    def swaps(self) -> dict[str, str]:
        """The active swap areas: path -> "file" or "partition", which is any block device."""
        lines = [line.split() for line in self.text("proc/swaps").splitlines()[1:]]
        return {_OCTAL.sub(lambda match: chr(int(match[1], 8)), line[0]): line[1] for line in lines if line}

    def backing_file(self, device: str) -> str | None:
        """The file behind a loop device such as /dev/loop0."""
        try:
            return self.text(f"sys/block/{os.path.basename(device)}/loop/backing_file").strip()
        except OSError:
            return None

    # Changing

    def write(self, setting: str, value: str) -> None:
        """Write a setting, in one write()."""
        fd = os.open(self._path(setting), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    def make_swap_file(self, path: str, size: int) -> None:
        """A fresh file of `size` bytes, all on disk, with the header of a swap area."""
        swapfile.make(path, size)

    def swap_on(self, path: str) -> None:
        syscalls.swapon(path)

    def swap_on_loop(self, path: str) -> None:
        """Through a loop device, which goes away by itself with its last user."""
        with swapfile.loop_device(path) as device:
            syscalls.swapon(device)

    def swap_off(self, path: str) -> None:
        """Takes as long as it takes to bring every page back into memory."""
        syscalls.swapoff(path)

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    # Remembering

    def prepare_state(self) -> None:
        """Make the state directory, for its owner alone.  Raises OSError, also where it is somebody else's."""
        os.makedirs(self.state, 0o700, exist_ok=True)
        found = os.lstat(self.state)
        if found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"it belongs to user {found.st_uid}", self.state)
        if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "it is not a directory that its owner alone can write to", self.state)

    def lock(self) -> int:
        """The descriptor that holds the lock, until it is closed.  Raises Busy, OSError."""
        self.prepare_state()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(os.path.join(self.state, "lock"), flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            if isinstance(error, BlockingIOError):
                raise Busy(f"another pinhold (process {holder or 'unknown'}) has changed this system") from None
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd

    def create(self, path: str) -> int:
        """A new file to append to; its directory entry is on disk when this returns."""
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._sync_folder(path)
        return fd

    def append(self, fd: int, data: bytes) -> None:
        """On disk when this returns; nothing of it is there where it fails."""
        size = os.fstat(fd).st_size
        try:
            while data:
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise

    def forget(self, path: str) -> None:
        """Remove a file; the directory is on disk when this returns."""
        self.remove(path)
        self._sync_folder(path)

    def _sync_folder(self, path: str) -> None:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
