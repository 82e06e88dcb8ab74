"""The answer that the seed is about, as `pinhold ask FOLL_LONGTERM` prints it."""

from collections.abc import Callable

import pytest

from pinhold.cli import main


def test_the_answer_is_the_golden_one(capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    """Every line is as it was when somebody last looked at it."""
    assert main(["ask", "FOLL_LONGTERM"]) == 0
    golden("ask-longterm.txt", capsys.readouterr().out)
