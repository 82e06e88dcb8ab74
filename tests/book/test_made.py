"""What the book makes of pinhold's tables is complete."""

import re
from pathlib import Path

import pytest

import made
from pinhold.ask.interfaces import INTERFACES
from pinhold.cli import COMMANDS, parser
from pinhold.mm.releases import releases
from pinhold.mm.rules import RULES

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def test_each_made_text_has_its_place() -> None:
    """One page asks for each, and for no other."""
    asked = [name for page in PAGES.glob("*.md") for name in re.findall(r"^\{\{ (\w+) \}\}$", page.read_text(), re.M)]
    assert sorted(asked) == sorted(made.TEXTS)


def test_every_command_and_option_is_told() -> None:
    """Each command has a heading, each option an entry with its help."""
    text = made.commands()
    assert set(re.findall(r"^## pinhold ([\w-]+)$", text, re.M)) == set(COMMANDS)
    for words, each in made.walk(parser(), "pinhold"):
        section = text.split(f" {words}\n", 1)[1].split("\n## ", 1)[0]
        for action in each._actions[1:]:  # behind -h
            assert all(option in section for option in action.option_strings), words
            assert not action.help or action.help in section, words


def test_every_rule_and_release_is_told() -> None:
    """A row a rule, with its value in each release; a row a release."""
    rows = made.rule_rows().splitlines()
    assert [f"[`{rule.name}`]" in row for rule, row in zip(RULES, rows[2:], strict=True)] == [True] * len(RULES)
    assert rows[0] == f"| rule | {' | '.join(releases())} |"
    assert len(made.release_list().splitlines()) == 2 + len(releases())


@pytest.mark.slow
def test_every_interface_is_told() -> None:
    """With what it promises on each release, and what is charged."""
    text = made.interfaces()
    assert re.findall(r"^## (.*)$", text, re.M) == [interface.name for interface in INTERFACES]
    assert text.count("Locked memory: ") == len(INTERFACES)
