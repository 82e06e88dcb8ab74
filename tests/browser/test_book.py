"""The book in a browser, from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BOOK = Path(__file__).parents[2] / "docs" / "_build" / "html"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not BOOK.exists(), reason="the book is not built: make docs"),
]


def test_the_search_finds_a_page(opened: Any) -> None:
    """Opened as a file, without a server: a word leads to the page that has it."""
    page = opened(BOOK / "search.html", "?q=uffdio_continue")
    hit = page.locator("#search-results li a").filter(has_text="language: reference").first
    hit.click()
    page.wait_for_url("**/language.html*")


def test_a_page_fits_a_phone(opened: Any) -> None:
    """Tables and pictures scroll by themselves; the page is no wider than the screen."""
    for name in ("index", "tutorial", "reference/commands", "howto/read-a-counterexample"):
        page = opened(BOOK / f"{name}.html", viewport={"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(scheme: str, opened: Any) -> None:
    """Contrast, names, order, and that what scrolls can be scrolled by keys."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    page = opened(BOOK / "index.html", color_scheme=scheme)
    wrong = {}
    for path in sorted(BOOK.rglob("*.html")):
        if "_static" not in path.parts:
            page.goto(path.as_uri())
            found = axe.Axe().run(page, options={"preload": False})  # it asks for style sheets, and of files gets none
            wrong.update({path.name: found.generate_report()} if found.violations_count else {})
    assert wrong == {}
