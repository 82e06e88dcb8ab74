"""`pinhold examples`: what comes with pinhold can be read and copied, also where there is no tree of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands.examples import about, examples

ROOT = Path(__file__).parents[2]


def test_every_example_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Each file has its line, and says in its first words what it is."""
    assert main(["examples"]) == 0
    listed = capsys.readouterr().out
    found = dict(examples())
    assert len(found) > 15
    assert all(name in listed for name in found)
    assert {name for name, text in found.items() if not about(text)} == set()


def test_what_is_copied_is_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its path, so that what the documents call examples/exec/pipe.c is there; again is no harm."""
    folder = tmp_path / "examples"
    for _ in range(2):
        assert main(["examples", "--copy", str(folder)]) == 0
    for name, text in examples():
        assert (folder / name).read_text() == text == (ROOT / "examples" / name).read_text()
        assert os.access(folder / name, os.X_OK) == text.startswith("#!"), name
    assert capsys.readouterr().out.endswith(f"{len(dict(examples()))} files in {folder}\n")


def test_one_is_printed_and_a_folder_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A file is what can be redirected; of a folder only its own."""
    assert main(["examples", "exec/pipe.c"]) == 0
    assert capsys.readouterr().out == (ROOT / "examples/exec/pipe.c").read_text()
    assert main(["examples", "tutorial/"]) == 0
    assert all(line.startswith(("tutorial/", " ")) for line in capsys.readouterr().out.splitlines())


def test_a_file_of_ones_own_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of that name with other words stays as it is, and nothing is copied."""
    (tmp_path / "exec").mkdir()
    (tmp_path / "exec/pipe.c").write_text("mine")
    assert main(["examples", "--copy", str(tmp_path)]) == 3
    assert "exec/pipe.c is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["exec"]
    assert (tmp_path / "exec/pipe.c").read_text() == "mine"


def test_an_unknown_one_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """As every word of the command line."""
    assert main(["examples", "exec/pip.c"]) == 3
    assert capsys.readouterr().err == "pinhold: no example 'exec/pip.c': did you mean exec/pipe.c?\n"
