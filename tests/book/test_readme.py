"""The README's first screen is true."""

import os
import re
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.mm.releases import releases

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_picture_is_what_its_command_draws(tmp_path: Path) -> None:
    """The command below the picture, run anew, draws the same file."""
    ((test, file),) = re.findall(r"`pinhold show (\S+) --svg (\S+)`", README)
    assert f"]({file})" in README
    assert main(["show", test, "--svg", str(tmp_path / "now.svg")]) == 0
    now = (tmp_path / "now.svg").read_text(encoding="utf-8")
    if os.environ.get("PINHOLD_PROMOTE"):
        (ROOT / file).write_text(now, encoding="utf-8")
    assert now == (ROOT / file).read_text(encoding="utf-8")


def test_it_names_the_releases() -> None:
    """All that have a row, and no other."""
    (named,) = re.findall(r"answers for Linux \*\*(.*?)\*\*", README)
    assert tuple(re.findall(r"\d+\.\d+", named)) == releases()


def test_question_picture_and_commands_are_on_the_first_screen() -> None:
    """Before the second heading, in 30 lines."""
    first = README.split("\n## ")[0]
    assert first.count("\n") <= 30
    assert "![" in first
    assert re.findall(r"^make (\w+) ", first, re.MULTILINE) == ["check", "test"]


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_question_is_that_of_the_command(page: str) -> None:
    """`pinhold --help` asks the same."""
    from pinhold.cli import parser

    assert f"> {parser().description}\n" in (ROOT / page).read_text(encoding="utf-8")
