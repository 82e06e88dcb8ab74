"""The `console` blocks of the documents: commands with what they print, run again in the order of their page.

`$ pinhold …` is run; `$ echo $?` is the exit status of the last one; `$ cat FILE` shows a file that is written
so, unless a command before wrote it.  A line `…` stands for lines that are left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pinhold.cli import main

ROOT = Path(__file__).parents[2]
LEFT_OUT = "…"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A line behind `$ `, and the lines below it."""

    line: str
    output: str


def documents() -> list[Path]:
    """Every page that may show commands."""
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    return sorted(page for page in pages if "_build" not in page.parts)


def commands(block: str) -> Iterator[Command]:
    """Those of one block."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


class Console:
    """What a reader has who types the commands of a page, in a fresh directory with the project's examples."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.status = 0
        self._capture = capture
        (folder / "examples").symlink_to(ROOT / "examples")

    def run(self, command: Command) -> str:
        """What it prints."""
        match shlex.split(command.line):
            case ["pinhold", *words]:
                self._capture.readouterr()
                self.status = main(words)
                printed = self._capture.readouterr()
                return printed.out + printed.err
            case ["echo", "$?"]:
                return f"{self.status}\n"
            case ["cat", name]:
                file = self.folder / name
                if not file.exists():
                    file.write_text(command.output, encoding="utf-8")
                return file.read_text(encoding="utf-8")
        raise AssertionError(f"no document's command: {command.line}")


def agrees(said: str, printed: str) -> bool:
    """Whether it is printed so, but for what is left out and for times, which differ."""
    parts = [re.escape(_timeless(part)) for part in re.split(rf"^{LEFT_OUT}\n", said, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*?".join(parts), _timeless(printed)) is not None


def _timeless(text: str) -> str:
    return re.sub(r'\b\d+\.\d+ s\b|(?<=time=")\d+\.\d+', "0.0", text)
