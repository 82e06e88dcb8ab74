"""The page of a test in a browser: all is there without script; with it steps, keys, theme; nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinhold.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of seed/151 on models of 6.1 and 6.2."""
    path = tmp_path_factory.mktemp("page") / "seed-151.html"
    assert main(["show", "seed/151", "--html", str(path)]) == 0
    return path


def test_without_script_all_steps_are_there(seed: Path, opened: Open) -> None:
    """And each opens to its state; a link goes to a step."""
    page = opened(seed, "#step-6", java_script_enabled=False)
    assert page.locator("ol.track > li").count() == 8
    assert page.locator(".player").is_hidden()
    page.locator("#step-6 summary").click()
    assert page.locator("#step-6 .mem").first.is_visible()


def place(page: Any) -> str:
    """Where in the page its address points; of that Playwright's own page.url hears a moment later."""
    return str(page.evaluate("() => location.hash"))


def test_slider_keys_and_button_walk_the_steps(seed: Path, opened: Open) -> None:
    """The address follows, and the step's state opens."""
    page = opened(seed)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert place(page) == "#step-2"
    page.keyboard.press("ArrowLeft")
    assert place(page) == "#step-1"
    page.get_by_text("where they part").click()
    assert place(page) == "#step-6"
    assert page.locator("#step-6").get_attribute("aria-current") == "step"
    assert page.locator("#step-6 .mem").first.is_visible()
    assert "write P x 0xff" in page.locator("output").inner_text()
    page.locator("input[type=range]").fill("3")
    assert place(page) == "#step-3"
    page.locator("h1").click()
    page.keyboard.press("Escape")
    assert place(page) == ""
    assert "all 8 steps" in page.locator("output").inner_text()


def test_a_screen_reader_hears_it_in_order(seed: Path, opened: Open) -> None:
    """The answer first, by words; then step by step what is done, why the kernels differ, and what became of each."""
    heard = opened(seed).locator("body").aria_snapshot()
    order = [
        'heading "R/O longterm GUP pin',
        "VIOLATED",
        "They part at step 6",
        "They never part",
        'region "steps"',
        "code: map P x zeropage",
        "code: pin P x as p longterm",
        "The kernels decide differently here",
        "gup_unshares = anon",
        "gup_unshares = cow_longterm",
        "code: write P x 0xff",
        "here pin and page part",
        "pin p and P x have parted",
        "code: unpin p",
        "device reads 00, process reads ff",
        "the scenario, and what ran it",
    ]
    at = 0
    for words in order:
        at = heard.find(words, at)
        assert at >= 0, words


def test_a_link_to_a_step_opens_it(seed: Path, opened: Open) -> None:
    """With script the slider stands there, too."""
    page = opened(seed, "#step-5")
    assert page.locator("input[type=range]").input_value() == "5"


def test_dark_and_light(seed: Path, opened: Open) -> None:
    """As the system says, and by the button."""
    ground = "() => getComputedStyle(document.body).backgroundColor"
    page = opened(seed, color_scheme="dark")
    dark = page.evaluate(ground)
    page.get_by_label("dark or light").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)" != dark


def test_print_is_one_sheet(seed: Path, opened: Open) -> None:
    """A4, without the player."""
    page = opened(seed)
    page.emulate_media(media="print")
    assert page.locator(".player").is_hidden()
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1


def test_a_phone_shows_it_without_scrolling_sideways(seed: Path, opened: Open) -> None:
    """390 pixels."""
    page = opened(seed, viewport={"width": 390, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_a_scenario_named_like_a_script_is_shown_and_not_run(tmp_path: Path, opened: Open) -> None:
    """Every value is escaped; the policy would refuse it besides."""
    scenario, path = tmp_path / "a.pin", tmp_path / "a.html"
    title = "</title><script>document.title = 'run'</script><img src=x onerror=alert(1)>"
    scenario.write_text(f"scenario {title}\nmap P x anon\nwrite P x 1\n")
    assert main(["show", str(scenario), "--html", str(path)]) == 0
    page = opened(path)
    assert title in page.locator("h1").inner_text()
    assert page.title() != "run"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("test", ["seed/151", "seed/72", "pins/23"])
def test_axe_finds_nothing(test: str, scheme: str, tmp_path: Path, opened: Open) -> None:
    """A parting, a leak, a parting that may be."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    path = tmp_path / "page.html"
    assert main(["show", test, "--html", str(path)]) == 0
    page = opened(path, color_scheme=scheme, bypass_csp=True)
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
