"""What the documents show, a reader gets.  PINHOLD_PROMOTE=1 puts into them what is printed now."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from consoles import BLOCK, LEFT_OUT, ROOT, Command, Console, agrees, commands, documents

SHOWN = [page for page in documents() if BLOCK.search(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_commands_print(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of its console blocks, in their order, prints what stands below it."""
    monkeypatch.chdir(tmp_path)
    console = Console(tmp_path, capsys)

    def again(block: re.Match[str]) -> str:
        return "".join(["```console\n", *(shown(console, command) for command in commands(block[1])), "```"])

    text = page.read_text(encoding="utf-8")
    now = BLOCK.sub(again, text)
    if os.environ.get("PINHOLD_PROMOTE"):
        page.write_text(now, encoding="utf-8")
    else:
        assert now == text


def shown(console: Console, command: Command) -> str:
    """As the page has it, if that is what is printed, else as it is printed."""
    printed = console.run(command)
    same = agrees(command.output, printed)
    assert same or LEFT_OUT not in command.output, f"$ {command.line}\n{printed}"
    return f"$ {command.line}\n{command.output if same else printed}"


def test_the_how_tos_have_examples() -> None:
    """There are commands to be run in most of them."""
    assert len([page for page in SHOWN if page.parent.name == "howto"]) >= 6


@pytest.mark.parametrize(
    ("said", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("in 0.1 s\n", "in 2.5 s\n", True),
        ("…\n", "x\n", True),
    ],
)
def test_a_difference_is_seen(said: str, printed: str, same: bool) -> None:
    """Of the comparison itself: what differs, differs; what is left out may be anything; times are passed over."""
    assert agrees(said, printed) is same
