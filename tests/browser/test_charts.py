"""Charts and the poster in a browser: on a phone, in the dark, on paper, without script, and for a screen reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinhold.cli import main
from pinhold.pictures.chartpage import chart_page
from pinhold.pictures.depths import Levels, depths

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

Open = Callable[..., Any]
PAGES = ("rules", "ask", "depths", "poster")
GROUND = "() => getComputedStyle(document.body).backgroundColor"
WHITE = "rgb(255, 255, 255)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each."""
    folder = tmp_path_factory.mktemp("charts")
    on = ("--on", "model:6.1", "--on", "model:6.2")
    assert main(["rules", "--html", str(folder / "rules.html")]) == 0
    assert main(["ask", "FOLL_LONGTERM", *on, "--html", str(folder / "ask.html")]) == 0
    assert main(["show", "--poster", str(folder / "poster.html")]) == 0
    searches = [
        Levels("old", (1, 4, 2), "a long-term pin no longer holds the page that its owner sees"),
        Levels("new", (1, 4)),
    ]
    (folder / "depths.html").write_text(chart_page(depths("a scope", searches)))
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_it_does_not_scroll_sideways(name: str, pages: Path, opened: Open) -> None:
    """What is wide scrolls by itself; without script as with it."""
    page = opened(pages / f"{name}.html", java_script_enabled=True, viewport={"width": 390, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    plain = opened(pages / f"{name}.html", java_script_enabled=False)
    assert plain.locator("h1").count() == 1


@pytest.mark.parametrize("name", PAGES)
def test_dark_on_a_screen_and_light_on_paper(name: str, pages: Path, opened: Open) -> None:
    """As the system says; ink is not wasted."""
    page = opened(pages / f"{name}.html", color_scheme="dark")
    assert page.evaluate(GROUND) != WHITE
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(GROUND) == WHITE


def test_the_poster_is_printed_on_one_sheet(pages: Path, opened: Open) -> None:
    """A3, landscape, without the words below it."""
    page = opened(pages / "poster.html")
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(name: str, scheme: str, pages: Path, opened: Open) -> None:
    """Contrast, names, order."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    found = axe.Axe().run(opened(pages / f"{name}.html", color_scheme=scheme, bypass_csp=True))
    assert found.violations_count == 0, found.generate_report()
