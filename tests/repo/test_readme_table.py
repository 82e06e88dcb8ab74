"""The table in README is the one that `pinhold check` prints."""

import re
from itertools import takewhile
from pathlib import Path

import pytest

from pinhold.cli import main

README = Path(__file__).parents[2] / "README.md"
COLUMNS = ("model:6.1", "model:6.2")
NOTE = re.compile(r" ?[a-z]{1,2}  ")
VERDICT = re.compile(r"not ok|\w+")


def cells(lines: list[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    """(case, kind of memory) to the verdicts in the models' columns, whatever the live column made of the rows.

    A line has three parts: test numbers, words, verdicts.  Numbers without verdicts head a block, verdicts without
    numbers begin a row of it, both together are a quoted test, and words alone go on with the line before.
    """
    top = next(index for index, line in enumerate(lines) if all(name in line for name in COLUMNS))
    starts = [lines[top].index(name) for name in COLUMNS]
    heads: list[str] = []
    rows: list[tuple[list[str], str, tuple[str, ...]]] = []
    fresh = True
    for line in takewhile(lambda line: not NOTE.match(line), lines[top + 1 :]):
        numbers, words = line[:9].strip(), line[9 : starts[0]].strip()
        verdicts = tuple(match[0] for start in starts if (match := VERDICT.match(line, start)))
        if numbers and verdicts:
            rows.append(([words], "", verdicts))
        elif verdicts:
            rows.append((heads, words, verdicts))
        elif re.match(r"[\d, -]+$", numbers):
            heads = [words] if fresh else [*heads, words]
        elif words and line.startswith(" "):
            cases, names, old = rows.pop()
            rows.append((cases, f"{names} {words}", old))
        fresh = bool(verdicts or not numbers)
    return {(case, name): found for cases, names, found in rows for case in cases for name in names.split("; ")}


def test_the_readme_shows_what_check_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """For every test the model columns of README's table are those of a run."""
    block = re.search(r"^```text\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    shown = cells(block[1].splitlines())
    assert main(["check", "--on", COLUMNS[0], "--on", COLUMNS[1]]) == 0
    printed = cells(capsys.readouterr().out.splitlines())
    assert len(printed) == 162 + 12
    assert shown == printed
