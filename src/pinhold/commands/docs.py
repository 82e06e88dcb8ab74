"""`pinhold docs`: the pages of the book, as they are written, which come with pinhold: listed, or one printed."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import pinhold
from pinhold.commands import UsageError, nearest
from pinhold.report import terminal

_WIDTH = 100
_NAME = 34
"""Columns: of a line where no terminal says otherwise, and of a name."""


def main(options: Namespace) -> int:
    """List them, or print one."""
    found = pages()
    if options.page is None:
        for name, file in found.items():
            line = f"{name:{_NAME}}  {_title(file)}"
            print("\n".join(textwrap.wrap(line, terminal.width(_WIDTH), subsequent_indent=" " * (_NAME + 2))))
        return 0
    page = found.get(options.page.removesuffix(".md").removeprefix("docs/"))
    if page is None:
        raise UsageError(f"no page {options.page!r}: {nearest(options.page, list(found), 'pinhold docs')}")
    sys.stdout.write(page.read_text(encoding="utf-8"))
    return 0


def pages() -> Mapping[str, Path]:
    """By their names, such as howto/bisect."""
    package = Path(pinhold.__file__).resolve().parent
    folder = next(each for each in (package / "docs", package.parents[1] / "docs") if each.is_dir())  # of a checkout
    files = sorted(file for file in folder.rglob("*.md") if "_build" not in file.parts)
    return {str(file.relative_to(folder).with_suffix("")): file for file in files}


def _title(file: Path) -> str:
    """Its first heading."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), "")
