"""What no small scope comes by, under its own rules and three releases: a new gap is seen, and one that is gone."""

from collections.abc import Callable

import pytest

from pinhold.cli import main

RULES = ("5.10", "6.1", "7.3")


@pytest.mark.nightly
def test_the_gaps_are_the_known_ones(capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]) -> None:
    """Every name is as it was when somebody last looked at it."""
    given = [word for release in RULES for word in ("--rules", release)]
    assert main(["explore", "--coverage", "--interpreted", *given]) == 1
    golden("explore-coverage.txt", capsys.readouterr().out)
