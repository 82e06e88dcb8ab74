"""A chart as one HTML file: a table that is picture and data at once, for eyes, screen readers, phones and print."""

from __future__ import annotations

from markupsafe import Markup

from pinhold import __version__
from pinhold.pictures.chart import Chart
from pinhold.pictures.sheet import part, render, style_of

TABLE = "charttable"
"""The template of the table, and its style sheet."""


def chart_page(chart: Chart) -> str:
    """The page.  Raises ImportError where jinja2 is missing."""
    return render("chart", style_of(TABLE), {"version": __version__, "chart": chart, "table": chart_table(chart)})


def chart_table(chart: Chart) -> Markup:
    """The table alone, to be put into another page."""
    return part(TABLE, {"chart": chart})
