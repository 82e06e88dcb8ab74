"""The answer that the seed is about, as `pinhold ask FOLL_LONGTERM` prints it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pinhold.cli import main


def test_the_answer_is_the_golden_one(capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    """Every line is as it was when somebody last looked at it."""
    assert main(["ask", "FOLL_LONGTERM"]) == 0
    golden("ask-longterm.txt", capsys.readouterr().out)


def test_the_readme_shows_lines_of_it() -> None:
    """What the README quotes of the answer is in the golden file, line by line."""
    golden = (Path(__file__).parent / "ask-longterm.txt").read_text().splitlines()
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = re.search(r"^```text\n(pin_user_pages.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    quoted = [line for line in block[1].splitlines() if line != "…"]
    assert len(quoted) > 5
    assert [line for line in quoted if line not in golden] == []
