"""--html FILE: what a command has run as a page: one test step by step, or several as a matrix with a page for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from pinhold.commands import NothingToRun, WriteFailed
from pinhold.commands.output import output
from pinhold.commands.runs import Progress
from pinhold.report.results import TargetRun
from pinhold.scenario.runfile import RunFile

Draw = Callable[[Sequence[TargetRun], bool], None]
"""Draws results; whether they are all that there was to be."""


def need_jinja(instead: str = "") -> None:
    """Raises NothingToRun where pages cannot be made.  instead: what needs nothing."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise NothingToRun(f"a page needs jinja2: pip install 'pinhold[report]'{instead}") from None


@contextmanager
def page_at(path: str | None, told: TextIO | None = None) -> Iterator[Draw]:
    """What draws the page; nothing where no path is given.  At the end the path is printed, if there is a page.

    The file is made before anything is run.  Raises NothingToRun where jinja2 is missing, UsageError where the file
    cannot be made, WriteFailed.
    """
    if path is None:
        yield lambda runs, complete: None
        return
    need_jinja()
    drawn = False

    def draw(runs: Sequence[TargetRun], complete: bool) -> None:
        nonlocal drawn
        from pinhold.report.jsonreport import as_run_file

        if any(run.results for run in runs):
            stream.write(page_of(as_run_file(runs, complete), Path(path)))
            drawn = True

    with output(path) as stream:
        try:
            yield draw
        finally:
            if drawn:
                print(path, file=told or sys.stdout)


def page_of(file: RunFile, path: Path) -> str:
    """The timeline of the one test, or the matrix of several, whose own pages are written beside it."""
    from pinhold.pictures.matrix import matrix
    from pinhold.pictures.page import page

    names = list(dict.fromkeys(run.name for run in file.runs))
    if len(names) == 1:
        return page(file, names[0])
    folder = path.with_name(f"{path.stem}-tests")
    write_tests(file, folder, f"../{quote(path.name)}")
    return matrix(file, folder.name)


def write_tests(file: RunFile, folder: Path, back: str) -> None:
    """A page for each test.  back: the matrix, seen from there."""
    from pinhold.pictures.matrix import page_name
    from pinhold.pictures.page import page

    names = list(dict.fromkeys(run.name for run in file.runs))
    progress = Progress("pages", len(names), "pages")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for done, name in enumerate(names, 1):
            (folder / page_name(name)).write_text(page(file, name, back=back), "utf-8")
            progress.at(done)
    except OSError as error:
        raise WriteFailed(f"cannot write to {folder}: {error.strerror or error}") from None
    finally:
        progress.clear()
