"""What is found by searching, and what is long, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinhold.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

Open = Callable[..., Any]
SEPARATORS = (",", ":")


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a race that the explorer finds."""
    path = tmp_path_factory.mktemp("race") / "race.html"
    assert main(["explore", "fork-races-gup-fast", "--without", "write_protect_seq", "--html", str(path)]) == 1
    return path


def test_a_race_has_its_tasks_and_its_search(race: Path, opened: Open) -> None:
    """Each step has the label of its task; without script, too, the search is there."""
    page = opened(race, java_script_enabled=False)
    assert page.locator(".task").all_inner_texts()[:3] == ["parent", "parent", "driver"]
    assert page.get_by_text("478 states, 937 transitions").is_visible()
    assert page.locator(".chart tbody tr").count() == 16
    page.get_by_text("the way, step by step").click()
    assert page.locator(".search ol li").count() == 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(race: Path, scheme: str, opened: Open) -> None:
    """A race, with the search below it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    found = axe.Axe().run(opened(race, color_scheme=scheme, bypass_csp=True))
    assert found.violations_count == 0, found.generate_report()


def test_ten_thousand_steps_open_and_say_what_is_left_out(tmp_path: Path, opened: Open) -> None:
    """400 of them; the keys go through these."""
    run, path = tmp_path / "run.json", tmp_path / "long.html"
    main(["run", "seed/151", "--on", "model:6.1", "--format", "json", "-o", str(run)])
    lines = [json.loads(line) for line in run.read_text().splitlines()]
    step = next(line for line in lines if line["line"] == "step" and line["index"] == 3)
    many = [{**step, "index": index} for index in range(10_000)]
    rest = [line for line in lines if line["line"] != "step"]
    run.write_text("".join(f"{json.dumps(line, separators=SEPARATORS)}\n" for line in [*rest[:3], *many, *rest[3:]]))
    assert main(["show", str(run), "--html", str(path)]) == 0
    page = opened(path)
    assert page.locator("ol.track > li").count() == 400
    assert "This run has 10000 steps. These are the steps 9601 to 10000" in page.locator(".warn").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => location.hash") == "#step-9601"
