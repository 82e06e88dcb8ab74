"""`pinhold docs`: the book's pages can be read where there is no tree of it."""

from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.docs import pages

ROOT = Path(__file__).parents[2]


def test_every_page_is_listed_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, or more where the title is long."""
    assert main(["docs"]) == 0
    out = capsys.readouterr().out
    assert f"{'howto/bisect':34}  Find the commit\n" in out
    written = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").rglob("*.md")}
    assert {name for name in written if not name.startswith("_build/")} == set(pages())
    assert all(f"{name} " in out for name in pages())


@pytest.mark.parametrize("name", ["howto/bisect", "howto/bisect.md", "docs/howto/bisect.md"])
def test_one_is_printed_as_it_is_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name in the list, or as messages and pages call it."""
    assert main(["docs", name]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/howto/bisect.md").read_text()


@pytest.mark.parametrize("name", ["howto/bisct", "../README.md", "", "howto"])
def test_what_is_no_page_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 3, and the nearest name or all of them."""
    assert main(["docs", name]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("pinhold: no page ")
