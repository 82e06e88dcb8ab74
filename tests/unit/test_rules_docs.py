"""The manual of the rules says what the rules and the files of evidence say."""

from pathlib import Path

import rules_manual

MANUAL = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_manual_of_the_rules_is_what_they_say() -> None:
    """Each value's commit, sentence and releases come from there; made anew by benchmarks/rules_manual.py."""
    assert MANUAL.read_text().splitlines() == list(rules_manual.manual())
