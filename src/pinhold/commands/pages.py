"""--html FILE: what a command has run as a page: one test step by step, or several as a matrix with a page for each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from pinhold import trust
from pinhold.commands import NothingToRun, WriteFailed
from pinhold.commands.output import output
from pinhold.commands.runs import Progress
from pinhold.pictures.chart import Chart
from pinhold.report.results import TargetRun
from pinhold.scenario.runfile import RunFile


class Page:
    """The page that was asked for; None: none was, and nothing is drawn.  drawn: whether it has something."""

    def __init__(self, path: str | None, stream: TextIO | None = None) -> None:
        self._path = path
        self._stream = stream
        self.drawn = False

    def draw(self, runs: Sequence[TargetRun], complete: bool, chart: Chart | None = None) -> None:
        """Results; complete: that is all; chart: what they come to, above the matrix."""
        if self._path is not None and any(run.results for run in runs):
            from pinhold.report.jsonreport import as_run_file

            self.draw_file(as_run_file(runs, complete), chart)

    def draw_file(self, file: RunFile, chart: Chart | None = None) -> None:
        """What a run file has."""
        if self._path is not None and self._stream is not None:
            self._stream.write(page_of(file, Path(self._path), chart))
            self.drawn = True


def need_jinja(instead: str = "") -> None:
    """Raises NothingToRun where pages cannot be made.  instead: what needs nothing."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise NothingToRun(f"a page needs jinja2: pip install 'pinhold[report]'{instead}") from None


@contextmanager
def page_at(path: str | None, told: TextIO | None = None) -> Iterator[Page]:
    """The page to draw.  At the end its path is printed, if there is something on it.

    The file is made before anything is run.  Raises NothingToRun where jinja2 is missing, UsageError where the file
    cannot be made, WriteFailed.
    """
    if path is None:
        yield Page(None)
        return
    need_jinja()
    with output(path) as stream:
        page = Page(path, stream)
        try:
            yield page
        finally:
            if page.drawn:
                print(path, file=told or sys.stdout)


def page_of(file: RunFile, path: Path, chart: Chart | None = None) -> str:
    """The timeline of the one test, or the matrix of several, whose own pages are written beside it; or searches."""
    from pinhold.pictures.matrix import matrix
    from pinhold.pictures.page import page
    from pinhold.pictures.searchpage import search_page

    names = list(dict.fromkeys(run.name for run in file.runs))
    if not names:
        return search_page(file)
    if len(names) == 1:
        return page(file, names[0])
    folder = path.with_name(f"{path.stem}-tests")
    write_tests(file, folder, f"../{quote(path.name)}")
    return matrix(file, folder.name, chart)


def write_tests(file: RunFile, folder: Path, back: str) -> None:
    """A page for each test.  back: the matrix, seen from there."""
    from pinhold.pictures.matrix import page_name
    from pinhold.pictures.page import page

    names = list(dict.fromkeys(run.name for run in file.runs))
    progress = Progress("pages", len(names), "pages")

    def pages() -> Iterator[tuple[str, str]]:
        for done, name in enumerate(names, 1):
            yield page_name(name), page(file, name, back=back)
            progress.at(done)

    try:
        write_files(folder, pages())
    finally:
        progress.clear()


def write_files(folder: Path, files: Iterable[tuple[str, str]]) -> None:
    """Names and texts, into a directory that is made if it is not there; as trust.create() does, no link of others is
    followed.  Raises WriteFailed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files:
            with open(trust.create(str(folder / name)), "w", encoding="utf-8") as stream:
                stream.write(text)
    except trust.Untrusted as reason:
        raise WriteFailed(f"cannot write to {folder}: {reason.filename}: {reason.strerror}") from None
    except OSError as error:
        raise WriteFailed(f"cannot write to {folder}: {error.strerror or error}") from None
