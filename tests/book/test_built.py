"""The book as `make docs` has built it."""

import re
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[2] / "docs" / "_build"

pytestmark = pytest.mark.skipif(not (BUILT / "html").exists(), reason="the book is not built: make docs")


def pages() -> list[Path]:
    """Of the book, without what Sphinx brings along."""
    return [page for page in (BUILT / "html").rglob("*.html") if "_static" not in page.parts]


def test_no_page_asks_a_network_for_anything() -> None:
    """Scripts, styles, images and fonts are files beside it."""
    loaded = [
        (page.name, place)
        for page in pages()
        for tag in re.findall(r"<(?:script|img|link|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in tag
        for place in re.findall(r"(?:src|href)=\"([^\"]*)\"", tag)
        if "//" in place
    ]
    assert loaded == []
    sheets = [path.read_text(encoding="utf-8") for path in (BUILT / "html" / "_static").rglob("*.css")]
    assert [sheet for sheet in sheets if re.search(r"url\(['\"]?(?:https?:)?//|@import", sheet)] == []


def test_the_tutorial_has_its_pictures() -> None:
    """Ten, each with a sentence for who cannot see it."""
    text = (BUILT / "html" / "tutorial.html").read_text(encoding="utf-8")
    pictures = re.findall(r"<img alt=\"([^\"]+)\"", text)
    assert len(pictures) == 10
    assert all(re.search(r"held|VIOLATED", picture) for picture in pictures)


def test_every_page_can_be_found() -> None:
    """From the contents at the left, and by the search's index."""
    index = (BUILT / "html" / "index.html").read_text(encoding="utf-8")
    found = (BUILT / "html" / "searchindex.js").read_text(encoding="utf-8")
    for page in pages():
        name = str(page.relative_to(BUILT / "html").with_suffix(""))
        assert name in ("genindex", "search", "index") or (f'href="{name}.html"' in index and f'"{name}"' in found)


def test_the_manual_page_has_every_command() -> None:
    """Made of the same grammar."""
    from pinhold.cli import COMMANDS

    page = (BUILT / "man" / "pinhold.1").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if not re.search(rf"^\.SH PINHOLD {name.upper()}$", page, re.M)] == []
