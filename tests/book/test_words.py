"""The page of words has those that pinhold prints."""

import re
from pathlib import Path

from pinhold.scenario.suites import SUITES
from pinhold.scenario.verdict import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "words.md").read_text(encoding="utf-8")


def test_every_verdict_is_explained() -> None:
    """Under "How a test ends", and no other word is there."""
    section = TEXT.split("## How a test ends\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^(\w+)\n: ", section, re.MULTILINE)) == sorted(KINDS)


def test_every_suite_is_named() -> None:
    """Where suites are explained."""
    (suites,) = re.findall(r"^suite\n: (.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`(\w+)`:", suites) == list(SUITES)
