"""Where a command's chart goes: a still image that needs nothing, or a page."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pinhold.commands.output import output
from pinhold.commands.pages import need_jinja

if TYPE_CHECKING:
    from pinhold.pictures.chart import Chart


@contextmanager
def chart_file(options: Namespace) -> Iterator[Callable[[Callable[[], Chart]], None]]:
    """Gives what makes and draws a chart into the file of --svg or --html, and says so; where neither is asked for, it
    does nothing.

    Raises NothingToRun where jinja2 is missing, before anything is computed.
    """
    path = options.html or options.svg
    if path is None:
        yield lambda _: None
        return
    draw = _page() if options.html else _still()
    with output(path) as out:

        def write(make: Callable[[], Chart]) -> None:
            out.write(draw(make()))
            print(path)

        yield write


def _page() -> Callable[[Chart], str]:
    need_jinja("; --svg needs nothing")
    from pinhold.pictures.chartpage import chart_page

    return chart_page


def _still() -> Callable[[Chart], str]:
    from pinhold.pictures.chartstill import chart_still

    return chart_still
