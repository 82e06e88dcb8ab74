"""A poster as one HTML file: the sheet, to be looked at and printed, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pinhold import __version__
from pinhold.pictures.poster import HOW, Said
from pinhold.pictures.sheet import render
from pinhold.pictures.story import Story
from pinhold.pictures.words import account, changes, merged, ran, step_words


def poster_page(stories: Sequence[Story], words: Sequence[Said], sheet: str) -> str:
    """sheet: the poster's SVG.  Raises ImportError where jinja2 is missing."""
    told = [one for one in merged(stories) if ran(one)]
    longest = max((one.rows for one in told), key=len)
    rows = [
        {
            "said": words[row.index] if row.index < len(words) else Said("", ""),
            "step": step_words(row),
            "changes": [
                (one.run.target, "; ".join(changes(one, row.index)) or "nothing changes")
                for one in told
                if row.index < len(one.rows)
            ],
        }
        for row in longest
    ]
    title = told[0].run.text.partition("\n")[0].removeprefix("scenario ")
    values = {"title": title, "how": HOW, "sheet": Markup(sheet), "rows": rows, "accounts": list(map(account, told))}
    return render("poster", "", {"version": __version__, **values})
