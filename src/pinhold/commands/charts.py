"""Where a command's chart goes: a still image that needs nothing, or a page."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from pinhold.commands import NothingToRun, UsageError
from pinhold.commands.output import output

if TYPE_CHECKING:
    from pinhold.pictures.chart import Chart


def drawn(options: Namespace, make: Callable[[], Chart]) -> int:
    """Write the chart to the file of --svg or --html, and print its name.

    Raises NothingToRun where jinja2 is missing, before anything is computed.
    """
    if options.svg and options.html:
        raise UsageError("--svg or --html: one at a time")
    draw = _page() if options.html else _still()
    path = options.html or options.svg
    with output(path) as out:
        out.write(draw(make()))
    print(path)
    return 0


def _page() -> Callable[[Chart], str]:
    try:
        from pinhold.pictures.chartpage import chart_page
    except ImportError:
        raise NothingToRun("a page needs jinja2: pip install 'pinhold[report]'; --svg needs nothing") from None
    return chart_page


def _still() -> Callable[[Chart], str]:
    from pinhold.pictures.chartstill import chart_still

    return chart_still
