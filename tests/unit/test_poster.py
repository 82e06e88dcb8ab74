"""The poster: one story told in the comments of its scenario, drawn from runs of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.pictures.poster import LIFE, Said, said
from pinhold.scenario.parse import parse

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    """The life of a pinned page."""
    path = tmp_path_factory.mktemp("poster") / "life.svg"
    assert main(["show", "--poster", str(path)]) == 0
    return ET.fromstring(path.read_text())


def words(sheet: ET.Element) -> list[str]:
    return [text.text or "" for text in sheet.iter(f"{SVG}text")]


def test_a_comment_is_said_of_the_step_below_it() -> None:
    """A heading up to the first full stop; a step without a comment has none."""
    told = said(
        "# Found somewhere.\nscenario a\n# Small.\nsmall pages 16\n"
        "# Fault. It maps\n# a page.\nread P x\n\nwrite P x 1\n# Unpin.\nunpin p\n"
    )
    assert told == [Said("Fault", "It maps a page."), Said("", ""), Said("Unpin", "")]


def test_the_life_says_something_of_each_step() -> None:
    """Its comments are as many as its steps, but for the second of two ends; and it has all that a life has."""
    text = LIFE.read_text("utf-8")
    told = said(text)
    assert len(told) == len(parse(text).steps)
    assert [one.heading for one in told].count("") == 1
    verbs = " ".join(text.split())
    assert all(f" {verb} P" in verbs for verb in ("read", "fork", "pin", "write", "madvise", "swapout"))
    assert "unpin p" in verbs


def test_the_life_is_told_of_both_kernels_on_one_sheet(sheet: ET.Element) -> None:
    """Violated before the patch and held with it; the commit stands beside the step; as wide and high as A3."""
    told = words(sheet)
    assert "Linux 6.1" in told and "Linux 6.2" in told
    assert "\N{BALLOT X} VIOLATED" in told and "\N{CHECK MARK} held" in told
    assert "Linux 6.1: \N{NOT EQUAL TO} here pin and page part" in told
    assert any("84209e87c696" in line for line in told)
    assert (sheet.get("width"), sheet.get("height")) == ("420mm", "297mm")


def test_nothing_stands_outside_the_sheet(sheet: ET.Element) -> None:
    """Nor does a text run into the next column: what is said ends before the tracks, and before the edge."""
    _, _, width, height = map(float, sheet.get("viewBox", "").split())
    for text in sheet.iter(f"{SVG}text"):
        x, y, size = (float(text.get(name, "0")) for name in ("x", "y", "font-size"))
        assert 0 <= y <= height
        if text.get("text-anchor") is None:
            assert x + 0.5 * size * len(text.text or "") <= width, text.text


def test_a_story_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the targets that are named, as a page with the same in words; all escaped."""
    scenario, path = tmp_path / "a.pin", tmp_path / "a.html"
    scenario.write_text("scenario mine <b>\n# Map. <script>\nmap P x anon\n# Write. It is written.\nwrite P x 1\n")
    assert main(["show", str(scenario), "--poster", str(path), "--on", "model:7.3"]) == 0
    page = path.read_text()
    assert "<script" not in page and "<b>\n" not in page
    assert "<b>Write.</b> It is written." in page
    assert "model:7.3: P x maps f0" in page and "model:6.1" not in page
    assert main(["show", "seed", "--poster", str(path)]) == 3
    assert "one test" in capsys.readouterr().err
