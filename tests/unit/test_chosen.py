"""What `run` is asked for: tests in files, what failed before; and where its results go."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from pinhold.cli import main
from pinhold.commands import UsageError
from pinhold.commands.outputs import outputs
from pinhold.scenario.runfile import read_run

STALE = "scenario stale\nmap P x zeropage\nread P x\npin P x as p longterm\nwrite P x 0xff\nexpect p sees P x\n"


def names(path: Path) -> list[str]:
    """Of the tests of a run file."""
    with path.open() as lines:
        return [run.name for run in read_run(lines).runs]


def test_a_file_names_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, with comments; after those of the command line; - is standard input."""
    listed, out = tmp_path / "tests", tmp_path / "run.json"
    listed.write_text("# of the nightly job\nseed/150-151  # two\n\nstock/2\n")
    assert main(["run", "seed/1", "--tests-from", str(listed), "--on", "model:6.2", "-o", str(out)]) == 0
    assert names(out) == ["seed/1", "seed/150", "seed/151", "stock/2"]
    monkeypatch.setattr("sys.stdin", io.StringIO("seed/3\n"))
    assert main(["run", "--tests-from", "-", "--on", "model:6.2", "-o", str(out)]) == 0
    assert names(out) == ["seed/3"]


def test_what_failed_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On any target; of those that are named, if some are; a file that is gone as it was."""
    run, again, own = tmp_path / "run.json", tmp_path / "again.json", tmp_path / "own.pin"
    own.write_text(STALE)
    assert main(["run", "seed/149-152", str(own), "--on", "model:6.1", "--on", "model:6.2", "-o", str(run)]) == 1
    own.unlink()
    failed = ["run", "--only-failed", str(run), "--on", "model:6.1", "-o", str(again)]
    assert main(failed) == 1
    assert names(again) == ["seed/151", "seed/152", str(own)]
    assert main([*failed, "seed/1-151"]) == 1
    assert names(again) == ["seed/151"]
    assert main([*failed, "seed/1-150"]) == 4
    assert "of these tests none failed" in capsys.readouterr().err
    assert main(["run", "seed/1", "--on", "model:6.2", "-o", str(run)]) == 0
    assert main(failed) == 4
    assert "nothing to run again" in capsys.readouterr().err


def test_a_test_that_was_cut_off_is_one_that_failed(tmp_path: Path) -> None:
    """Nobody knows what it would have come to."""
    run, again = tmp_path / "run.json", tmp_path / "again.json"
    main(["run", "seed/1-2", "--on", "model:6.2", "-o", str(run)])
    run.write_text("".join(run.read_text().splitlines(keepends=True)[:-3]))
    assert main(["run", "--only-failed", str(run), "--on", "model:6.2", "-o", str(again)]) == 0
    assert names(again) == ["seed/2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tests-from", "nothing.txt"], "cannot read 'nothing.txt'"),
        (["--tests-from", os.devnull], "no ordinary file"),
        (["--only-failed", __file__], "run file"),
        (["seed/1", "-o", "a.html"], "--html a.html"),
        (["seed/1", "-o", "a.xml", "-o", "a.xml"], "twice"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is run."""
    assert main(["run", *arguments, "--on", "model:6.2"]) == 3
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_one_run_writes_several_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each in the format of its ending; the table is printed where - asks for it."""
    files = {ending: tmp_path / f"out.{ending}" for ending in ("json", "ktap", "xml", "toml", "txt")}
    asked = [word for file in files.values() for word in ("-o", str(file))]
    assert main(["run", "seed/151", "--on", "model:6.1", *asked, "-o", "-"]) == 1
    heads = {ending: file.read_text().splitlines()[0] for ending, file in files.items()}
    assert json.loads(heads["json"])["line"] == "header"
    assert heads["ktap"] == "TAP version 13"
    assert heads["xml"].startswith("<?xml")
    assert heads["toml"].startswith("# What is known")
    assert capsys.readouterr().out == files["txt"].read_text()


def test_the_format_is_that_of_the_ending_or_the_one_asked_for() -> None:
    """With one file --format decides; with several it is for those whose ending says nothing."""
    assert outputs(None, None) == [(None, "table")]
    assert outputs(None, "ktap") == [(None, "ktap")]
    assert outputs(["a.xml"], None) == [("a.xml", "junit")]
    assert outputs(["a.xml"], "json") == [("a.xml", "json")]
    assert outputs(["a"], None) == [("a", "table")]
    assert outputs(["a.XML", "b", "-"], "ktap") == [("a.XML", "junit"), ("b", "ktap"), (None, "ktap")]
    with pytest.raises(UsageError):
        outputs(["a", "a"], None)


def test_with_strict_a_skip_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for one that was left out by the user's own words."""
    skipped = tmp_path / "skipped.pin"
    skipped.write_text("scenario s\nmap P x anon\nrequire P x huge\nexpect P x 0x00\n")
    run = ["run", "seed/1", "seed/12", "--without", "1G", "--on", "model:6.2", "--strict"]
    assert main(run) == 0
    capsys.readouterr()
    assert main(["run", str(skipped), *run[1:]]) == 1
    assert f"1 test skipped, which --strict takes for a failure: {skipped}" in capsys.readouterr().out
    assert main(["run", str(skipped), "--on", "model:6.2"]) == 4
