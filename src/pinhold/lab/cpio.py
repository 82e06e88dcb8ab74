"""The archive that the kernel unpacks as its first file system: cpio, "newc", uncompressed."""

from __future__ import annotations

import io
import stat


class Cpio:
    """Entries in order; a parent directory is made before its first entry, and a name is entered once."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._names: set[str] = set()
        self._inode = 0

    def directory(self, name: str) -> None:
        """A directory, and those that it is in."""
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o755) -> None:
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """A character device."""
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self) -> bytes:
        """The whole archive."""
        self._write("TRAILER!!!", 0, b"", (0, 0))
        return self._out.getvalue()

    def _entry(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        name = name.strip("/")
        if name in self._names or not name:
            return
        self.directory(name.rpartition("/")[0])
        self._names.add(name)
        self._write(name, mode, data, device)

    def _write(self, name: str, mode: int, data: bytes, device: tuple[int, int]) -> None:
        self._inode += 1
        path = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(path), 0)
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self) -> None:
        self._out.write(bytes(-self._out.tell() % 4))
