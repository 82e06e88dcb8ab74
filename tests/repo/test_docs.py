"""What the documents say is what the program does."""

import re
import shlex
from pathlib import Path

import pytest

from pinhold.cli import _parse
from pinhold.commands import Stop
from pinhold.scenario.parse import ScenarioError, parse

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every pinhold command that a document shows, comments taken off."""
    lines = [
        line.partition("  #")[0].strip() for d in DOCUMENTS for block in blocks(d, "sh") for line in block.splitlines()
    ]
    return [line for line in lines if re.match(r"(?:\S*/)?pinhold\b", line)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_scenario_in_a_document_parses(document: Path) -> None:
    """A block marked `pin` is a valid scenario."""
    for text in blocks(document, "pin"):
        assert parse(text).steps


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_column_has_a_heading(document: Path) -> None:
    """Which screen readers say with each cell."""
    for heads in re.findall(r"^\|(.*)\|\n\|[-:| ]+\|$", document.read_text(), re.MULTILINE):
        assert all(head.strip() for head in heads.split("|")), heads


def parses(text: str) -> bool:
    """Whether it is a valid scenario."""
    try:
        parse(text)
    except ScenarioError:
        return False
    return True


def test_every_row_of_the_language_is_a_step() -> None:
    """Each complete step in the tables of the language's document parses after one of a few preparations."""
    region = "scenario t\nmap P x memfd pages 512\n"
    preparations = ("scenario t\n", region, f"{region}fork P C\n", f"{region}pin P x as p\n")
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", (ROOT / "docs" / "scenarios.md").read_text(), re.MULTILINE)
    steps = [step for row in rows for step in re.findall(r"`([^`]+)`", row)]
    assert len(steps) > 25
    assert [step for step in steps if not any(parses(f"{before}{step}\n") for before in preparations)] == []


def test_every_command_in_a_document_exists() -> None:
    """Each shown `pinhold` line is one that the command line accepts, redirections taken off."""
    shown = commands()
    assert len(shown) >= 5
    for line in shown:
        words = shlex.split(re.split(r"\s[|>]", line)[0])[1:]
        try:
            _parse(words)
        except Stop as error:
            pytest.fail(f"{line}: {error}")


def test_every_make_target_in_a_document_exists() -> None:
    """Each `make TARGET` that a document names is in the Makefile."""
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for d in DOCUMENTS for name in re.findall(r"(?m)(?:`|^ *)make ([a-z]+)\b", d.read_text())}
    assert {"check", "test"} <= named
    assert named - rules == set()


def test_every_path_in_a_document_exists() -> None:
    """Each path of this project that a document names is there."""
    named = {
        (d, path)
        for d in DOCUMENTS
        for path in re.findall(r"[`(]((?:src|tests|docs)/[\w./-]+|\.ci/run|[A-Z]+\.md)[`)]", d.read_text())
    }
    missing = [f"{d.name}: {path}" for d, path in named if not ((ROOT / path).exists() or (d.parent / path).exists())]
    assert missing == []
