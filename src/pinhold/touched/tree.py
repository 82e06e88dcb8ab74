"""The kernel's source tree, as far as it tells in which function a line is, and who calls a function."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from pinhold.touched.text import uses

_MOST = 4 << 20
"""Bytes of a file."""

BESIDE = ("kernel/fork.c", "fs/proc/task_mmu.c", "fs/userfaultfd.c", "fs/hugetlbfs/inode.c")
HEADERS = ("mm", "mm_inline", "rmap", "swapops", "huge_mm", "hugetlb", "pgtable", "pagemap", "ksm", "userfaultfd_k")
"""Where those who call functions of mm/ are looked for, beside mm/ and the files that are changed."""


class Tree:
    """folder: its top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._also: list[str] = []

    def lines(self, path: str) -> list[str] | None:
        """Those of a file; None where the tree has none of that name."""
        text = self._text(path)
        if text is None:
            return None
        if path not in self._also:
            self._also.append(path)
        lines = text.split("\n")
        return lines[:-1] if lines[-1] == "" else lines

    def _text(self, path: str) -> str | None:
        """None, too, for what lies outside of the tree, and for what is no ordinary file."""
        inside = os.path.realpath(self.folder)
        place = os.path.realpath(os.path.join(inside, path))
        if not place.startswith(f"{inside}{os.sep}") or not os.path.isfile(place):
            return None
        try:
            with open(place, "rb") as file:
                data = file.read(_MOST + 1)
        except OSError:
            return None
        return None if len(data) > _MOST else data.decode("utf-8", "replace").replace("\r\n", "\n")

    def above(self, function: str, known: Collection[str]) -> list[str]:
        """The nearest of the known functions that come to call this one, by whatever calls it."""
        found: dict[str, None] = {}
        seen, waiting = {function}, [function]
        while waiting:
            for caller in self._users.get(waiting.pop(0), ()):
                if caller in seen:
                    continue
                seen.add(caller)
                if caller in known:
                    found[caller] = None
                else:
                    waiting.append(caller)
        return list(found)

    @cached_property
    def _users(self) -> Mapping[str, Iterable[str]]:
        """Of each function those that use it."""
        found: dict[str, dict[str, None]] = {}
        files = [f"mm/{name}" for name in sorted(self._names("mm")) if name.endswith((".c", ".h"))]
        headers = [f"include/linux/{name}.h" for name in HEADERS]
        for path in dict.fromkeys([*files, *BESIDE, *headers, *self._also]):
            for place, used in uses(self._text(path) or "").items():
                for name in used:
                    found.setdefault(name, {})[place] = None
        return found

    def _names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.folder / folder)
        except OSError:
            return []
