"""A search of the explorer in HTML: beside the timeline of what it found, or as a page by itself."""

from __future__ import annotations

from markupsafe import Markup

from pinhold.pictures.chartpage import TABLE, chart_table
from pinhold.pictures.depths import depths
from pinhold.pictures.searched import account, coverage, levels, title
from pinhold.pictures.sheet import part, render, style_of
from pinhold.scenario.ran import Search
from pinhold.scenario.runfile import RunFile

PART = "searchpart"


def search_part(search: Search) -> Markup:
    """To be put into a page, whose style has search_style()."""
    figure = chart_table(depths("New states by depth", [levels(search)]))
    return part(
        PART,
        {
            "title": title(search),
            "account": account(search),
            "search": search,
            "figure": figure,
            "coverage": list(coverage(search)),
        },
    )


def search_style() -> str:
    return style_of(TABLE)


def search_page(file: RunFile) -> str:
    """The searches of a run file that has no run.  Raises ImportError where jinja2 is missing."""
    parts = Markup("").join(search_part(search) for search in file.searches)
    values = {"version": file.pinhold, "chart": {"title": "What was searched"}, "table": parts}
    return render("chart", search_style(), values)
