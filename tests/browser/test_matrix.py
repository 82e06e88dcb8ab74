"""The matrix of a run in a browser: search, filter, the address, and two clicks from red to why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pinhold.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last fourteen tests of the seed on two models."""
    folder = tmp_path_factory.mktemp("matrix")
    run = folder / "run.json"
    main(["run", "seed/145-162", "--on", "model:6.1", "--on", "model:6.2", "--format", "json", "-o", str(run)])
    assert main(["report", str(run), "-o", str(folder / "out")]) == 0
    return folder / "out" / "index.html"


def shown(page: Any) -> int:
    count: int = page.locator(".list tbody tr:visible").count()
    return count


def test_search_and_filter(index: Path, opened: Any) -> None:
    """And the address keeps them."""
    page = opened(index)
    assert shown(page) == 18
    page.get_by_label("only where targets differ").check()
    assert shown(page) == 12
    page.get_by_label("find").fill("zeropage")
    assert 0 < shown(page) < 12
    again = opened(index, page.evaluate("() => location.hash"))
    assert shown(again) == shown(page)
    assert again.get_by_label("find").input_value() == "zeropage"


def test_two_clicks_from_red_to_why(index: Path, opened: Any) -> None:
    """The cell, then the button: the step at which pin and page part, and what decided."""
    page = opened(index)
    page.locator(".grid td.differ a").first.click()
    page.get_by_text("where they part").click()
    page.wait_for_url("**step-6*")
    assert page.get_by_text("The kernels decide differently here.").is_visible()
    page.get_by_text("all tests").click()
    page.wait_for_url("**/index.html")


def test_without_script_and_on_a_phone(index: Path, opened: Any) -> None:
    """All tests are there; what is wide scrolls by itself."""
    page = opened(index, java_script_enabled=False, viewport={"width": 390, "height": 800})
    assert shown(page) == 18
    assert page.locator(".filter").is_hidden()
    plain = opened(index, viewport={"width": 390, "height": 800})
    assert plain.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(index: Path, scheme: str, opened: Any) -> None:
    """Contrast, names, order."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    found = axe.Axe().run(opened(index, color_scheme=scheme, bypass_csp=True))
    assert found.violations_count == 0, found.generate_report()
