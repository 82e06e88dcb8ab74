"""Progress lines on the terminal: one for each thing that runs at the moment."""

from __future__ import annotations

import shutil
import sys
import threading

from pinhold.report import terminal


class Board:
    """The progress lines of what runs at once, on a terminal only; the oldest stands on top."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, str] = {}
        self._drawn = 0

    def show(self, name: str, line: str) -> None:
        """Set or replace the line of that name."""
        if terminal.moves(sys.stderr):
            with self._lock:
                self._lines[name] = line
                self._draw()

    def clear(self, name: str) -> None:
        """Take its line away."""
        with self._lock:
            if self._lines.pop(name, None) is not None:
                self._draw()

    def _draw(self) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        room = shutil.get_terminal_size().columns - 1  # a line that goes on in the next one would be drawn again below
        lines = "".join(f"\x1b[K{line[:room]}\n" for line in self._lines.values())
        sys.stderr.write(f"\r{up}\x1b[J{lines}")
        sys.stderr.flush()
        self._drawn = len(self._lines)


BOARD = Board()
